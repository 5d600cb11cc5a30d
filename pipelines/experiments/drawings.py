"""What the report draws: learning curves, and time lines of the two ways side by side."""

from dataclasses import dataclass
from typing import Any

from components.conversation import Recording, Turn
from components.reporting.charts import Curve, curves_chart
from components.reporting.page import percent
from components.reporting.timeline import Timeline, timeline
from components.scoring import Faults, find_faults, map_speakers, turns_by_recording
from pipelines.experiments.results import Results, SystemResult
from pipelines.experiments.systems import DIFFERENCES, System, Way

SHOWN = 3
"""Recordings that the two ways are compared on."""


def curves(result: SystemResult) -> dict[str, Any]:
    """A system's learning curves, one line a fold and seed."""
    score: list[Curve] = []
    loss: list[Curve] = []
    for outcome in result.outcomes:
        unit, history = outcome.unit, outcome.history
        name = f"without {unit.test_fold}, epoch chosen on {unit.validation_fold}"
        values = [entry["validation_macro_f1"] for entry in history]
        best = next(i for i, e in enumerate(history, 1) if e["epoch"] == outcome.best_epoch)
        title = f"{name}: best epoch {best}, {percent(values[best - 1])}"
        score.append(Curve(values, title, best=best))
        for kind in ("training", "validation"):
            losses = [entry[f"{kind}_loss"] for entry in history if f"{kind}_loss" in entry]
            loss.append(Curve(losses, f"{name}: {kind} loss", dashed=kind == "training"))
    highest = max((value for curve in loss for value in curve.values), default=1.0)
    panels = {"macro F1 on the validation fold": (score, 1.0), "loss": (loss, 1.05 * highest)}
    title = result.numbers["title"]
    return {
        "title": title,
        "panels": [
            {"title": name, "chart": curves_chart(f"{name}, {title}", lines, top)}
            for name, (lines, top) in panels.items()
        ],
    }


@dataclass(frozen=True, slots=True)
class MarkedTurn:
    """A turn of a transcript, and what is wrong with it."""

    turn: Turn
    speaker: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SystemOnRecording:
    """One system on one recording."""

    title: str
    timeline: Timeline
    transcript: tuple[MarkedTurn, ...]


def comparison_timelines(results: Results) -> list[tuple[str, tuple[SystemOnRecording, ...]]]:
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


def _side(result: SystemResult, system: System, recording: Recording) -> SystemOnRecording:
    turns = turns_by_recording(result.turns).get(recording.name, [])
    faults: Faults = find_faults(recording.utterances, turns)
    mapping = map_speakers([u.as_turn() for u in recording.utterances], turns)
    transcript = []
    for turn, fault in zip(turns, faults.turns, strict=True):
        texts = []
        if fault.speakers > 1:
            texts.append(f"of {fault.speakers} speakers")
        if fault.misattributed:
            texts.append(f"{fault.misattributed} words of another speaker")
        if fault.emotions > 1:
            texts.append(f"over {fault.emotions} emotions")
        if fault.pauses:
            texts.append(f"across {fault.pause_seconds:.1f} s of silence")
        transcript.append(MarkedTurn(turn, mapping.get(turn.speaker, turn.speaker), tuple(texts)))
    return SystemOnRecording(system.title, timeline(recording, turns), tuple(transcript))
