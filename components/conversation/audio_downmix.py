"""Channels to one, and what the channels are to each other."""

import numpy as np

from components.conversation.types import Seconds

CANCELS = 0.1
"""Channels cancel each other if their mean has less than this share of the power that the mean of
unrelated channels has."""

CANCELS_NO_MORE = 0.5
"""The same share, above which the mean is read again."""

DECISION = 1 << 13
"""Frames for which it is decided at once: a sixth of a second at 48 kHz."""

AUDIBLE = 1e-7
"""Mean square of samples, under which nothing is decided: 70 dB under full scale."""

APART = 10.0
"""How many times the power of all others one channel has while its speaker speaks alone, where each
speaker has a channel: 10 dB."""

APART_SHARE = 0.7
"""Of the time in which there is sound, in which one channel stands out so far."""

SIDE_SHARE = 0.1
"""Of that time, in which each of two channels at least does."""

UNCORRELATED = 0.3
"""The correlation over the whole recording, under which channels are not one room's."""

LEAST_APART: Seconds = 5.0
"""Less sound says nothing about the channels."""


class Mix:
    """How the channels of a recording become one, and what they were.

    Args:
        channel: the only one that is read, from 0; None: their mean. Where there are fewer it is
            silence.

    Attributes:
        channels: the most that a track had.
    """

    def __init__(self, channel: int | None = None) -> None:
        self.channel = channel
        self.restart()

    def restart(self) -> None:
        """Forget what was heard: it is read again from the beginning."""
        self.channels = 0
        self._products = np.zeros((0, 0))  # of each pair of channels, summed up
        self._sounding = 0.0  # seconds
        self._ahead = np.zeros(0)  # seconds for which each channel stands out

    def look_at(self, frames: np.ndarray, seconds: Seconds) -> None:
        """Compare the channels of frames [n, channels], which last so long."""
        count = frames.shape[1]
        self.channels = max(self.channels, count)
        if len(self._ahead) < count:
            more = count - len(self._ahead)
            self._products = np.pad(self._products, (0, more))
            self._ahead = np.pad(self._ahead, (0, more))
        products = (frames.T @ frames).astype(float)
        powers = products.diagonal()
        loudest = int(powers.argmax())
        if not np.isfinite(products).all() or powers[loudest] <= AUDIBLE * len(frames):
            return
        self._products[:count, :count] += products
        self._sounding += seconds
        if powers[loudest] > APART * (powers.sum() - powers[loudest]):
            self._ahead[loudest] += seconds

    @property
    def apart(self) -> bool:
        """Whether the channels seem to carry a speaker each.

        They are nearly uncorrelated, and mostly one at a time has sound; that of music, or of a
        room with two microphones, is in both.
        """
        if self._sounding < LEAST_APART or self._ahead.sum() < APART_SHARE * self._sounding:
            return False
        sides = np.flatnonzero(self._ahead >= SIDE_SHARE * self._sounding)
        products = self._products[np.ix_(sides, sides)]
        powers = np.sqrt(products.diagonal())
        alike = np.abs(products / np.outer(powers, powers)) - np.eye(len(sides))
        return len(sides) > 1 and bool((alike < UNCORRELATED).all())


class Downmix:
    """Channels to one: their mean, since each may carry one side of the conversation.

    Where one channel is another one upside down, the mean is silence; the louder one is read then.

    Args:
        mix: says if one channel alone is to be read, and is told what the channels are like.

    Attributes:
        cancelled: the channel that was read instead, counted from 1, and since when in seconds.
    """

    def __init__(self, mix: Mix) -> None:
        self._mix = mix
        self.cancelled: tuple[int, Seconds] | None = None
        self._channel: int | None = None

    def __call__(self, frames: np.ndarray, at: Seconds, rate: int) -> np.ndarray:
        """One channel of frames [n, channels] at `rate` Hz, which begin `at` seconds."""
        chosen, count = self._mix.channel, frames.shape[1]
        if chosen is not None:
            self._mix.channels = max(self._mix.channels, count)
            picked = frames[:, chosen] if chosen < count else np.zeros(len(frames), frames.dtype)
            return np.ascontiguousarray(picked)
        if count == 1:
            self._mix.channels = max(self._mix.channels, 1)
            return frames[:, 0]
        pieces = [
            self._piece(frames[first : first + DECISION], at + first / rate, rate)
            for first in range(0, len(frames), DECISION)
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _piece(self, frames: np.ndarray, at: Seconds, rate: int) -> np.ndarray:
        count, channels = frames.shape
        self._mix.look_at(frames, count / rate)
        mean = sum(frames.T[1:], start=frames[:, 0]) / np.float32(channels)
        flat = frames.ravel()
        unrelated = float(np.dot(flat, flat)) / channels**2
        if not np.isfinite(unrelated):
            return mean
        if unrelated > AUDIBLE * count:
            share = float(np.dot(mean, mean)) / unrelated
            if self._channel is None and share < CANCELS:
                power = np.einsum("ij,ij->j", frames, frames)
                self._channel = int(np.argmax(power > 0.9 * power.max()))  # the first loud one
                self.cancelled = self.cancelled or (self._channel + 1, at)
            elif share > CANCELS_NO_MORE:
                self._channel = None
        return mean if self._channel is None else np.ascontiguousarray(frames[:, self._channel])

    def note(self) -> str:
        """A line on the channels, if they cancelled each other."""
        assert self.cancelled
        channel, since = self.cancelled
        return (
            "has channels that cancel each other (one is upside down):"
            f" channel {channel} alone is read there, from {since:.2f} s on"
        )
