"""Blocks of sound on their way: any rate to 16 kHz, tracks to one.

A block is its rate in Hz and mono samples, float32. The rate may change from block to block.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from components.base.errors import InputError
from components.conversation.types import Seconds

SAMPLE_RATE = 16_000
"""Hz, of everything inside."""

BLOCK = 1 << 16
"""Frames that are worked on at once."""

Block = tuple[int, np.ndarray]

OFFSET = 0.02
"""A mean of the samples that is not corrected, of full scale."""


class Resampler:
    """Blocks of any rates to `SAMPLE_RATE`, one after the other."""

    def __init__(self) -> None:
        import soxr

        self._open = soxr.ResampleStream
        self._rate = SAMPLE_RATE
        self._stream: soxr.ResampleStream | None = None

    def __call__(self, block: Block) -> Iterator[np.ndarray]:
        """What is finished once this block has come."""
        rate, samples = block
        if rate != self._rate:
            yield from self.rest()
            self._rate = rate
            self._stream = None if rate == SAMPLE_RATE else self._open(rate, SAMPLE_RATE, 1)
        yield self._stream.resample_chunk(samples) if self._stream else samples

    def rest(self) -> Iterator[np.ndarray]:
        """What was held back."""
        if self._stream:
            yield self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
            self._stream = None
            self._rate = SAMPLE_RATE


class Mixer:
    """The mean of several tracks at `SAMPLE_RATE`.

    It holds what one track is ahead of the others.

    Args:
        tracks: how many.
    """

    def __init__(self, tracks: int) -> None:
        self._ends = [0] * tracks
        self._begin = 0
        self._sum = np.zeros(BLOCK, np.float32)

    def __call__(self, track: int, samples: np.ndarray) -> Iterator[Block]:
        """What all tracks have passed, once these samples have come on one."""
        first = self._ends[track] - self._begin
        self._ends[track] += len(samples)
        last = first + len(samples)
        if last > len(self._sum):
            self._sum = np.concatenate([self._sum, np.zeros(last, np.float32)])
        self._sum[first:last] += samples
        if min(self._ends) - self._begin >= BLOCK:
            yield from self._up_to(min(self._ends))

    def rest(self) -> Iterator[Block]:
        """What the longest track has beyond the others."""
        yield from self._up_to(max(self._ends))

    def _up_to(self, end: int) -> Iterator[Block]:
        count = end - self._begin
        yield SAMPLE_RATE, self._sum[:count] / np.float32(len(self._ends))
        self._sum = np.concatenate([self._sum[count:], np.zeros(BLOCK, np.float32)])
        self._begin = end


def silence(rate: int, seconds: Seconds) -> Iterator[Block]:
    """Blocks of digital silence."""
    count = round(seconds * rate)
    for first in range(0, count, BLOCK):
        yield rate, np.zeros(min(BLOCK, count - first), np.float32)


def between(blocks: Iterable[Block], start: Seconds, end: Seconds | None) -> Iterator[Block]:
    """The blocks' samples from `start` to `end`, in seconds; they are read no further.

    Args:
        blocks: from the recording's beginning.
        start: in seconds.
        end: in seconds; None: the last sample.
    """
    base, count, rate = 0.0, 0, 0
    first, last = 0, 0
    for at, samples in blocks:
        if at != rate:
            base += count / rate if rate else 0.0
            rate, count = at, 0
            first = max(round((start - base) * rate), 0)
            last = 1 << 62 if end is None else max(round((end - base) * rate), first)
        yield rate, samples[max(first - count, 0) : max(last - count, 0)]
        count += len(samples)
        if count >= last:
            return


def finite(blocks: Iterable[Block], begin: Seconds, name: str) -> Iterator[Block]:
    """The blocks, checked.

    Args:
        blocks: of one stretch.
        begin: of the stretch, in seconds.
        name: the recording's, in messages.

    Raises:
        InputError: a sample is not a number.
    """
    for rate, samples in blocks:
        bad = np.flatnonzero(~np.isfinite(samples))
        if len(bad):
            raise InputError(
                f"{name}: has samples that are not numbers, the first at"
                f" {begin + int(bad[0]) / rate:.3f} s; record or export it again"
            )
        begin += len(samples) / rate
        yield rate, samples


def seconds(blocks: Iterable[Block]) -> Seconds:
    """How long blocks are together."""
    counts: dict[int, int] = {}
    for rate, samples in blocks:
        counts[rate] = counts.get(rate, 0) + len(samples)
    return sum(count / rate for rate, count in counts.items())


def gathered(blocks: Iterable[Block]) -> np.ndarray:
    """Blocks as one array at `SAMPLE_RATE`; memory holds that array and one block."""
    sound = bytearray()  # grows in place
    resample = Resampler()
    for block in blocks:
        for samples in resample(block):
            sound += np.ascontiguousarray(samples).data.cast("B")
    for samples in resample.rest():
        sound += np.ascontiguousarray(samples).data.cast("B")
    return without_offset(np.frombuffer(sound, np.float32))


def without_offset(samples: np.ndarray) -> np.ndarray:
    """The samples, in place, without a constant that is larger than what moves around it.

    A converter that adds half of full scale makes all voices alike.
    """
    if not len(samples):
        return samples
    with np.errstate(over="ignore"):  # samples far beyond full scale: nothing constant stands out
        mean, power = float(samples.mean()), float(np.dot(samples, samples)) / len(samples)
    if abs(mean) > OFFSET and mean**2 > power - mean**2:
        samples -= np.float32(mean)
    return samples


def summary(places: Sequence[tuple[Seconds, Seconds]], what: str, *, exact: bool = True) -> str:
    """One line on stretches of a recording, each its begin and its length in seconds.

    Args:
        places: the stretches.
        what: they are.
        exact: their lengths are known.
    """
    begin, lost = places[0][0], sum(length for _, length in places)
    where = f"at {begin:.2f} s"
    if len(places) > 1:
        where = f"in {len(places)} places, the first {where}"
    return f"{what} {where}" + (f", {lost:.2f} s in all" if exact else "")
