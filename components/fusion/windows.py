"""A turn too long for the model, cut into windows whose answers are averaged by duration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from components.base import InputError, Location
from components.conversation import SAMPLE_RATE, Turn, read_audio
from components.fusion.tokens import encode_windows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Clip = tuple[np.ndarray, str]
"""A turn's waveform, float32 [samples] mono at 16 kHz, and its words."""


def turn_clip(audio: np.ndarray | Location, turn: Turn) -> Clip:
    """A turn's stretch of its recording, and its words, as the model takes them.

    Args:
        audio: the recording, float32 [samples] mono at 16 kHz, or its file or URL, of which
            only the stretch is read.

    Raises:
        InputError: a file that cannot be read.
    """
    if not isinstance(audio, np.ndarray):
        return read_audio(audio, turn.start, turn.end), turn.words
    return audio[round(turn.start * SAMPLE_RATE) : round(turn.end * SAMPLE_RATE)], turn.words


@dataclass(frozen=True, slots=True)
class Window:
    """What the model takes at once.

    Attributes:
        clip: the index of the clip it was cut from.
        audio: float32 [samples], at least one.
        input_ids: with special tokens.
        weight: its share of the clip's duration; a clip's windows add up to 1.
    """

    clip: int
    audio: np.ndarray
    input_ids: list[int]
    weight: float


def clip_windows(
    clips: Sequence[Clip], tokenizer: "Tokenizer", max_samples: int, max_tokens: int
) -> list[Window]:
    """Cut each clip into as few equal windows as the model's limits allow; most clips are one.

    Sound and words are cut into the same number of pieces, so that a window's words are about
    those spoken in it. A clip without samples is one sample of silence.

    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> tokenizer = Tokenizer(models.WordLevel({"so": 0, "it": 1, "is": 2}, unk_token="so"))
    >>> tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    >>> clip = (np.zeros(30, dtype=np.float32), "so it is")
    >>> windows = clip_windows([clip], tokenizer, max_samples=20, max_tokens=8)
    >>> [(len(window.audio), window.weight) for window in windows]
    [(15, 0.5), (15, 0.5)]

    Args:
        max_samples: the longest sound the model takes.
        max_tokens: the longest text, special tokens included.

    Raises:
        InputError: a clip with samples that are not numbers, or that is not one channel.
    """
    windows = []
    for index, (audio, text) in enumerate(clips):
        count = count_windows(np.size(audio), text, tokenizer, max_samples, max_tokens)
        windows += cut_clip((audio, text), tokenizer, count, clip=index)
    return windows


def count_windows(
    samples: int, text: str, tokenizer: "Tokenizer", max_samples: int, max_tokens: int
) -> int:
    """How many windows a clip of so many samples and of these words is cut into."""
    special = tokenizer.num_special_tokens_to_add(is_pair=False)
    words = len(tokenizer.encode(text).ids) - special
    return max(math.ceil(samples / max_samples), math.ceil(words / (max_tokens - special)), 1)


def cut_clip(given: Clip, tokenizer: "Tokenizer", count: int, *, clip: int = 0) -> list[Window]:
    """A clip in so many nearly equal windows.

    Args:
        clip: its index, for the windows and in messages.

    Raises:
        InputError: as `clip_windows`.
    """
    audio, text = given
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1:
        raise InputError(f"clip {clip}: the sound has shape {samples.shape}, not one channel")
    if not np.isfinite(samples).all():
        raise InputError(f"clip {clip}: the sound has samples that are not numbers")
    if not len(samples):
        samples = np.zeros(1, dtype=np.float32)
    bounds = [round(i * len(samples) / count) for i in range(count + 1)]
    ids = [tokenizer.encode(text).ids] if count == 1 else encode_windows(tokenizer, text, count)
    windows = []
    for i, tokens in enumerate(ids):
        piece = samples[bounds[i] : bounds[i + 1]]
        share = len(piece) / len(samples)
        windows.append(Window(clip, piece if len(piece) else samples[:1], tokens, share))
    return windows


def average_windows(windows: Sequence[Window], answers: np.ndarray, clips: int) -> np.ndarray:
    """The clips' answers: their windows' [w, k], averaged by duration → [clips, k].

    >>> half = np.zeros(10, dtype=np.float32)
    >>> windows = [Window(0, half, [], 0.5), Window(0, half, [], 0.5)]
    >>> average_windows(windows, np.array([[1.0, 0.0], [0.5, 0.5]]), clips=1)
    array([[0.75, 0.25]])
    """
    total = np.zeros((clips, answers.shape[1]))
    for window, answer in zip(windows, answers, strict=True):
        total[window.clip] += window.weight * answer
    return total
