"""A recording's reference and turns, one above the other, as lanes for an SVG drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.conversation import DEFAULT_LABELS, Recording, Seconds, Turn
from components.scoring import map_speakers, utterance_predictions

TICK_SECONDS: tuple[Seconds, ...] = (1, 2, 5, 10, 30, 60, 120, 300, 600)
MAX_TICKS = 12


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch: where it lies in percent of the recording, its emotion, what a pointer shows."""

    left: float
    width: float
    emotion: str
    title: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One speaker's bars."""

    name: str
    reference: bool
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A recording, drawn.

    Attributes:
        ticks: positions in percent and their times.
        right: how many of its scored utterances were answered rightly.
        scored: how many are scored.
    """

    name: str
    seconds: Seconds
    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    right: int
    scored: int


def timeline(
    recording: Recording, turns: Sequence[Turn], labels: Sequence[str] = DEFAULT_LABELS
) -> Timeline:
    """Lay a recording out: each reference speaker, under it the speaker mapped to it.

    An utterance's mark says how it was answered: "✓", "✗", "?" for no answer, none if not scored.

    Args:
        labels: the emotions that are scored.
    """
    length = max([1.0, *(u.end for u in recording.utterances), *(t.end for t in turns)])
    scored_answers = utterance_predictions(recording.utterances, turns, labels)
    by_speaker: dict[str, list[Bar]] = {speaker: [] for speaker in recording.speakers}
    right = scored = 0
    for utterance, answer in zip(recording.utterances, scored_answers, strict=True):
        mark = ""
        if utterance.emotion in labels:
            scored += 1
            right += answer.emotion == utterance.emotion
            mark = "?" if answer.emotion is None else "✗✓"[answer.emotion == utterance.emotion]
        by_speaker[utterance.speaker].append(_bar(utterance.as_turn(), length, mark))
    mapping = map_speakers([u.as_turn() for u in recording.utterances], turns)
    hypothesis_of = {reference: speaker for speaker, reference in mapping.items()}
    lanes = []
    for speaker, bars in by_speaker.items():
        lanes.append(Lane(speaker, True, tuple(bars)))
        if speaker in hypothesis_of:
            lanes.append(_lane("↳ ", hypothesis_of[speaker], turns, length))
    extra = sorted({turn.speaker for turn in turns} - set(mapping))
    lanes.extend(_lane("unmapped ", speaker, turns, length) for speaker in extra)
    return Timeline(recording.name, length, tuple(lanes), _ticks(length), right, scored)


def _lane(prefix: str, speaker: str, turns: Sequence[Turn], length: Seconds) -> Lane:
    bars = tuple(_bar(turn, length) for turn in turns if turn.speaker == speaker)
    return Lane(prefix + speaker, False, bars)


def _bar(turn: Turn, length: Seconds, mark: str = "") -> Bar:
    emotion = turn.emotion or "no emotion"
    sure = "" if turn.confidence is None else f" ({turn.confidence:.0%})"
    sure = f"?{sure}" if turn.uncertain else sure
    return Bar(
        left=round(100 * turn.start / length, 3),
        width=round(max(100 * turn.duration / length, 0.05), 3),
        emotion=turn.emotion or "unknown",
        title=f"{turn.start:.2f}–{turn.end:.2f} s · {emotion}{sure}: {turn.words}",
        mark=mark,
    )


def _ticks(length: Seconds) -> tuple[tuple[float, str], ...]:
    step = next((tick for tick in TICK_SECONDS if length / tick <= MAX_TICKS), TICK_SECONDS[-1])
    count = int(length / step)
    return tuple(
        (round(100 * i * step / length, 3), f"{int(i * step // 60)}:{int(i * step % 60):02d}")
        for i in range(count + 1)
    )
