"""A challenger, and the champion in production, on the test fold: numbers, verdict, report."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from components.base import InputError, atomic_path, tree_digest
from components.config import GateSettings, Profile, Settings, version_answers
from components.conversation import (
    Progress,
    Recording,
    Turn,
    mark_uncertain,
    read_turns_of,
    write_turns,
)
from components.evaluate.behaviour import measure_behaviour
from components.evaluate.budgets import measure_latency, served_megabytes
from components.evaluate.champion import check_labels, compare_with_champion
from components.evaluate.gate import gate
from components.evaluate.measure import measure
from components.evaluate.noise import noise_bands
from components.evaluate.own import find_checks
from components.evaluate.power import gate_power
from components.evaluate.prediction import predict_turns
from components.evaluate.probe import measure_probe
from components.evaluate.report import report_page
from components.evaluate.slices import check_columns
from components.fusion import Classifier
from components.fusion.mixing import layer_shares
from components.scoring import DEFAULT, Verdict

HeldOutPart = Literal["test", "holdout"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        metrics: all numbers, ready for JSON.
        verdict: the gate's; None of the holdout, which no gate reads.
        turns: the test recordings' turns with the model's emotions.
        recordings: of the test fold.
    """

    metrics: dict[str, Any]
    verdict: Verdict | None
    turns: list[Turn]
    recordings: Sequence[Recording] = field(repr=False)

    def report(self) -> str:
        """The page for people: one self-contained HTML file."""
        return report_page(self.metrics, self.verdict, self.recordings, self.turns)

    def write(self, folder: Path) -> None:
        """Write `metrics.json`, `report.html`, `predictions.json` (SegLST), and, if there is a
        verdict, `verdict.json`."""
        write_json(folder / "metrics.json", self.metrics)
        if self.verdict is not None:
            write_json(folder / "verdict.json", self.verdict.to_json())
        write_text(folder / "report.html", self.report())
        write_turns(folder / "predictions.json", self.turns)


