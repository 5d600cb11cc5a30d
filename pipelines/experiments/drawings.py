"""What the report draws, laid out: learning curves, differences, timelines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.conversation import Recording, Turn
from components.reporting.timeline import Timeline, timeline
from components.scoring import Faults, by_recording, find_faults, map_speakers
from pipelines.experiments.explain import is_noise
from pipelines.experiments.results import Results, SystemResult
from pipelines.experiments.systems import DIFFERENCES, System, Way

SHOWN = 3
"""Recordings that the two ways are compared on."""

WIDTH, HEIGHT = 300, 130
"""Of a panel of curves, in the drawing's units."""


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: its points as SVG takes them, what it is of, and where its best epoch lies."""

    points: str
    kind: str
    title: str
    best: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves over epochs with their axes."""

    title: str
    lines: tuple[Line, ...]
    top: str
    epochs: int


def curves(result: SystemResult) -> dict[str, Any]:
    """A system's learning curves, one line a fold and seed."""
    histories = [(o.unit, o.best_epoch, o.history) for o in result.outcomes]
    epochs = max(len(history) for _, _, history in histories)
    losses = [
        entry[key]
        for _, _, history in histories
        for entry in history
        for key in ("training_loss", "validation_loss")
        if key in entry
    ]
    highest = max(losses, default=1.0)
    score: list[Line] = []
    loss: list[Line] = []
    for unit, best, history in histories:
        name = f"without {unit.test_fold}, epoch chosen on {unit.validation_fold}"
        at = next(i for i, entry in enumerate(history) if entry["epoch"] == best)
        values = [entry["validation_macro_f1"] for entry in history]
        score.append(
            Line(
                _points(values, epochs, 1.0),
                "validation",
                f"{name}: best epoch {best}, {100 * values[at]:.1f} %",
                _point(at, values[at], epochs, 1.0),
            )
        )
        for kind in ("training", "validation"):
            values = [entry[f"{kind}_loss"] for entry in history if f"{kind}_loss" in entry]
            loss.append(Line(_points(values, epochs, highest), kind, f"{name}: {kind} loss"))
    return {
        "title": result.numbers["title"],
        "panels": (
            Panel("macro F1 on the validation fold", tuple(score), "100 %", epochs),
            Panel("loss", tuple(loss), f"{highest:.2f}", epochs),
        ),
    }


def _points(values: Sequence[float], epochs: int, highest: float) -> str:
    return " ".join(
        f"{x:.1f},{y:.1f}"
        for x, y in (_point(i, value, epochs, highest) for i, value in enumerate(values))
    )


def _point(place: int, value: float, epochs: int, highest: float) -> tuple[float, float]:
    return WIDTH * place / max(1, epochs - 1), HEIGHT * (1 - value / highest)


def forest(results: Results) -> list[dict[str, Any]]:
    """Differences between systems with their intervals, on one scale around 0."""
    rows = []
    for (first, second), tests in results.comparisons.items():
        for key, name in (("accuracy", "accuracy"), ("macro_f1", "macro F1")):
            if tests[key]["interval"] is not None:
                title = f"{first.title} less {second.title}"
                rows.append({"title": title, "rate": name, "noise": is_noise(tests[key]),
                             **tests[key]})  # fmt: skip
    ends = [abs(row["interval"][end]) for row in rows for end in ("low", "high")]
    scale = max(ends, default=0.0) or 1.0
    for row in rows:
        row["at"] = {
            "low": 50 + 48 * row["interval"]["low"] / scale,
            "high": 50 + 48 * row["interval"]["high"] / scale,
            "middle": 50 + 48 * row["difference"] / scale,
        }
    return rows


@dataclass(frozen=True, slots=True)
class Spoken:
    """A turn of a transcript, and what is wrong with it."""

    turn: Turn
    speaker: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One system on one recording."""

    title: str
    timeline: Timeline
    transcript: tuple[Spoken, ...]


def comparison_timelines(results: Results) -> list[tuple[str, tuple[Side, ...]]]:
    """The recordings in which the two ways' turns differ most, as each system has them.

    How much they differ: the utterances that are whole in one way's turns and not in the other's.
    """
    pair = next(
        (pair for pair in DIFFERENCES if pair in results.comparisons
         and {s.way for s in pair} == {Way.ALIGNED, Way.BASELINE}),
        None,
    )  # fmt: skip
    if pair is None:
        return []
    utterances = [u for recording in results.recordings for u in recording.utterances]
    differ: dict[str, int] = {}
    ways = (results.faults[system.way].utterances for system in pair)
    for utterance, one, other in zip(utterances, *ways, strict=True):
        own = differ.setdefault(utterance.recording, 0)
        differ[utterance.recording] = own + (one.whole != other.whole)
    ranked = sorted(results.recordings, key=lambda r: (-differ.get(r.name, 0), r.name))
    return [
        (recording.name, tuple(_side(results.systems[s], s, recording) for s in reversed(pair)))
        for recording in ranked[:SHOWN]
    ]


def _side(result: SystemResult, system: System, recording: Recording) -> Side:
    turns = by_recording(result.turns).get(recording.name, [])
    faults: Faults = find_faults(recording.utterances, turns)
    mapping = map_speakers([u.as_turn() for u in recording.utterances], turns)
    transcript = []
    for turn, found in zip(turns, faults.turns, strict=True):
        says = []
        if found.speakers > 1:
            says.append(f"of {found.speakers} speakers")
        if found.misattributed:
            says.append(f"{found.misattributed} words of another speaker")
        if found.emotions > 1:
            says.append(f"over {found.emotions} emotions")
        if found.pauses:
            says.append(f"across {found.pause_seconds:.1f} s of silence")
        transcript.append(Spoken(turn, mapping.get(turn.speaker, turn.speaker), tuple(says)))
    return Side(system.title, timeline(recording, turns), tuple(transcript))
