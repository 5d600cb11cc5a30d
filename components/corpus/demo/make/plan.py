"""What is said in the demo corpus, by whom, how and when: everything but the sound.

A plan is a pure function of a seed and of `texts.toml`. Each session has two speakers, four
dialogues and 60 turns: 14 of each emotion (half of them plain in wording) and four others.
"""

import tomllib
from dataclasses import astuple, dataclass
from importlib import resources
from typing import Any

import numpy as np

SEED = 20241107

LABELS = {"angry": ("ang",), "happy": ("hap", "exc"), "neutral": ("neu",), "sad": ("sad",)}
"""The labels in IEMOCAP's files that stand for each emotion."""

OTHER_LABELS = (("fru", "sur", "xxx", "fru"), ("fru", "sur", "oth", "fru"))
"""The labels of a session's `other` sentences, in odd and in even sessions."""

DIALOGUES = (("F", "impro01"), ("M", "impro02"), ("F", "script01_1"), ("M", "script02_2"))
"""Each session's dialogues: whose sensors were worn (a letter of the name only), and the scene."""


@dataclass(frozen=True, slots=True)
class Prosody:
    """How a turn is spoken, beside the voice's own manner.

    Attributes:
        rate: speaking rate, times the voice's own.
        pitch: shift of the mean pitch in semitones.
        spread: pitch range, times the voice's own.
        gain: loudness in dB.
        tilt: treble above 1.5 kHz in dB (a pressed or a slack voice).
    """

    rate: float
    pitch: float
    spread: float
    gain: float
    tilt: float


# The mean manner of each label at full intensity. A turn's own lies around a point between the
# neutral manner and this one, so that neighbouring emotions overlap, as people's do.
_MANNER = {
    "neu": Prosody(rate=1.00, pitch=0.0, spread=0.85, gain=0.0, tilt=0.0),
    "ang": Prosody(rate=1.20, pitch=1.5, spread=1.30, gain=6.0, tilt=7.0),
    "hap": Prosody(rate=1.05, pitch=4.0, spread=1.70, gain=2.0, tilt=1.0),
    "exc": Prosody(rate=1.10, pitch=5.0, spread=1.80, gain=3.0, tilt=1.5),
    "sad": Prosody(rate=0.78, pitch=-2.5, spread=0.50, gain=-5.0, tilt=-6.0),
    "fru": Prosody(rate=0.95, pitch=1.0, spread=1.20, gain=2.0, tilt=2.0),
    "sur": Prosody(rate=1.00, pitch=5.0, spread=1.90, gain=1.0, tilt=0.0),
    "oth": Prosody(rate=0.95, pitch=0.5, spread=1.20, gain=0.0, tilt=-1.0),
    "xxx": Prosody(rate=0.95, pitch=0.0, spread=1.00, gain=-1.0, tilt=0.0),
}
_SCATTER = Prosody(rate=0.05, pitch=0.9, spread=0.13, gain=1.5, tilt=1.5)


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """A turn to be spoken.

    Attributes:
        id: the utterance's name, as IEMOCAP's (`Ses01F_impro01_F000`).
        sex: "F" or "M", which in a session names the speaker.
        label: the label in IEMOCAP's files.
        gap: seconds from the latest end so far to this turn's start; negative where it overlaps.
    """

    id: str
    sex: str
    text: str
    label: str
    gap: float
    prosody: Prosody


@dataclass(frozen=True, slots=True)
class DialoguePlan:
    """A dialogue: its name (`Ses01F_impro01`), its session's number, its turns in order."""

    name: str
    session: int
    turns: tuple[TurnPlan, ...]


def build_plan(seed: int = SEED) -> list[DialoguePlan]:
    """The whole corpus for a seed: 20 dialogues, 300 turns."""
    texts = tomllib.loads(resources.files(__package__).joinpath("texts.toml").read_text("utf-8"))
    rng = np.random.default_rng(seed)
    return [
        dialogue
        for number, sentences in enumerate(texts.values(), start=1)
        for dialogue in _session(number, sentences, rng)
    ]


