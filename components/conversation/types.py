"""Words, speaker segments, turns; recordings and the utterances people labelled in them.

A recording on its time line::

    words       |hello|there|     |how|are|you|
    segments    |----- A -----|  |----- B -------|
    turns       |A hello there|   |B how are you|
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from components.base.storage import Location

Seconds = float
"""A time on a recording's line, or a length of it."""

Progress = Callable[[int, int], None]
"""Called as work goes on: how many are done, of how many."""

Emotion = str
"""A label: one of the profile's, or another one in a reference."""

DEFAULT_LABELS: tuple[Emotion, ...] = ("angry", "happy", "neutral", "sad")
"""The labels of a profile that names none, and of model versions that name none."""

EMOTIONS = DEFAULT_LABELS
"""By this name the code that a registry keeps with versions of before imports them."""

IGNORE = "ignore"
"""What a profile maps a name to whose utterances are neither trained on nor scored."""

NO_ANSWER = "none"
"""In tables, the answer of an utterance that has none, or none of the labels."""

MAX_SPEAKERS = 20
"""How many speakers may be asked for: command line and service take the same."""

MAX_VOICES = 100
"""The most speakers that segments of one recording may tell apart: every word is compared with
each of them."""

MAX_WORDS = 300_000
"""The most words of one transcript: a day of talk has fewer."""

MAX_PAUSE: Seconds = 3600
"""The longest pause that may be asked to belong to a turn."""

DOUBTFUL = 0.6
"""A speaker that is less probable than this gets a question mark where people read the turn."""

UNKNOWN = "unknown"
"""The speaker of a word where nobody speaks near it."""

EARLIEST: Seconds = -0.5
"""Where the first word or segment may begin: a model's first frame may start before 0."""

LATEST: Seconds = 1e7
"""The latest time in a recording: none lasts four months."""


def _check_span(kind: str, start: Seconds, end: Seconds) -> None:
    if not (math.isfinite(start) and math.isfinite(end)):
        raise ValueError(f"{kind} has a time that is not a number: {start}–{end}")
    if end < start:
        raise ValueError(f"{kind} ends before it starts: {start}–{end}")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as recognised. Times and score are None where the recogniser gave none.

    Attributes:
        space: what stands between it and the word before: a space, or nothing in languages that
            are written without (Chinese, Japanese, Thai …).
        speaker_confidence: how probable `speaker` is; None where that is not known.
    """

    text: str
    start: Seconds | None
    end: Seconds | None
    score: float | None = None
    speaker: str | None = None
    space: str = " "
    speaker_confidence: float | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None:
            _check_span(f"word “{self.text}”", self.start, self.end)


@dataclass(frozen=True, slots=True)
class AsrSegment:
    """A stretch of speech as the recogniser cut it, with its words in spoken order."""

    start: Seconds
    end: Seconds
    text: str
    words: tuple[Word, ...]

    def __post_init__(self) -> None:
        _check_span("segment", self.start, self.end)


@dataclass(frozen=True, slots=True, order=True)
class SpeakerSegment:
    """A stretch in which one speaker speaks; stretches of different speakers may overlap."""

    start: Seconds
    end: Seconds
    speaker: str

    def __post_init__(self) -> None:
        _check_span(f"segment of {self.speaker}", self.start, self.end)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says until another speaks or a pause grows too long.

    >>> Turn("call", 0.5, 2.0, "A", "hello there").duration
    1.5
    >>> Turn("call", 2.0, 0.5, "A", "hello there")
    Traceback (most recent call last):
    ValueError: turn of A in call ends before it starts: 2.0–0.5

    Attributes:
        session_id: the recording's name.
        words: the text: each word behind its `space`.
        emotion: one of the labels, or another one in a reference; None where not known.
        confidence: the probability of `emotion`.
        probabilities: the probability of each of the model's labels, in its order.
        asr_confidence: the mean score of the words that have one.
        speaker_confidence: how probable `speaker` is, the mean of the words'; None where that is
            not known.
        uncertain: True where the model says that it does not know: `emotion` is then its best
            guess. None where it is sure enough, or has no threshold.
    """

    session_id: str
    start: Seconds
    end: Seconds
    speaker: str
    words: str
    emotion: str | None = None
    confidence: float | None = None
    probabilities: Mapping[str, float] | None = None
    asr_confidence: float | None = None
    speaker_confidence: float | None = None
    uncertain: bool | None = None

    def __post_init__(self) -> None:
        _check_span(f"turn of {self.speaker} in {self.session_id}", self.start, self.end)

    @property
    def duration(self) -> Seconds:
        """Its length in seconds."""
        return self.end - self.start

    @property
    def doubtful_speaker(self) -> bool:
        """Whether it is about as likely that another one speaks.

        >>> Turn("call", 0.0, 1.2, "A", "so", speaker_confidence=0.55).doubtful_speaker
        True
        """
        return self.speaker_confidence is not None and self.speaker_confidence < DOUBTFUL

    def answered(self, row: Sequence[float] | np.ndarray, labels: Sequence[Emotion]) -> "Turn":
        """The turn with a model's answer: its most probable emotion, and all probabilities.

        >>> turn = Turn("call", 0.0, 1.2, "A", "hello").answered([0.3, 0.7], ["calm", "glad"])
        >>> turn.emotion, turn.confidence
        ('glad', 0.7)

        Args:
            row: [k], the probability of each label.
            labels: the model's k labels, in its order.

        Raises:
            ValueError: it is not one number for each label.
        """
        probabilities: dict[str, float] = dict(zip(labels, map(float, row), strict=True))
        emotion = max(probabilities, key=probabilities.__getitem__)
        confidence = probabilities[emotion]
        return replace(self, emotion=emotion, confidence=confidence, probabilities=probabilities)


def labels_of(turns: Iterable[Turn]) -> tuple[Emotion, ...]:
    """The labels that turns' probabilities name, in their order; the default ones if none does."""
    named = dict.fromkeys(label for turn in turns for label in turn.probabilities or ())
    return tuple(named) or DEFAULT_LABELS


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch that people transcribed and labelled: the reference.

    Attributes:
        sex: "F", "M" or None where not known.
        emotion: one of the profile's labels; any other one means that it is not scored.
    """

    id: str
    recording: str
    start: Seconds
    end: Seconds
    speaker: str
    sex: str | None
    text: str
    emotion: str

    def __post_init__(self) -> None:
        _check_span(f"utterance {self.id}", self.start, self.end)

    def as_turn(self) -> Turn:
        """The same stretch as a reference turn."""
        span = self.start, self.end
        return Turn(self.recording, *span, self.speaker, words=self.text, emotion=self.emotion)


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded conversation and its reference.

    Attributes:
        audio: its file, or the URL of an object.
        fold: the part of the corpus that is held out together (IEMOCAP: the session).
        scripted: read from a script (True), improvised (False), not known (None).
        columns: what else the manifest says of it, each a name and a value: its customer, its
            channel.
    """

    name: str
    audio: Location
    fold: str
    scripted: bool | None
    utterances: tuple[Utterance, ...]
    columns: tuple[tuple[str, str], ...] = ()

    def column(self, name: str) -> str | None:
        """What the manifest says in a column of its own; None where it says nothing."""
        return dict(self.columns).get(name)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The reference speakers, in label order."""
        return tuple(sorted({u.speaker for u in self.utterances}))

    @property
    def stretches(self) -> tuple[tuple[Seconds, Seconds], ...]:
        """Start and end of the reference utterances, in order; they may overlap.

        Where two utterances begin and end together there is one stretch.
        """
        return tuple(sorted({(u.start, u.end) for u in self.utterances if u.end > u.start}))
