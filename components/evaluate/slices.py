"""Ways to cut the test set into parts, each with its own numbers."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from components.base import InputError
from components.conversation import DEFAULT_LABELS, Recording, Seconds, Utterance
from components.scoring import Classification, UtterancePrediction, classification
from components.scoring.classification import accuracy, macro_f1, uar, weighted_f1

LONG: Seconds = 3.0
"""A long utterance lasts at least this."""

SURE = 0.8
"""Words are recognised with low confidence where their scores' mean is below this."""

MAX_PARTS = 100
"""Of a slicing by a column of the manifest."""

RATES = {"accuracy": accuracy, "uar": uar, "macro_f1": macro_f1, "weighted_f1": weighted_f1}

Scored = tuple[Utterance, Recording, UtterancePrediction]
"""An utterance that is scored, the recording it is in, and a system's answer."""


def _asr_confidence(_: Utterance, __: Recording, answer: UtterancePrediction) -> str | None:
    if answer.asr_confidence is None:
        return None
    return "high" if answer.asr_confidence >= SURE else "low"


STYLES = {None: None, True: "scripted", False: "improvised"}

PartOf = Callable[[Utterance, Recording, UtterancePrediction], str | None]

SLICES: dict[str, PartOf] = {
    "set": lambda _, recording, __: recording.column("set"),
    "language": lambda _, recording, __: recording.column("language"),
    "sex": lambda utterance, _, __: utterance.sex,
    "fold": lambda _, recording, __: recording.fold,
    "style": lambda _, recording, __: STYLES[recording.scripted],
    "length": lambda utterance, _, __: (
        "long" if utterance.end - utterance.start >= LONG else "short"
    ),
    "asr_confidence": _asr_confidence,
}
"""The part that an utterance belongs to; None where it is not known. Beside them there are `noise`
(see `noise_bands`), which takes the sound, and the columns of a manifest."""

NOISE = "noise"


def classify(scored: Sequence[Scored], labels: Sequence[str]) -> Classification:
    """Count the answers of scored utterances."""
    return classification(
        [utterance.emotion for utterance, _, _ in scored],
        [answer.emotion for _, _, answer in scored],
        labels,
    )


def _by_column(name: str) -> PartOf:
    return lambda _, recording, __: recording.column(name)


def check_columns(recordings: Sequence[Recording], columns: Iterable[str]) -> None:
    """Refuse a slicing by a column that the corpus lacks, or that has too many values.

    Raises:
        InputError: it names the column, and those that there are.
    """
    known = {name for recording in recordings for name, _ in recording.columns}
    for name in columns:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise InputError(
                f"gate: slices.columns.{name}: the corpus' manifest has no such column (there:"
                f" {there})"
            )
        count = len({recording.column(name) for recording in recordings} - {None})
        if count > MAX_PARTS:
            raise InputError(
                f"gate: slices.columns.{name}: has {count} values; name a column with {MAX_PARTS}"
                " at most, each of which is a check"
            )


def measure_slices(
    scored: Sequence[Scored],
    columns: Iterable[str] = (),
    noise: Mapping[str, str] | None = None,
    labels: Sequence[str] = DEFAULT_LABELS,
) -> dict[str, Any]:
    """Each slicing's parts with their numbers, ready for JSON.

    Args:
        columns: of the manifest, by whose values the test set is cut, too.
        noise: the band of each utterance's signal-to-noise ratio, by its name.
        labels: the emotions that are scored.
    """
    slices: dict[str, dict[str, Any]] = {}
    bands = dict(noise or {})
    others: dict[str, PartOf] = {f"columns.{name}": _by_column(name) for name in columns}
    others[NOISE] = lambda utterance, _, __: bands.get(utterance.id)
    for name, part_of in {**SLICES, **others}.items():
        parts: dict[str, list[Scored]] = defaultdict(list)
        for one in scored:
            if (part := part_of(*one)) is not None:
                parts[part].append(one)
        numbers = {part: classify(parts[part], labels).to_json() for part in sorted(parts)}
        slices[name] = {
            part: {rate: all_numbers[rate] for rate in RATES}
            for part, all_numbers in numbers.items()
        }
    return slices
