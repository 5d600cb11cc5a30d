"""What is said in the conversations, by whom, how and when: everything but the sound.

A plan is a pure function of a seed and of `texts.toml`. Each session has two dialogues of two and
two of three speakers. A pair of them has twelve turns of one to six sentences, three of each
emotion. Four turns are interrupted and taken up again, and eight backchannels are said while
another has the floor.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise

import numpy as np

from components.conversation import Seconds
from components.corpus.demo.make.plan import LABELS, Prosody, manner

SEED = 20261130

SIZES = (1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 6)
"""Sentences of the turns of two dialogues."""

SPEAKERS = {"two": "AB", "three": "ABC"}
"""A pair of dialogues, and who speaks in them; each session has two pairs."""

INTERRUPTED = 2
"""Turns of each dialogue that are interrupted and taken up again."""

BACKCHANNELS = ("Yeah.", "Yeah.", "Yeah.", "Mhm.", "Mhm.", "Okay.", "Right.", "Hmm.", "Oh yeah.")
"""What listeners say, about as often as in AMI (`mhm` stands for `mm-hmm`)."""

PER_DIALOGUE = 4
"""Backchannels of each dialogue."""

WORDS_FOR_A_BACKCHANNEL = 10
"""A backchannel needs a turn of so many words, each further one as many more."""

UNLABELLED = "unlabelled"
"""The label of backchannels: nothing is scored on them."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, or a part of one, in one manner; `pause` seconds of silence come before it."""

    text: str
    prosody: Prosody
    pause: Seconds


@dataclass(frozen=True, slots=True)
class Backchannel:
    """What a listener says in a turn; `at`: where in the time that is free for it, 0 to 1."""

    speaker: str
    sentence: Sentence
    at: float


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """An utterance of the speaker who has the floor.

    Attributes:
        speaker: a letter.
        label: what its strongest part says.
        gap: seconds from the latest end so far to its start; negative where it begins too
            early; the first turn's is 0.
        sentences: in order; the last may be broken off.
        backchannels: said while it lasts, in order.
    """

    speaker: str
    label: str
    gap: Seconds
    sentences: tuple[Sentence, ...]
    backchannels: tuple[Backchannel, ...] = ()

    @property
    def text(self) -> str:
        """All of its words."""
        return " ".join(sentence.text for sentence in self.sentences)


@dataclass(frozen=True, slots=True)
class DialoguePlan:
    """A dialogue: its name (`Talk1_two1`), its session's number, its turns in order."""

    name: str
    session: int
    turns: tuple[TurnPlan, ...]


def build_plan(seed: int = SEED) -> list[DialoguePlan]:
    """The whole corpus for a seed: twenty dialogues."""
    texts = tomllib.loads(resources.files(__package__).joinpath("texts.toml").read_text("utf-8"))
    rng = np.random.default_rng(seed)
    dialogues = []
    pairs = [
        (session, number, pools)
        for session, both in enumerate(texts.values(), start=1)
        for number, pools in enumerate(both, start=1)
    ]
    for session, number, pools in pairs:
        said = _said(pools, rng)
        for index, (name, speakers) in enumerate(SPEAKERS.items()):
            own = said[index * 6 : index * 6 + 6]
            early = 2 - (session + index) % 2
            turns = _turns(own, speakers, early, rng)
            dialogues.append(DialoguePlan(f"Talk{session}_{name}{number}", session, turns))
    return dialogues


def _said(
    pools: Mapping[str, list[str]], rng: np.random.Generator
) -> list[tuple[str, list[Sentence]]]:
    """A pair's turns, shuffled: the label and the sentences of each.

    Within a turn the emotion rises. Two of an emotion's three turns end with a sentence that says
    it; the third has plain words only.
    """
    left = {
        emotion: [str(text) for text in rng.permutation(pool)] for emotion, pool in pools.items()
    }
    labels = [label for label in LABELS for _ in range(3)]
    turns = []
    for label, size in zip(labels, rng.permutation(SIZES), strict=True):
        full = rng.uniform(0.8, 1.2)
        sentences = []
        for index in range(size):
            worded = index == size - 1 and left.get(label)
            text = left[label if worded else "plain"].pop()
            strength = full * (1.0 if size == 1 else 0.2 + 0.8 * index / (size - 1))
            pause = float(rng.uniform(0.3, 1.1)) if index else 0.0
            prosody = manner(LABELS[label][0], strength, rng)
            sentences.append(Sentence(text, prosody, round(pause, 3)))
        turns.append((label, sentences))
    return [turns[index] for index in rng.permutation(len(turns))]


