"""Ways to cut the test set into parts, each with its own numbers."""

from collections.abc import Callable, Sequence
from typing import Any

from components.conversation import Recording, Seconds, Utterance
from components.scoring import Classification, UtterancePrediction, classification

LONG: Seconds = 3.0
"""A long utterance lasts at least this."""

SURE = 0.8
"""Words are recognised with low confidence where their scores' mean is below this."""

Scored = tuple[Utterance, Recording, UtterancePrediction]
"""An utterance that is scored, the recording it is in, and a system's answer."""


def _style(_: Utterance, recording: Recording, __: UtterancePrediction) -> str | None:
    if recording.scripted is None:
        return None
    return "scripted" if recording.scripted else "improvised"


def _length(utterance: Utterance, _: Recording, __: UtterancePrediction) -> str:
    return "long" if utterance.end - utterance.start >= LONG else "short"


def _asr_confidence(_: Utterance, __: Recording, answer: UtterancePrediction) -> str | None:
    if answer.asr_confidence is None:
        return None
    return "high" if answer.asr_confidence >= SURE else "low"


SLICES: dict[str, Callable[[Utterance, Recording, UtterancePrediction], str | None]] = {
    "sex": lambda utterance, _, __: utterance.sex,
    "fold": lambda _, recording, __: recording.fold,
    "style": _style,
    "length": _length,
    "asr_confidence": _asr_confidence,
}
"""The part that an utterance belongs to; None where it is not known."""


def classify(scored: Sequence[Scored]) -> Classification:
    """Count the answers of scored utterances."""
    return classification(
        [utterance.emotion for utterance, _, _ in scored],
        [answer.emotion for _, _, answer in scored],
    )


def measure_slices(scored: Sequence[Scored]) -> dict[str, Any]:
    """Each slicing's parts with their numbers, ready for JSON."""
    return {name: _slice(scored, key) for name, key in SLICES.items()}


def _slice(
    scored: Sequence[Scored], key: Callable[[Utterance, Recording, UtterancePrediction], str | None]
) -> dict[str, Any]:
    groups: dict[str, list[Scored]] = {}
    for one in scored:
        name = key(*one)
        if name is not None:
            groups.setdefault(name, []).append(one)
    parts = {}
    for name in sorted(groups):
        part = classify(groups[name])
        parts[name] = {
            "accuracy": part.accuracy.to_json(),
            "uar": part.uar,
            "macro_f1": part.macro_f1,
            "weighted_f1": part.weighted_f1,
        }
    return parts
