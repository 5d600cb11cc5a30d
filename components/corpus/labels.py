"""What a profile makes of the labels in a corpus."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches

from components.base import InputError
from components.config import LabelStep
from components.conversation import FEEDBACK, Recording

UNLABELLED = "unlabelled"

NO_LABEL = ("other", "undecided", "unknown", UNLABELLED)
"""Names that say that an utterance has none of the labels; they need not be mapped."""

SET = "set"
"""The column of a manifest that names the published set it was imported from."""


def with_labels(recordings: Sequence[Recording], step: LabelStep) -> list[Recording]:
    """The recordings with the labels that a profile gives their utterances.

    Utterances that have none of the labels keep their name; they are neither trained on nor scored.

    Raises:
        InputError: a name that the profile neither lists nor maps, in a corpus of somebody's own;
            see `unknown_labels`.
    """
    if lines := list(unknown_labels(recordings, step)):
        more = f" (and {len(lines) - 1} more such labels)" if len(lines) > 1 else ""
        raise InputError(lines[0] + more)
    return [
        replace(
            recording,
            utterances=tuple(
                replace(u, emotion=step.meaning(u.emotion)) for u in recording.utterances
            ),
        )
        for recording in recordings
    ]


def unknown_labels(recordings: Iterable[Recording], step: LabelStep) -> Iterator[str]:
    """A line for each name that may be a mistake, since the profile neither lists nor maps it.

    A published set has the names it has: of those only the ones that are spelled much like a label
    may be a mistake. What came back from traffic may have the labels of an older version.
    """
    counts = Counter(
        (utterance.emotion, recording.name)
        for recording in recordings
        if recording.fold != FEEDBACK
        for utterance in recording.utterances
        if not step.knows(utterance.emotion)
        and utterance.emotion not in NO_LABEL
        and (recording.column(SET) is None or _near(utterance.emotion, step))
    )
    for name in sorted({name for name, _ in counts}):
        own = {place: count for (other, place), count in counts.items() if other == name}
        near = _near(name, step)
        meant = f" (is {near[0]} meant?)" if near else ""
        yield (
            f"{min(own)}: the label {name!r}, of {sum(own.values())} utterances, is neither listed"
            f" nor mapped by the profile{meant}; list it in labels ({', '.join(step.labels)}), or"
            f" map it: label_map: {{{name}: {near[0] if near else step.labels[0]}}}, or to ignore"
        )


def _near(name: str, step: LabelStep) -> list[str]:
    """The label that is spelled much like a name; [] if none is."""
    return get_close_matches(name.lower(), step.labels, 1)


def unscored_labels(recordings: Iterable[Recording], step: LabelStep) -> str:
    """The names that are neither trained on nor scored, with their counts; "" where all are."""
    counts = Counter(
        u.emotion for r in recordings for u in r.utterances if u.emotion not in step.labels
    )
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
