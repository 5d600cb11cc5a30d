"""One track of compressed sound: its packets, decoded by PyAV, to blocks at their times."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from components.base.errors import InputError
from components.conversation.audio_blocks import BLOCK, Block, silence, summary
from components.conversation.audio_clock import HOUR, Clock
from components.conversation.audio_downmix import Downmix, Mix
from components.conversation.audio_ends import is_frame_cut
from components.conversation.types import Seconds

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream

MAX_CHANNELS = 32
NO_SOUND = "holds no sound that can be decoded"
MAX_DAMAGE = 10_000  # packets that cannot be decoded


class Track:
    """One track's packets to mono blocks, with silence where its clock goes on without sound."""

    def __init__(self, stream: "AudioStream", clock: Clock, name: str, mix: Mix) -> None:
        self.stream, self.clock = stream, clock
        self.downmix = Downmix(mix)
        self.gaps: list[tuple[Seconds, Seconds]] = []
        self.damage: list[Seconds] = []
        self.failed_last = False
        self.sought = False  # the next frame is not the first one
        self._first: av.Packet | None = None
        self._last: av.Packet | None = None
        self._name = name
        self._frames: list[np.ndarray] = []  # [n, channels], of one rate
        self._rate = 0
        self._waiting = 0
        self._begin = 0.0

    def take(self, packet: "av.Packet") -> Iterator[Block]:
        """The blocks that are whole with this packet; the last packet gives the rest."""
        import av

        if packet.size:
            self._first, self._last = self._first or packet, packet
        if packet.is_corrupt:
            self.damage.append(self.clock.position)
        try:
            frames = packet.decode()
        except av.error.EOFError:
            frames = []
        except (av.FFmpegError, ValueError):
            self.damage.append(self.clock.position)
            self.failed_last = True
            if len(self.damage) > MAX_DAMAGE:
                too_many = f"is damaged in more than {MAX_DAMAGE:,} places; take another copy"
                raise InputError(f"{self._name}: {too_many}") from None
            frames = []
        for frame in frames:
            yield from self._frame(cast("av.AudioFrame", frame))
        if packet.size == 0:
            yield from self.rest()

    def ends_inside_a_packet(self, *, self_framed: bool) -> bool:
        """Whether the last packet is not whole.

        Args:
            self_framed: the sound's own headers tell; otherwise, whether it could be decoded.
        """
        if not self_framed or not self._first or not self._last:
            return self.failed_last
        name = self.stream.codec_context.name
        return is_frame_cut(name, bytes(self._last), bytes(self._first))

    def rest(self) -> Iterator[Block]:
        """What waits for more to make a block."""
        yield from self._whole()

    def _frame(self, frame: "av.AudioFrame") -> Iterator[Block]:
        import av

        try:
            samples, rate = _samples(frame), frame.sample_rate
        except (av.FFmpegError, ValueError):
            self.damage.append(self.clock.position)
            return
        check_shape(self._name, rate, samples.shape[1])
        changed = rate != self._rate or (
            bool(self._frames) and self._frames[0].shape[1] != samples.shape[1]
        )
        if changed or self._waiting >= BLOCK:
            yield from self._whole()
            self._rate = rate
        time = frame.time
        if self.sought:
            self.sought = False
            yield self._left_out((time or 0.0) - (self.clock.zero or 0.0), rate)
        gap = self.clock.gap(time, 0.005 if self.failed_last else None)
        self.failed_last = False
        if gap:
            yield from self._whole()
            self.gaps.append((self.clock.position, gap))
            yield from self._silence(rate, gap)
        if not self._frames:
            self._begin = self.clock.position
        self._frames.append(samples)
        self._waiting += len(samples)
        self.clock.add(len(samples), rate)

    def notes(self, which: str, clocked: bool) -> Iterator[str]:
        """What a listener should know, once all is read.

        Args:
            which: the track, as a sentence begins with it.
            clocked: a gap is no damage, for the container has a clock of its own.
        """
        end = self.clock.position - (0.001 if self.failed_last else 0.0)
        damage = [at for at in self.damage if at <= end]
        if damage or (self.gaps and not clocked):
            places = self.gaps or [(at, 0.0) for at in damage]
            yield which + summary(places, "is damaged: sound is lost", exact=not damage)
        elif self.gaps:
            yield which + summary(self.gaps, "has no sound for a while by its clock: silence")
        for begin, jump in self.clock.jumps[:1]:
            yield f"{which}has a clock that jumps by {jump / HOUR:.1f} h at {begin:.2f} s, left out"
        if self.downmix.cancelled:
            yield which + self.downmix.note()

    def _left_out(self, seconds: Seconds, rate: int) -> Block:
        """A block that takes no memory in place of what was not read."""
        count = max(round(seconds * rate), 0)
        self.clock.add(count, rate)
        return rate, np.broadcast_to(np.float32(0), (count,))

    def _silence(self, rate: int, gap: Seconds) -> Iterator[Block]:
        for block in silence(rate, gap):
            self.clock.add(len(block[1]), rate)
            yield block

    def _whole(self) -> Iterator[Block]:
        if self._frames:
            frames = self._frames[0] if len(self._frames) == 1 else np.concatenate(self._frames)
            self._frames, self._waiting = [], 0
            yield self._rate, self.downmix(frames, self._begin, self._rate)


SAFE_PLANES = 7
"""Channels that PyAV 18 can take out of a frame one by one. It looks for a null pointer behind the
last; with eight or more there is none, and it reads memory that is not the frame's."""


def check_shape(name: str, rate: int, channels: int) -> None:
    """Refuse what is no recording of a conversation.

    Raises:
        InputError: too many channels, or an unbelievable rate.
    """
    if channels > MAX_CHANNELS:
        raise InputError(f"{name}: has {channels} channels; at most {MAX_CHANNELS} are read")
    if not 1_000 <= rate <= 768_000:
        raise InputError(f"{name}: a sample rate of {rate} Hz is not believable")


def _interleaved(frame: "av.AudioFrame") -> "av.AudioFrame":
    """The same frame as floats of all channels in turn."""
    import av

    packed = av.AudioResampler("flt", frame.layout, frame.sample_rate)
    (whole,) = packed.resample(frame)
    return whole


def _samples(frame: "av.AudioFrame") -> np.ndarray:
    """A frame as float32 [samples, channels], nominally within ±1."""
    channels = frame.layout.nb_channels
    raw: Any
    if frame.format.is_planar and channels > SAFE_PLANES:
        raw = _interleaved(frame).to_ndarray().reshape(-1, channels)
    elif frame.format.is_planar:
        raw = frame.to_ndarray().T
    else:
        raw = frame.to_ndarray().reshape(-1, channels)
    if raw.dtype == np.uint8:
        return (raw.astype(np.float32) - 128) / 128
    if raw.dtype.kind in "iu":
        return raw.astype(np.float32) * np.float32(1 / -float(np.iinfo(raw.dtype).min))
    return raw.astype(np.float32, copy=False)
