"""What the report draws: learning curves, and time lines of two methods side by side."""

from collections import Counter
from typing import Any

from components.conversation import Recording
from components.reporting.charts import Curve, curves_chart
from components.reporting.page import percent
from components.reporting.timeline import timeline
from components.scoring import find_faults, map_speakers
from pipelines.experiments.results import Results, SystemResult
from pipelines.experiments.systems import DIFFERENCES, TurnMethod

MAX_COMPARED = 3
"""Recordings that two methods are compared on."""


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
    title = result.numbers["title"]
    panels = (("macro F1 on the validation fold", score, 1.0), ("loss", loss, 1.05 * highest))
    return {
        "title": title,
        "panels": [
            {"title": name, "chart": curves_chart(f"{name}, {title}", lines, top)}
            for name, lines, top in panels
        ],
    }


def comparison_timelines(results: Results) -> list[tuple[str, list[dict[str, Any]]]]:
    """The recordings in which turns with and without alignment differ most, from each system.

    They differ by the number of utterances that are whole in the turns of one method only.
    """
    compared = {TurnMethod.ALIGNED, TurnMethod.BASELINE}
    pairs = [pair for pair in DIFFERENCES if pair in results.comparisons
             and {system.method for system in pair} == compared]  # fmt: skip
    if not pairs:
        return []
    first, second = pairs[0]
    utterances = [u for recording in results.recordings for u in recording.utterances]
    faults = (results.faults[system.method].utterances for system in (first, second))
    differ = Counter(
        utterance.recording
        for utterance, one, other in zip(utterances, *faults, strict=True)
        if one.whole != other.whole
    )
    ranked = sorted(results.recordings, key=lambda r: (-differ[r.name], r.name))
    return [
        (
            recording.name,
            [_side(results.systems[s], recording, results.labels) for s in (second, first)],
        )
        for recording in ranked[:MAX_COMPARED]
    ]


def _side(result: SystemResult, recording: Recording, labels: tuple[str, ...]) -> dict[str, Any]:
    """One system on one recording: its time line, and each turn with what is wrong with it."""
    turns = [turn for turn in result.turns if turn.session_id == recording.name]
    mapping = map_speakers([u.as_turn() for u in recording.utterances], turns)
    faults_of_turns = find_faults(recording.utterances, turns, labels).turns
    transcript = []
    for turn, fault in zip(turns, faults_of_turns, strict=True):
        faults = {
            f"of {fault.speakers} speakers": fault.speakers > 1,
            f"{fault.misattributed} words of another speaker": fault.misattributed,
            f"over {fault.emotions} emotions": fault.emotions > 1,
            f"across {fault.pause_seconds:.1f} s of silence": fault.pauses,
        }
        texts = [text for text, holds in faults.items() if holds]
        speaker = mapping.get(turn.speaker, turn.speaker)
        transcript.append({"turn": turn, "speaker": speaker, "faults": texts})
    line = timeline(recording, turns, labels)
    return {"title": result.numbers["title"], "timeline": line, "transcript": transcript}