def evaluate(
    model_dir: Path,
    recordings: Sequence[Recording],
    turns: Mapping[str, Sequence[Turn]],
    profile: Profile,
    *,
    champion: Path | None = None,
    synthetic: bool = False,
    part: HeldOutPart = "test",
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> Evaluation:
    """Evaluate a model on the profile's test fold, which nothing was fitted or chosen on.

    0. What the gate's comparison can tell is logged, before a model is asked.
    1. The model gives the test recordings' turns their emotions.
    2. Each labelled utterance gets one answer from those turns (none is a wrong one).
    3. Everything is counted: classification, TEER, sTEER and EDER by all conventions, DER, cpWER,
       WER, word-speaker accuracy, calibration, slices; with 95 % intervals by conversation.
    4. The model in production goes through 1–3 on the same utterances, today. If it has other
       labels, both are compared on those that they share.
    5. So does the version's linear probe, if it has one.
    6. Where the gate asks for it, since it takes time: answers to changed turns, and times.
    7. The gate decides. On the holdout it is not asked.

    Args:
        recordings: the corpus, all folds.
        turns: each recording's turns; only the test fold's are read.
        champion: the folder of the model in production, where there is one.
        synthetic: the corpus is not of real people, and the report must say so.
        part: what is tested on: the test part, or the holdout, which no gate reads.
        progress: called with the number of turns done and their total.
        settings: where models are; only the linear probe of a fine-tuned version needs any.

    Raises:
        InputError: the test fold has no labelled utterance, a test recording has no turns entry,
            a model or audio cannot be read, the model's labels are not the profile's, or the
            gate asks for a column of the manifest or a
            check of somebody's own that is not there.
    """
    tested = held_out_recordings(recordings, profile, part)
    check_gate(recordings, profile.gate)
    columns = (profile.gate.slices and profile.gate.slices.columns) or {}
    expected = gate_power(tested, profile.gate, profile.labels)
    if expected is not None:
        logger.log(
            logging.WARNING if expected.low else logging.INFO, "the gate's power: %s", expected
        )
    missing = [recording.name for recording in tested if recording.name not in turns]
    if missing:
        raise InputError(f"recording {missing[0]} of the test fold has no turns; align it first")
    steps = 2 if champion else 1
    challenger_model = Classifier(model_dir)
    # A changed turn may be the same to the model: upper case is, to many a tokenizer.
    changes = profile.gate.behaviour
    remembering = challenger_model.remembering() if changes else challenger_model
    champion_model = Classifier(champion) if champion else None
    check_labels(challenger_model.labels, profile)
    answers = version_answers(Path(model_dir))
    predicted = mark_uncertain(
        predict_turns(remembering, tested, turns, _part(progress, 0, steps)),
        answers.uncertain_below,
    )
    noise = noise_bands(tested)
    challenger = measure(
        tested, predicted, profile.seed, columns, noise, answers, labels=profile.labels
    )
    metrics: dict[str, Any] = {
        "profile": profile.name,
        "configuration": profile.digest(),
        "model": tree_digest(Path(model_dir)),
        "part": part,
        "test_fold": profile.protocol.test if part == "test" else profile.protocol.holdout,
        "synthetic": synthetic,
        "recordings": len(tested),
        "utterances": len(challenger.right),
        "unscored_utterances": sum(len(r.utterances) for r in tested) - len(challenger.right),
        "turns": len(predicted),
        "layer_weights": layer_shares(model_dir),
        **challenger.metrics,
        "power": asdict(expected) if expected else None,
        "champion": None,
        "comparison": None,
    }
    if champion and champion_model:
        by_champion = predict_turns(champion_model, tested, turns, _part(progress, 1, steps))
        metrics |= compare_with_champion(
            challenger,
            tested,
            predicted,
            by_champion,
            champion_model.labels,
            profile.seed,
            columns,
            version_answers(Path(champion)),
        )
        metrics["champion"]["model"] = tree_digest(Path(champion))
    metrics["probe"] = measure_probe(
        Path(model_dir), tested, predicted, challenger, profile.seed, settings
    )
    behaviour, latency = {}, None
    if changes:
        behaviour = measure_behaviour(
            remembering,
            tested,
            predicted,
            changes.shares(),
            changes.max_turns,
            profile.transcribe.language,
        )
    if limits := profile.gate.latency:
        latency = measure_latency(
            challenger_model, champion_model, tested, predicted, limits.max_turns
        )
    metrics["behaviour"] = behaviour
    metrics["served"] = {"megabytes": served_megabytes(model_dir), "latency": latency}
    verdict = gate(metrics, profile.gate) if part == "test" else None
    return Evaluation(metrics, verdict, predicted, tested)


def headline(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The rates one looks at first, without those that have no value."""
    scores, words = metrics["scores"][DEFAULT], metrics["words"]
    parts = {name: metrics[name] for name in ("accuracy", "uar", "macro_f1", "weighted_f1")}
    parts |= {name: scores[name] for name in ("teer", "steer", "eder", "der", "cpwer")}
    parts |= {"wer": words["wer"], "word_speaker_accuracy": words["speaker_accuracy"]}
    rates = {name: part["rate"] for name, part in parts.items() if part is not None}
    return {name: rate for name, rate in rates.items() if rate is not None}


def check_gate(recordings: Sequence[Recording], gate: GateSettings) -> None:
    """Refuse a gate that asks for what is not there, before anything is worked on.

    Raises:
        InputError: a column of the manifest, or a check of somebody's own.
    """
    check_columns(recordings, (gate.slices and gate.slices.columns) or {})
    find_checks(gate.own or {})


def read_test_turns(
    turns: Path,
    recordings: Sequence[Recording],
    profile: Profile,
    part: HeldOutPart = "test",
) -> dict[str, list[Turn]]:
    """Read the turns of what is tested on, and no others; see `read_turns_of`.

    Raises:
        InputError: a recording's turns are missing or broken, or are of another recording.
    """
    tested = held_out_recordings(recordings, profile, part)
    return dict(read_turns_of(turns, [recording.name for recording in tested]))


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all; a number that JSON cannot hold is an error."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False))


def write_text(path: Path, text: str) -> None:
    """Write text, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def held_out_recordings(
    recordings: Sequence[Recording], profile: Profile, part: HeldOutPart = "test"
) -> list[Recording]:
    """The recordings of the test part, or of the holdout.

    Raises:
        InputError: none of their utterances has an emotion that is scored.
    """
    protocol = profile.protocol
    name = protocol.test if part == "test" else protocol.holdout
    if not name:
        raise InputError(
            f"profile {profile.name} sets no holdout aside; name protocol.holdout_fold or"
            " protocol.holdout_share, and train with it"
        )
    tested = [r for r in recordings if protocol.part(r.name, r.fold) == part]
    if not any(u.emotion in profile.labels for recording in tested for u in recording.utterances):
        folds = ", ".join(sorted({recording.fold for recording in recordings})) or "none"
        raise InputError(
            f"the {part} part ({name}) has no labelled utterance; the corpus has the folds"
            f" {folds}: name one of them as protocol.{part}_fold, or set protocol.{part}_share"
        )
    return tested


def _part(progress: Progress | None, step: int, steps: int) -> Progress | None:
    """Progress of one of several equal steps, as progress of the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(step * total + done, steps * total)
