"""Compressed sound, by PyAV: every track of it, at the times of its container's clock.

Frame by frame, since a recording may change its rate, lose packets, be damaged or be joined of
several ones. What has no sound on the clock becomes silence, so the times are those that a player
shows.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING

from components.base.errors import InputError
from components.conversation.audio_blocks import (
    Block,
    Mixer,
    Resampler,
)
from components.conversation.audio_clock import HOUR, JITTER, Clock
from components.conversation.audio_downmix import Mix
from components.conversation.audio_ends import SELF_FRAMED, is_film_cut, is_stream_cut
from components.conversation.audio_track import NO_SOUND, Track, check_shape
from components.conversation.types import Seconds

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

MAX_TRACKS = 16

MPEG = b"\0\0\1\xba"
"""How a program stream (a film of a DVD) begins."""

MAX_PACKETS = 1_000_000
"""Walked through to tell whether a recording is too long: 5.6 hours of Opus' usual packets."""

# A playlist (HLS, ffconcat) would make PyAV open what it names: other files here, other servers.
AV_OPTIONS = {
    "format_whitelist": "mp3,mov,matroska,webm,ogg,wav,w64,flac,aac,aiff,amr,caf,asf,mp2,mpegts,"
    "mpeg,avi,voc",
    "protocol_whitelist": "file",
}

WITH_CLOCK = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "asf")
"""Containers whose clock has a zero of its own, so that sound may begin after it."""

EXACT = ("flac",)
"""Formats in which the place of each frame is known to the sample."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a recording's packets follow each other.

    Attributes:
        steady: a packet's time tells where its sound stands, so that one may seek. It is not so
            with several tracks, with joined recordings, and where time stamps jump.
        gaps: its clock goes on without sound somewhere.
    """

    steady: bool
    gaps: bool


def track_blocks(
    file: IO[bytes], name: str, notes: list[str], mix: Mix, begin: Seconds = 0.0
) -> Iterator[Block]:
    """The sound of all tracks, mixed, from the beginning.

    Args:
        file: open; read by its content, never by its name.
        name: of the recording, in messages.
        notes: gets a line on each thing that the listener should know, once all is read.
        mix: how each track's channels become one.
        begin: what stands before may be silence instead, in seconds; only where its pace is steady.

    Raises:
        InputError: it is not sound, or nothing of it can be decoded.
    """
    with _opened(file, name) as container:
        tracks = [Track(s, c, name, mix) for s, c in _clocks(container, name)]
        if begin > 0:
            container.seek(round((begin + (tracks[0].clock.zero or 0.0)) * 1e6))
            tracks[0].sought = True
        heard = False
        for block in _mixed(container, tracks, notes):
            heard = heard or bool(len(block[1]))
            yield block
        if not heard and not begin:
            raise InputError(f"{name}: {NO_SOUND}")
        notes += _track_notes(container, tracks)
        if any("is cut" in note for note in notes):
            return
        if is_film_cut(file):
            notes.append("is cut: it has fewer bytes than its header says")
        elif container.format.name == "mpegts" and is_stream_cut(file):
            notes.append("is cut: it ends inside a packet of its stream")


def packet_seconds(file: IO[bytes], name: str, limit: Seconds) -> Seconds:
    """How long the packets of a recording last, which costs little to tell.

    Args:
        file: the recording.
        name: of it, in messages.
        limit: the packets are counted no further than a little beyond.

    Raises:
        InputError: it is not sound.
    """
    longest = _sought_seconds(file, name, limit)
    if longest > limit:
        return longest
    for clock, end in islice(_walk(file, name), MAX_PACKETS):
        longest = max(longest, min(clock.position, clock.position if end is None else end))
        if longest > limit:
            break
    return longest


