"""What is known of a model beside its weights: what it was made from, its numbers."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.base import file_digest, json_digest, read_json, validate
from components.config import Profile
from components.register.words import clipped

LINEAGE_TAGS = ("git_commit", "corpus_digest", "configuration", "profile",
                "validation_fold", "test_fold", "reason", "cause", "pipeline_run",
                "trained_on")  # fmt: skip
"""The tags of a version that say what it was made from, and why; of the last four where known."""

LONGEST_TAG = 5000
"""Characters that MLflow takes."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a model was made from, and why.

    Attributes:
        git_commit: of the code; with `-dirty` where files were changed since.
        corpus_digest: of the corpus it learned from and was tested on.
        cause: what started the run, where nobody did: an alert's key and its address.
        pipeline_run: the run's id in Kubeflow Pipelines.
        trained_on: names corpus and feedback as they were when the run looked at them (see
            `components.corpus.training_state`).
    """

    git_commit: str
    corpus_digest: str
    profile: Profile
    reason: str = ""
    cause: str = ""
    pipeline_run: str = ""
    trained_on: str = ""

    def tags(self) -> dict[str, str]:
        """As MLflow's tags."""
        profile, protocol = self.profile, self.profile.protocol
        values = [self.git_commit, self.corpus_digest, profile.digest(), profile.name]
        values += [protocol.validation, protocol.test, self.reason, self.cause, self.pipeline_run]
        values += [self.trained_on]
        tags = zip(LINEAGE_TAGS, values, strict=True)
        return {name: clipped(text, LONGEST_TAG) for name, text in tags if text}


def evidence_key(metrics: Path, verdict: Path, lineage: Lineage) -> str:
    """What names a registration's work: the same numbers and verdict, of the same corpus.

    The model's digest is among the numbers. The commit is not part of it: it does not change what
    was done before.
    """
    tags = lineage.tags()
    made_from = tags["corpus_digest"], tags["configuration"]
    return json_digest([file_digest(metrics), file_digest(verdict), *made_from])


def read_metrics(path: Path) -> dict[str, Any]:
    """Read `metrics.json`.

    Raises:
        InputError: missing, or no JSON object.
    """
    return validate(dict[str, Any], read_json(path), str(path))


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among the metrics, flat; lists (the confusion matrix) stay in the file.

    A rate goes by the name of what it is the rate of: `accuracy`, beside `accuracy.correct`.
    """
    return {
        key.removesuffix(".rate"): float(value)
        for key, value in flat(metrics)
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a tree of mappings, each with its dotted path."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