def _session(
    number: int, sentences: dict[str, Any], rng: np.random.Generator
) -> list[DialoguePlan]:
    pools = _by_sex(sentences, rng)
    orders = [_speaker_order(start, rng) for start in ("F", "F", "M", "M")]
    # The turn of another emotion that each dialogue has: two of them each speaker's.
    others = [
        int(rng.choice([i for i, s in enumerate(order) if s == sex and 0 < i < len(order) - 1]))
        for order, sex in zip(orders, "FMFM", strict=True)
    ]
    other_pool = list(zip(sentences["other"], OTHER_LABELS[(number + 1) % 2], strict=True))
    gaps = _gaps(orders, rng)
    dialogues = []
    for (worn, scene), order, other, gap in zip(DIALOGUES, orders, others, gaps, strict=True):
        name = f"Ses{number:02d}{worn}_{scene}"
        spoken = {"F": 0, "M": 0}
        turns = []
        for index, sex in enumerate(order):
            text, label = other_pool.pop() if index == other else pools[sex].pop()
            id_, prosody = f"{name}_{sex}{spoken[sex]:03d}", _prosody(label, rng)
            spoken[sex] += 1
            turns.append(TurnPlan(id_, sex, text, label, gap[index], prosody))
        dialogues.append(DialoguePlan(name, number, tuple(turns)))
    return dialogues


def _by_sex(
    sentences: dict[str, list[str]], rng: np.random.Generator
) -> dict[str, list[tuple[str, str]]]:
    """The session's scored (text, label) pairs, shuffled, half of every emotion's for each sex."""
    emotions = tuple(LABELS)
    plain = sentences["plain"]
    # Each plain sentence is spoken twice, with different emotions: the words alone tell nothing.
    slots = np.repeat(np.arange(len(emotions)), 2 * len(plain) // len(emotions))
    while True:
        first, second = rng.permutation(slots).reshape(2, -1)
        if (first != second).all():
            break
    texts: dict[str, list[str]] = {emotion: list(sentences[emotion]) for emotion in emotions}
    for chosen in (first, second):
        for sentence, emotion in zip(plain, chosen, strict=True):
            texts[emotions[emotion]].append(sentence)
    pools: dict[str, list[tuple[str, str]]] = {"F": [], "M": []}
    for emotion, labels in LABELS.items():
        # Worded and plain sentences alternate, so that each speaker gets as many of both.
        half = len(texts[emotion]) // 2
        worded, rest = map(rng.permutation, (texts[emotion][:half], texts[emotion][half:]))
        for index, (one, other) in enumerate(zip(worded, rest, strict=True)):
            sexes = ("F", "M") if index % 2 else ("M", "F")
            for sex, text in zip(sexes, (one, other), strict=True):
                pools[sex].append((str(text), labels[index % len(labels)]))
    for sex, pool in pools.items():
        pools[sex] = [pool[i] for i in rng.permutation(len(pool))]
    return pools


def _speaker_order(start: str, rng: np.random.Generator, turns: int = 15) -> list[str]:
    """Speakers taking turns, but for one place where both speak twice: `F M M F F M …`."""
    order = [start if i % 2 == 0 else {"F": "M", "M": "F"}[start] for i in range(turns)]
    if rng.random() < 0.5:
        index = int(rng.integers(3, turns - 4))
        order[index], order[index + 1] = order[index + 1], order[index]
    return order


def _gaps(
    orders: list[list[str]], rng: np.random.Generator, overlaps: int = 5
) -> list[list[float]]:
    """Pauses of 0.2 to 2.5 s before the turns, but for the session's overlaps of 0.2 to 0.6 s."""
    gaps = [[float(np.clip(0.2 + rng.gamma(1.6, 0.32), 0.2, 2.5)) for _ in o] for o in orders]
    changes = [
        (d, i)
        for d, order in enumerate(orders)
        for i in range(2, len(order))
        # Never at two changes in a row: three turns at a time would be a babble.
        if order[i] != order[i - 1] and i % 2 == 0
    ]
    for chosen in rng.choice(len(changes), size=overlaps, replace=False):
        dialogue, index = changes[chosen]
        gaps[dialogue][index] = -float(rng.uniform(0.2, 0.6))
    return [[round(gap, 3) for gap in dialogue] for dialogue in gaps]


def _prosody(label: str, rng: np.random.Generator) -> Prosody:
    return manner(label, rng.uniform(0.5, 1.2), rng)


def manner(label: str, strength: float, rng: np.random.Generator) -> Prosody:
    """A manner of speaking, drawn for one of IEMOCAP's labels.

    Args:
        label: as in IEMOCAP's files (`ang`).
        strength: 0 lies around the neutral manner, 1 around the label's own.
        rng: draws how far it lies from there.
    """
    manners = zip(*map(astuple, (_MANNER["neu"], _MANNER[label], _SCATTER)), strict=True)
    values = (
        calm + strength * (full - calm) + rng.normal(0.0, scatter)
        for calm, full, scatter in manners
    )
    return Prosody(*(round(float(value), 3) for value in values))
