"""Ways to cut the test set into parts, each with its own numbers."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from components.conversation import Recording, Seconds, Utterance
from components.scoring import Classification, UtterancePrediction, classification
from components.scoring.classification import accuracy, macro_f1, uar, weighted_f1

LONG: Seconds = 3.0
"""A long utterance lasts at least this."""

SURE = 0.8
"""Words are recognised with low confidence where their scores' mean is below this."""

RATES = {"accuracy": accuracy, "uar": uar, "macro_f1": macro_f1, "weighted_f1": weighted_f1}

Scored = tuple[Utterance, Recording, UtterancePrediction]
"""An utterance that is scored, the recording it is in, and a system's answer."""


def _asr_confidence(_: Utterance, __: Recording, answer: UtterancePrediction) -> str | None:
    if answer.asr_confidence is None:
        return None
    return "high" if answer.asr_confidence >= SURE else "low"


STYLES = {None: None, True: "scripted", False: "improvised"}

SLICES: dict[str, Callable[[Utterance, Recording, UtterancePrediction], str | None]] = {
    "sex": lambda utterance, _, __: utterance.sex,
    "fold": lambda _, recording, __: recording.fold,
    "style": lambda _, recording, __: STYLES[recording.scripted],
    "length": lambda utterance, _, __: (
        "long" if utterance.end - utterance.start >= LONG else "short"
    ),
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
    slices: dict[str, dict[str, Any]] = {}
    for name, part_of in SLICES.items():
        parts: dict[str, list[Scored]] = defaultdict(list)
        for one in scored:
            if (part := part_of(*one)) is not None:
                parts[part].append(one)
        numbers = {part: classify(parts[part]).to_json() for part in sorted(parts)}
        slices[name] = {
            part: {rate: all_numbers[rate] for rate in RATES}
            for part, all_numbers in numbers.items()
        }
    return slices