def _sought_seconds(file: IO[bytes], name: str, limit: Seconds) -> Seconds:
    """Where a track has a packet, up to a little beyond a limit, found by seeking; 0 if unknown.

    FFmpeg finds it in an index, or counts packets itself, in a tenth of the time of `_walk`.
    """
    import av

    position = 0.0
    with _opened(file, name) as container, suppress(av.FFmpegError, OverflowError, StopIteration):
        (stream, _), *others = _clocks(container, name)
        base, begin = float(stream.time_base or 0), stream.start_time or 0
        while position <= limit and base and not others:
            there = begin + int(min(position + HOUR / 2, limit + 0.1) / base)
            container.seek(there, stream=stream, backward=False)
            packet = next(container.demux(stream))
            time = position if packet.pts is None else (packet.pts - begin) * base
            if not position < time <= position + HOUR:  # a longer jump is left out of the sound
                break
            position = time
    return position


def find_pace(file: IO[bytes], name: str) -> Pace:
    """How a recording's packets follow each other by their times, without decoding them.

    Raises:
        InputError: it is not sound.
    """
    steady, first = True, None
    for clock, end in _walk(file, name):
        first = first or clock
        steady = steady and clock is first and clock.zero == clock.first and end is not None
        steady = steady and abs((end or 0.0) - clock.position) <= clock.jitter
    file.seek(0)
    steady = steady and file.read(4) != MPEG  # where FFmpeg seeks to too late a place
    return Pace(steady and first is not None, bool(first and first.gaps))


def _walk(file: IO[bytes], name: str) -> Iterator[tuple[Clock, Seconds | None]]:
    """The clock of each packet's track after it, and the packet's end by its own time."""
    import av

    with _opened(file, name) as container, suppress(av.FFmpegError, ValueError):
        pairs = _clocks(container, name)
        clocks = {s.index: (clock, float(s.time_base or 0)) for s, clock in pairs}
        for packet in container.demux([stream for stream, _ in pairs]):
            if not packet.size:  # the decoders' sign that nothing follows
                continue
            clock, base = clocks[packet.stream_index]
            length = (packet.duration or 0) * base
            length = length if length <= HOUR else 0.0  # of damaged Vorbis it is below zero, as 2³²
            time = None if packet.pts is None else packet.pts * base
            if length:
                clock.add(round((clock.gap(time) + length) * 1_000_000), 1_000_000)
            yield clock, None if time is None else time - (clock.first or 0.0) + length


class _Nameless:
    """A file by its content alone: FFmpeg would guess by its name's end, which an upload lacks."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.tell = file.read, file.tell
        self._seek = file.seek

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """-1 where a damaged file points to no place; an exception would be printed."""
        with suppress(OSError, OverflowError, ValueError):
            return self._seek(offset, whence)
        return -1


def _opened(file: IO[bytes], name: str) -> "InputContainer":
    import av
    import av.logging

    av.logging.set_libav_level(av.logging.PANIC)  # what is wrong is told in our words
    file.seek(0)
    try:
        # "r" by name: PyAV would take the mode of a small upload, held in memory, which is "w+b".
        return av.open(_Nameless(file), "r", metadata_errors="ignore", options=dict(AV_OPTIONS))
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(_why_not(file, name)) from error


def _why_not(file: IO[bytes], name: str) -> str:
    """Why a file cannot be opened, in a line."""
    file.seek(0)
    if file.read(12)[4:8] == b"ftyp":
        return (
            f"{name}: is damaged, or was cut before its end: the index that says where its sound"
            " lies cannot be read; take a whole copy of it"
        )
    return f"{name}: is not audio that can be read (WAV, FLAC, Ogg, MP3, M4A, WebM)"


def _clocks(container: "InputContainer", name: str) -> list[tuple["AudioStream", Clock]]:
    """The tracks of sound that can be decoded, each with its clock."""
    from av.stream import Discard

    if not container.streams.audio:
        raise InputError(f"{name}: has no sound in it")
    streams = [s for s in container.streams.audio if s.codec_context is not None]
    if not streams:
        raise InputError(f"{name}: its sound is coded in a way that cannot be read")
    if len(streams) > MAX_TRACKS:
        raise InputError(f"{name}: has {len(streams)} tracks; at most {MAX_TRACKS} are read")
    for other in container.streams:
        if other not in streams:
            other.discard = Discard.all
    form = container.format.name
    begin = None if container.start_time is None else container.start_time / 1e6
    zero = begin if form not in WITH_CLOCK or (begin or 0.0) > HOUR else 0.0
    jitter = 0.005 if form in EXACT else JITTER
    pairs = []
    for stream in streams:
        check_shape(name, stream.rate or 16_000, stream.channels or 1)
        # A block of Vorbis has up to 2048 samples, and only pages have times.
        coarse = 2 * 2048 / (stream.rate or 16_000) if form == "ogg" else 0.0
        pairs.append((stream, Clock(zero, max(jitter, coarse))))
    return pairs


def _mixed(container: "InputContainer", tracks: list[Track], notes: list[str]) -> Iterator[Block]:
    by_index = {track.stream.index: number for number, track in enumerate(tracks)}
    pieces = _pieces(container, tracks, by_index, notes)
    if len(tracks) == 1:
        yield from (block for _, block in pieces)
        return
    mixer, resamplers = Mixer(len(tracks)), [Resampler() for _ in tracks]
    for number, block in pieces:
        for samples in resamplers[number](block):
            yield from mixer(number, samples)
    for number, resampler in enumerate(resamplers):
        for samples in resampler.rest():
            yield from mixer(number, samples)
    yield from mixer.rest()


def _pieces(
    container: "InputContainer", tracks: list[Track], by_index: dict[int, int], notes: list[str]
) -> Iterator[tuple[int, Block]]:
    """Blocks as they come, each with its track's number."""
    import av

    packets = container.demux([track.stream for track in tracks])
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError):  # the file ends inside something
            notes.append("is damaged or cut: it cannot be read to its end")
            for number, track in enumerate(tracks):
                for block in track.rest():
                    yield number, block
            return
        number = by_index[packet.stream.index]
        for block in tracks[number].take(packet):
            yield number, block


