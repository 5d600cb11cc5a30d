"""Changes that should not change an answer: silence, loudness, spelling of the words, a filler.

Each change is made to real test turns, which are then answered in the same way as served turns.
"""

import string
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from components.conversation import SAMPLE_RATE, Recording, Seconds, Turn
from components.evaluate.prediction import Classify, spread
from components.fusion import Clip, turn_clip

SILENCE: Seconds = 0.25
"""What is added before and after a turn: the cut of a turn is seldom better than that."""

FILLERS = {
    **{"en": "you know", "de": "weißt du", "fr": "tu sais", "es": "sabes", "it": "sai"},
    **{"pt": "sabe", "nl": "weet je", "pl": "wiesz", "ru": "знаешь", "zh": "那个", "ja": "あの"},
}
"""By language, words that carry no emotion; they are added to the transcript, not to the sound."""

SOUND = "hm"
"""In place of a filler in other languages, and where the language is heard."""

Change = Callable[[np.ndarray, str], Clip]


def _unpunctuated(words: str) -> str:
    return " ".join(words.translate(str.maketrans("", "", string.punctuation)).split())


CHANGES: dict[str, tuple[Change, ...]] = {
    "silence": (lambda audio, words: (np.pad(audio, round(SILENCE * SAMPLE_RATE)), words),),
    "volume": (
        lambda audio, words: (audio / 2, words),
        lambda audio, words: (np.clip(audio * 2, -1, 1), words),
    ),
    "case": (
        lambda audio, words: (audio, words.upper()),
        lambda audio, words: (audio, words.lower()),
    ),
    "punctuation": (lambda audio, words: (audio, _unpunctuated(words)),),
}
"""By the name of the check; where there are several, the answer must hold for all of them. The
check `filler` depends on the language. In scripts without case, `case` changes nothing."""


def changes_of(name: str, language: str) -> tuple[Change, ...]:
    """The changes of a check, to turns in a language (its code, or "auto")."""
    if name != "filler":
        return CHANGES[name]
    filler = FILLERS.get(language, SOUND)
    return (lambda audio, words: (audio, f"{words} {filler}".strip()),)


def measure_behaviour(
    classify: Classify,
    recordings: Sequence[Recording],
    predicted: Iterable[Turn],
    names: Iterable[str],
    max_turns: int,
    language: str = "en",
) -> dict[str, Any]:
    """How many answers hold under each change, ready for JSON.

    Args:
        classify: the model that gave `predicted` their emotions.
        recordings: the test fold.
        predicted: its turns, with the model's emotions.
        names: the changes to try: of `CHANGES`, and "filler".
        max_turns: how many turns are tried, spread evenly over all.
        language: of the words, or "auto".
    """
    chosen = spread(list(predicted), max_turns)
    unchanged = dict.fromkeys(names, 0)
    for recording in recordings:
        own = [turn for turn in chosen if turn.session_id == recording.name]
        clips = [turn_clip(recording.audio, turn) for turn in own]
        for name in unchanged:
            unchanged[name] += sum(_holds(classify, own, clips, changes_of(name, language)))
    total = len(chosen)
    return {
        name: {"kept": count, "total": total, "rate": count / total if total else None}
        for name, count in unchanged.items()
    }


def _holds(
    classify: Classify, turns: Sequence[Turn], clips: Sequence[Clip], changes: Sequence[Change]
) -> list[bool]:
    """Whether each turn's emotion stays what it was under all of the changes."""
    holds = [True] * len(turns)
    for change in changes if turns else ():
        answers = classify([change(*clip) for clip in clips]).argmax(-1)
        for i, (turn, best) in enumerate(zip(turns, answers, strict=True)):
            holds[i] &= classify.labels[int(best)] == turn.emotion
    return holds