def _turns(
    said: list[tuple[str, list[Sentence]]], speakers: str, early: int, rng: np.random.Generator
) -> tuple[TurnPlan, ...]:
    """A dialogue's turns: interrupted, given to speakers, `early` more of them begun too early."""
    broken = _broken(len(said), rng)
    # Which turn each utterance is of, in order: an interrupted one is there twice.
    order = [index for index in range(len(said)) if index - 1 not in broken]
    for index in broken:
        order[order.index(index) + 1 : order.index(index) + 1] = [index + 1, index]
    owners = _owners(order, speakers, rng)
    cut_in = {order.index(index) + 1 for index in broken}
    free = [index for index in range(1, len(order)) if index not in cut_in]
    begun_early = set(rng.choice(free, early, replace=False).tolist())
    turns = []
    for place, index in enumerate(order):
        label, sentences = said[index]
        gap = _gap(place in cut_in, place in begun_early, rng) if place else 0.0
        if index in broken:
            head, tail = _halves(sentences[-1])
            first = place == order.index(index)
            sentences = [*sentences[:-1], head] if first else [tail]
        turns.append(TurnPlan(owners[index], label, gap, tuple(sentences)))
    return _with_backchannels(turns, speakers, rng)


def _broken(turns: int, rng: np.random.Generator) -> list[int]:
    """The turns that are interrupted: never the last one, nor two in a row."""
    while True:
        chosen = sorted(rng.choice(turns - 1, INTERRUPTED, replace=False).tolist())
        if min(np.diff(chosen)) > 1:
            return chosen


def _owners(order: list[int], speakers: str, rng: np.random.Generator) -> dict[int, str]:
    """The speaker of each turn: nobody follows themselves, and everybody speaks twice or more."""
    while True:
        drawn = {index: str(rng.choice(list(speakers))) for index in sorted(set(order))}
        spoken = [drawn[index] for index in order]
        changes = all(a != b for a, b in pairwise(spoken))
        if changes and min(list(drawn.values()).count(speaker) for speaker in speakers) > 1:
            return drawn


def _halves(sentence: Sentence) -> tuple[Sentence, Sentence]:
    words = sentence.text.split()
    middle = (len(words) + 1) // 2
    head = " ".join(words[:middle]).rstrip(",")
    return (
        Sentence(head, sentence.prosody, sentence.pause),
        Sentence(" ".join(words[middle:]), sentence.prosody, 0.0),
    )


def _gap(cuts_in: bool, early: bool, rng: np.random.Generator) -> Seconds:
    if cuts_in:
        gap = -rng.uniform(0.6, 2.0)
    elif early:
        gap = -np.clip(0.6 + rng.gamma(2.0, 0.6), 0.6, 3.0)
    else:
        gap = np.clip(0.1 + rng.gamma(1.6, 0.52), 0.1, 2.5)
    return round(float(gap), 3)


def _with_backchannels(
    turns: list[TurnPlan], speakers: str, rng: np.random.Generator
) -> tuple[TurnPlan, ...]:
    room = [len(turn.text.split()) // WORDS_FOR_A_BACKCHANNEL for turn in turns]
    spots = [place for place, count in enumerate(room) for _ in range(count)]
    chosen = sorted(rng.choice(spots, min(PER_DIALOGUE, len(spots)), replace=False).tolist())
    result = []
    for place, turn in enumerate(turns):
        count = chosen.count(place)
        listeners = [speaker for speaker in speakers if speaker != turn.speaker]
        said = tuple(
            Backchannel(
                str(rng.choice(listeners)),
                Sentence(str(rng.choice(BACKCHANNELS)), manner("neu", 1.0, rng), 0.0),
                round((number + float(rng.uniform(0.35, 0.65))) / count, 3),
            )
            for number in range(count)
        )
        result.append(TurnPlan(turn.speaker, turn.label, turn.gap, turn.sentences, said))
    return tuple(result)