def _track_notes(container: "InputContainer", tracks: list[Track]) -> Iterator[str]:
    """What a listener should know, once all is read."""
    if len(tracks) > 1:
        yield f"has {len(tracks)} tracks of sound; they are mixed"
    clocked = container.format.name in (*WITH_CLOCK, "mpegts", "mpeg")
    for number, track in enumerate(tracks, start=1):
        yield from track.notes(f"track {number} " if len(tracks) > 1 else "", clocked)
    self_framed = container.format.name in SELF_FRAMED
    announced, heard = _announced(container, tracks), max(t.clock.position for t in tracks)
    if announced is not None and abs(announced - heard) > max(0.5, 0.01 * heard):
        ends = "is cut" if announced > heard else "is longer than it says"
        yield f"{ends}: its header announces {announced:.2f} s, and it holds {heard:.2f} s"
    elif any(track.ends_inside_a_packet(self_framed=self_framed) for track in tracks):
        yield f"is cut: it ends inside a packet, at {heard:.2f} s"


def _announced(container: "InputContainer", tracks: list[Track]) -> Seconds | None:
    """The length that a header states; None where FFmpeg only guessed it."""
    form = container.format.name
    if form in ("flac", "mp3", "mov,mp4,m4a,3gp,3g2,mj2"):
        lengths = []
        for stream in (track.stream for track in tracks):
            if stream.duration and stream.time_base and not _is_guess(form, stream):
                late = max(stream.start_time or 0, 0) if form.startswith("mov") else 0
                lengths.append(float((stream.duration + late) * stream.time_base))
        announced = max(lengths, default=None)
    elif form in ("matroska,webm", "asf") and len(container.streams) == len(tracks):
        announced = container.duration / 1e6 if container.duration else None
    else:
        announced = None
    if announced is None:
        return None
    clock = tracks[0].clock
    begin = clock.first if form in WITH_CLOCK and (clock.first or 0.0) > HOUR else 0.0
    return announced - (begin or 0.0) - sum(jump for _, jump in clock.jumps)


def _is_guess(form: str, stream: "AudioStream") -> bool:
    """Whether FFmpeg took an MP3's length from its size; a header counts whole frames."""
    assert stream.duration and stream.time_base
    samples = stream.duration * stream.time_base * (stream.rate or 1)
    return form == "mp3" and bool(samples % 576)
