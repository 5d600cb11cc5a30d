"""A corpus with what came back from traffic beside it, as one corpus."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.base import (
    Cache,
    InputError,
    Location,
    atomic_path,
    json_digest,
    read_json,
    read_text,
)
from components.config import LabelStep
from components.conversation import FEEDBACK, SOURCES, Recording, read_manifest, write_manifest
from components.corpus.check import corpus_digest
from components.corpus.labels import UNLABELLED
from components.corpus.reader import read_corpus

SYNTHETIC = "voices.json"
"""A corpus' mark that nobody speaks in it (see `check_corpus`)."""

MAX_SHARE = 0.5
"""Of the labels that are trained on, the share that may come from one source."""

logger = logging.getLogger("moodline.feedback")
logger.setLevel(logging.INFO)


def join_feedback(
    corpus: Location,
    feedback: Location,
    cache: Cache,
    *,
    max_share: float = MAX_SHARE,
    labels: LabelStep | None = None,
) -> Path:
    """A corpus and the feedback as one corpus, its audio linked or copied; the result is cached.

    No source gives more than its share of the labels: which of them are left out is decided by
    digests, so nobody can choose. How many were is logged in one line.

    Args:
        corpus: the labelled corpus' folder or URL; the audio of an URL is fetched.
        feedback: of `moodline feedback export`; all its recordings are of the fold `FEEDBACK`,
            which is only ever trained on. Where it does not say who gave a label, all are of one
            source.
        max_share: of all labels, the corpus' among them, that may come from one source.
        cache: where the new corpus lies.
        labels: the profile's, as of `read_corpus`.

    Returns:
        The new corpus' folder.

    Raises:
        InputError: one of them has a fault, a recording is in both, or one of the feedback's is of
            another fold.
    """
    labelled = read_corpus(corpus, cache, labels)
    if labels is not None:  # what is none of them was looked at here; the joined one is read again
        labelled = [_without_others(recording, labels) for recording in labelled]
    corrected, sources = read_feedback(feedback)
    corrected = beside_corpus(labelled, corrected, sources, max_share=max_share)
    out = cache.path("corpora", corpus_digest(labelled, cache), corpus_digest(corrected))
    if not out.is_dir():
        with atomic_path(out) as temporary:
            write_manifest(temporary, [*labelled, *corrected], take_audio=True, packed=True)
            # What is erased later must be found.
            known = {r.name: sources[r.name] for r in corrected if r.name in sources}
            text = json.dumps(known, ensure_ascii=False, indent=1)
            (temporary / SOURCES).write_text(text, encoding="utf-8")
            if (corpus / SYNTHETIC).is_file():
                (temporary / SYNTHETIC).write_text(read_text(corpus / SYNTHETIC), "utf-8")
    return out


def _without_others(recording: Recording, labels: LabelStep) -> Recording:
    utterances = (
        u if u.emotion in labels.labels else replace(u, emotion=UNLABELLED)
        for u in recording.utterances
    )
    return replace(recording, utterances=tuple(utterances))


def read_feedback(folder: Location) -> tuple[list[Recording], dict[str, Any]]:
    """What `moodline feedback export` wrote: its recordings, and who gave each label (`SOURCES`).

    Raises:
        InputError: it has a fault, or one of its recordings is of another fold than `FEEDBACK`.
    """
    corrected = read_manifest(folder)
    other = next((r for r in corrected if r.fold != FEEDBACK), None)
    if other is not None:
        raise InputError(
            f"{folder}: {other.name} is of the fold {other.fold}, not {FEEDBACK}; take what"
            " moodline feedback export wrote"
        )
    return corrected, read_json(folder / SOURCES) if (folder / SOURCES).is_file() else {}


def beside_corpus(
    labelled: Sequence[Recording], corrected: Sequence[Recording], sources: Mapping[str, Any], *,
    max_share: float = MAX_SHARE,
) -> list[Recording]:  # fmt: skip
    """The feedback's recordings that are trained on beside a corpus; see `join_feedback`.

    Raises:
        InputError: a recording is in both, or the corpus is too small for any feedback.
    """
    both = {r.name for r in labelled} & {r.name for r in corrected}
    if both:
        raise InputError(f"the feedback's recording {min(both)} is in the corpus, too")
    own = sum(len(recording.utterances) for recording in labelled)
    return _capped(corrected, _origins(corrected, sources), own, max_share)


def _origins(recordings: Sequence[Recording], sources: Mapping[str, Any]) -> dict[str, str]:
    """Who gave each utterance's label."""
    return {
        utterance.id: sources.get(recording.name, {}).get("labels", {}).get(utterance.id, "")
        for recording in recordings
        for utterance in recording.utterances
    }


def _capped(
    recordings: Sequence[Recording], origins: Mapping[str, str], own: int, max_share: float
) -> list[Recording]:
    """The recordings with at most so many labels of each source as its share allows."""
    counts = Counter(origins.values())
    limit = most_labels(counts.values(), own, max_share)
    kept: set[str] = set()
    for origin, count in counts.items():
        ids = [name for name, source in origins.items() if source == origin]
        kept.update(sorted(ids, key=json_digest)[:limit])
        if count > limit:
            logger.warning(
                "%d of %d labels of %s are left out: one source gives at most %g %% of the labels",
                count - limit, count, origin or "one source", 100 * max_share,
            )  # fmt: skip
    parts = [
        replace(r, utterances=tuple(u for u in r.utterances if u.id in kept)) for r in recordings
    ]
    if not (remaining := [part for part in parts if part.utterances]):
        raise InputError("the corpus has too few labels to train on feedback beside it")
    return remaining


def most_labels(counts: Iterable[int], own: int, max_share: float) -> int:
    """How many labels each source may give, so that none gives more than its share of all.

    Args:
        counts: the labels that each source has given.
        own: labels of the corpus itself.
    """
    counts = list(counts)
    low, high = 0, max(counts, default=0)
    while low < high:  # if so many are allowed, fewer are, too
        middle = (low + high + 1) // 2
        if middle <= max_share * (own + sum(min(count, middle) for count in counts)):
            low = middle
        else:
            high = middle - 1
    return low
