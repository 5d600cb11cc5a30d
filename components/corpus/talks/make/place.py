"""When everything in a dialogue is said, given how long it takes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from components.conversation import SAMPLE_RATE, Seconds, Word
from components.corpus.demo.make.mix import LEAD
from components.corpus.demo.make.voices import SpokenText
from components.corpus.talks.make.plan import UNLABELLED, DialoguePlan, Sentence

MOST_OVERLAP = 0.45
"""The most that a turn may overlap the one before, as a share of the shorter of both."""

MOST_WITH_BACKCHANNEL = 0.25
"""The same where one of both has a backchannel, which needs time that is free."""

Say = Callable[[Sentence, str], SpokenText]
"""Speaks a sentence, given the speaker."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A turn or a backchannel at its place.

    Attributes:
        speaker: a letter.
        label: its emotion, or `UNLABELLED`.
        first: its first sample in the dialogue.
        sound: float32, 16 kHz.
        words: with their times in the dialogue, in seconds.
    """

    speaker: str
    label: str
    first: int
    sound: np.ndarray
    words: tuple[Word, ...]

    @property
    def last(self) -> int:
        """The sample after its end."""
        return self.first + self.sound.size

    @property
    def start(self) -> Seconds:
        """In the dialogue."""
        return self.first / SAMPLE_RATE

    @property
    def end(self) -> Seconds:
        """In the dialogue."""
        return self.last / SAMPLE_RATE

    @property
    def text(self) -> str:
        """All of its words."""
        return " ".join(word.text for word in self.words)


def perform(dialogue: DialoguePlan, say: Say) -> list[Utterance]:
    """Speak a dialogue: its utterances in order of start.

    Nobody speaks over themselves, and at most two people have the floor. A backchannel lies inside
    the turn that it is said in, after the turn before it and before the turn after it.

    Raises:
        ValueError: a turn leaves no time for its backchannels.
    """
    floor: list[Utterance] = []
    hosts = [bool(turn.backchannels) for turn in dialogue.turns]
    for place, turn in enumerate(dialogue.turns):
        spoken = _joined([(s.pause, say(s, turn.speaker)) for s in turn.sentences])
        first = round(LEAD * SAMPLE_RATE)
        if floor:
            share = MOST_WITH_BACKCHANNEL if any(hosts[place - 1 : place + 1]) else MOST_OVERLAP
            most = share * min(floor[-1].sound.size, spoken.sound.size)
            first = floor[-1].last + round(max(turn.gap * SAMPLE_RATE, -most))
        floor.append(_placed(turn.speaker, turn.label, first, spoken))
    listeners = []
    for place, (turn, host) in enumerate(zip(dialogue.turns, floor, strict=True)):
        after = max([host.first, *(u.last for u in floor[:place])])
        before = min([host.last, *(u.first for u in floor[place + 1 :])])
        for backchannel in turn.backchannels:
            spoken = say(backchannel.sentence, backchannel.speaker)
            room = before - after - spoken.sound.size
            if room < 0:
                raise ValueError(f"{dialogue.name}: no time for a backchannel in turn {place}")
            first = after + round(backchannel.at * room)
            listeners.append(_placed(backchannel.speaker, UNLABELLED, first, spoken))
    return sorted([*floor, *listeners], key=lambda utterance: (utterance.first, utterance.last))


def _joined(parts: list[tuple[Seconds, SpokenText]]) -> SpokenText:
    """Sentences one after the other, each after its pause."""
    pieces: list[np.ndarray] = []
    words: list[Word] = []
    samples = 0
    for pause, spoken in parts:
        silence = np.zeros(round(pause * SAMPLE_RATE), np.float32)
        words += _shifted(spoken.words, (samples + silence.size) / SAMPLE_RATE, None)
        pieces += [silence, spoken.sound]
        samples += silence.size + spoken.sound.size
    return SpokenText(np.concatenate(pieces), tuple(words))


def _placed(speaker: str, label: str, first: int, spoken: SpokenText) -> Utterance:
    words = _shifted(spoken.words, first / SAMPLE_RATE, speaker)
    return Utterance(speaker, label, first, spoken.sound, words)


def _shifted(words: tuple[Word, ...], shift: Seconds, speaker: str | None) -> tuple[Word, ...]:
    return tuple(
        Word(word.text, round(word.start + shift, 4), round(word.end + shift, 4), 1.0, speaker)
        for word in words
        if word.start is not None and word.end is not None
    )
