"""Speakers by name: each name's sample of a voice, and the recording's voices.

The diarizer's own embedding model hears both. A voice print is biometric data: nothing here keeps
one longer than the recording that it was made for.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from components.base import InputError
from components.conversation import UNKNOWN, Seconds, SpeakerSegment
from components.diarize.diarizer import Diarization, Diarizer

MIN_SPEECH: Seconds = 3.0
"""A voice is not known by less."""

MAX_SAMPLE: Seconds = 120.0
"""More of a voice makes it no better known."""

SECOND_VOICE: Seconds = 1.5
"""A sample in which another voice speaks for longer is of two."""

UNLIKE = 0.9
"""Two voices of a sample are less alike than this share of what makes two the same voice. A
pipeline may make two of one who shouts and whispers."""

NAME = r"(?!(SPEAKER|CHANNEL|NAMED)_\d+$)\w[\w.-]{0,59}"
"""A speaker's name: one word, and none that somebody without a name has."""


def check_name(name: str) -> None:
    """Refuse what RTTM cannot hold as a speaker, and what others are called.

    >>> check_name("Ann_Lee")

    Raises:
        InputError: with the name.
    """
    if not re.fullmatch(NAME, name) or name == UNKNOWN:
        raise InputError(
            f"speaker “{name[:60]}”: take letters, digits, _, . and -, 60 at most, and no name such"
            " as SPEAKER_00"
        )


def voice_print(
    diarizer: Diarizer,
    audio: np.ndarray,
    name: str,
    same_voice: float,
    *,
    step: Callable[[float], None] | None = None,
) -> np.ndarray:
    """The voice in a sample of it.

    Args:
        audio: float32 [samples], mono at 16 kHz, in which `name` speaks, and nobody else.
        same_voice: the profile's `diarize.likeness`.
        step: as of `Diarizer.diarize`.

    Returns:
        float [size], of length 1.

    Raises:
        InputError: hardly anybody speaks (silence, music), or two do; or the pipeline tells no
            voices.
    """
    heard = diarizer.diarize(audio, step=step)
    spoken: dict[str, Seconds] = {}
    for part in heard.exclusive:
        spoken[part.speaker] = spoken.get(part.speaker, 0.0) + part.end - part.start
    total = sum(spoken.values())
    if total < MIN_SPEECH:
        raise InputError(
            f"speaker {name}: the sample has {total:.1f} s of speech; send {MIN_SPEECH:g} s or more"
        )
    first, *others = sorted(spoken, key=lambda voice: -spoken[voice])
    for other in others:
        known = first in heard.voices and other in heard.voices
        alike = float(heard.voices[first] @ heard.voices[other]) if known else 0.0
        if spoken[other] > SECOND_VOICE and alike < UNLIKE * same_voice:
            raise InputError(
                f"speaker {name}: the sample has two voices; send one in which nobody else speaks"
            )
    if first not in heard.voices:
        raise InputError(
            f"speaker {name}: this diarization pipeline tells no voices by which one is known"
        )
    return heard.voices[first]


def voice_prints(
    diarizer: Diarizer | None,
    samples: Mapping[str, np.ndarray],
    same_voice: float,
    *,
    step: Callable[[float], None] | None = None,
) -> dict[str, np.ndarray]:
    """The voices in samples, by the speakers' names; the arguments are as of `voice_print`.

    Args:
        diarizer: None where each channel is a speaker.
        step: called with the share of all samples that is done.

    Raises:
        InputError: as `voice_print`; or no voices are compared.
    """
    if diarizer is None:
        raise InputError("each channel is a speaker here: nobody is known by the voice")
    prints: dict[str, np.ndarray] = {}

    def share(of_one: float) -> None:
        if step:
            step((len(prints) + of_one) / len(samples))

    for name, sample in samples.items():
        share(0.0)
        prints[name] = voice_print(diarizer, sample, name, same_voice, step=share)
    return prints


def named(
    diarization: Diarization, prints: Mapping[str, np.ndarray], least: float
) -> tuple[Diarization, list[str]]:
    """Give speakers the names of the voices that they have.

    Each name goes to one speaker at most, so that the likenesses (cosine) are largest together;
    none that is below `least` counts.

    Args:
        diarization: with its voices.
        prints: of `voice_print`, by name.

    Returns:
        The same with names; the others keep the pipeline's. And the names that nobody has.
    """
    speakers, names = list(diarization.voices), list(prints)
    if not speakers or not names:
        return diarization, names
    alike = np.stack(list(prints.values())) @ np.stack(list(diarization.voices.values())).T
    rows, columns = linear_sum_assignment(np.maximum(alike - least, 0.0), maximize=True)
    given = {
        speakers[column]: names[row]
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if alike[row, column] >= least
    }

    def renamed(segments: tuple[SpeakerSegment, ...]) -> tuple[SpeakerSegment, ...]:
        parts = (replace(s, speaker=given.get(s.speaker, s.speaker)) for s in segments)
        return tuple(sorted(parts))

    voices = {given.get(name, name): voice for name, voice in diarization.voices.items()}
    result = replace(
        diarization,
        segments=renamed(diarization.segments),
        exclusive=renamed(diarization.exclusive),
        voices=voices,
        scores=diarization.scores and diarization.scores.renamed(given),
    )
    return result, [name for name in names if name not in given.values()]
