"""Turns and reference utterances to labelled examples."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from pathlib import Path

from components.base import InputError, atomic_path
from components.conversation import (
    DEFAULT_LABELS,
    Recording,
    Seconds,
    Turn,
    Utterance,
    read_turns_of,
)

MIN_COVERAGE = 0.5
"""The share of a turn that its label must cover."""


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled stretch of a recording; its audio stays in the corpus, read by seeking.

    Attributes:
        utterance_id: the reference utterance that covers most of it.
        coverage: the share of it that its emotion's utterances cover, 0.5 to 1.
    """

    utterance_id: str
    recording: str
    fold: str
    speaker: str
    sex: str | None
    scripted: bool | None
    start: Seconds
    end: Seconds
    text: str
    emotion: str
    asr_confidence: float | None
    coverage: float


COLUMNS = tuple(field.name for field in fields(Example))


def label(
    turns: Iterable[Turn], recording: Recording, labels: Sequence[str] = DEFAULT_LABELS
) -> list[Example]:
    """The turns that have an emotion, as examples.

    A turn takes the emotion whose utterances cover most of it, if they cover at least half::

        reference   |---- sad ----|  |- angry -|
        turn           |-------------|               sad, coverage 0.75

    Turns that take none, or one that is none of the labels, are left out. The rest stay in order.

    >>> said = Utterance("u1", "call", 0.0, 4.0, "A", "F", "I am sorry", "sad")
    >>> recording = Recording("call", Path("call.wav"), "week-1", None, (said,))
    >>> turns = [Turn("call", 1.0, 5.0, "1", "am sorry"), Turn("call", 6.0, 7.0, "2", "oh")]
    >>> [(e.text, e.emotion, e.coverage) for e in label(turns, recording)]
    [('am sorry', 'sad', 0.75)]
    """
    examples = []
    for turn in turns:
        touching = [u for u in recording.utterances if _overlap(turn, u) > 0]
        if not touching:
            continue
        emotions = sorted({u.emotion for u in touching})
        # To a millionth, as alignment compares lengths: half is half, and a tie a tie.
        coverage = {name: round(_coverage(turn, touching, name), 6) for name in emotions}
        emotion = max(emotions, key=lambda name: coverage[name])
        if emotion not in labels or coverage[emotion] < MIN_COVERAGE:
            continue
        main = max((u for u in touching if u.emotion == emotion), key=lambda u: _overlap(turn, u))
        examples.append(
            Example(
                utterance_id=main.id,
                recording=recording.name,
                fold=recording.fold,
                speaker=main.speaker,
                sex=main.sex,
                scripted=recording.scripted,
                start=turn.start,
                end=turn.end,
                text=turn.words,
                emotion=emotion,
                asr_confidence=turn.asr_confidence,
                coverage=coverage[emotion],
            )
        )
    return examples


def label_corpus(
    turns: Path,
    recordings: Sequence[Recording],
    out: Path,
    labels: Sequence[str] = DEFAULT_LABELS,
) -> Counter[str]:
    """Label a corpus' turns and write them as Parquet with `COLUMNS`.

    Args:
        turns: as `read_turns_of` takes it.
        out: the Parquet file, written whole or not at all.
        labels: the profile's.

    Returns:
        How many examples there are of each emotion.

    Raises:
        InputError: a recording has no turns, or no turn has a label.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Turns are read once, in their file's order; examples stand in the corpus' order.
    by_name = {recording.name: recording for recording in recordings}
    labelled = {
        name: label(own, by_name[name], labels) for name, own in read_turns_of(turns, by_name)
    }
    examples = [example for name in by_name for example in labelled[name]]
    if not examples:
        raise InputError(
            f"{turns}: no turn overlaps a labelled utterance; do turns and corpus belong together?"
        )
    kinds = dict.fromkeys(("start", "end", "asr_confidence", "coverage"), pa.float64())
    kinds["scripted"] = pa.bool_()
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    with atomic_path(out) as temporary:
        table = pa.Table.from_pylist([asdict(example) for example in examples], schema=schema)
        pq.write_table(table, temporary)
    return Counter(example.emotion for example in examples)


def _overlap(turn: Turn, utterance: Utterance) -> Seconds:
    return min(turn.end, utterance.end) - max(turn.start, utterance.start)


def _coverage(turn: Turn, utterances: Sequence[Utterance], emotion: str) -> float:
    """The share of the turn within the union of the emotion's utterances."""
    covered, reach = 0.0, turn.start
    own = (utterance for utterance in utterances if utterance.emotion == emotion)
    for utterance in sorted(own, key=attrgetter("start")):
        end = min(turn.end, utterance.end)
        covered += max(0.0, end - max(reach, utterance.start))
        reach = max(reach, end)
    return covered / turn.duration
