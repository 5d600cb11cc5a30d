"""Files of sound as devices, browsers and broken disks leave them, made on the spot."""

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

from components.conversation import listen

RATE = 16_000
CODECS = {  # a file's suffix: FFmpeg's names of its format and codec, and a rate that the codec has
    "mp3": ("mp3", "libmp3lame", 48_000),
    "m4a": ("ipod", "aac", 48_000),
    "mp4": ("mp4", "aac", 48_000),
    "3gp": ("3gp", "aac", 48_000),
    "aac": ("adts", "aac", 48_000),
    "webm": ("webm", "libopus", 48_000),
    "mka": ("matroska", "aac", 48_000),
    "mkv": ("matroska", "libopus", 48_000),
    "opus": ("ogg", "libopus", 48_000),
    "ts": ("mpegts", "mp2", 48_000),
    "mpg": ("mpeg", "mp2", 48_000),
    "mp2": ("mp2", "mp2", 48_000),
    "avi": ("avi", "ac3", 48_000),
    "asf": ("asf", "libmp3lame", 44_100),
    "mov": ("mov", "pcm_s16le", 48_000),
    "voc": ("voc", "pcm_s16le", 16_000),
    "amr": ("amr", "libopencore_amrnb", 8_000),
    "flac": ("flac", "flac", 48_000),
}


def beeps(seconds: float, rate: int = RATE, begin: float = 0.0) -> np.ndarray:
    """Half seconds of a tone, each second another pitch, so that places can be told apart."""
    time = begin + np.arange(round(seconds * rate)) / rate
    return (
        0.3 * np.sin(2 * np.pi * (300 + 100 * np.floor(time)) * time) * (time % 1 < 0.5)
    ).astype(np.float32)


def packed(
    suffix: str,
    tracks: Sequence[np.ndarray],
    *,
    starts: Sequence[float] = (),
    hole: tuple[float, float] | None = None,
    options: dict[str, str] | None = None,
    source_rate: int = RATE,
) -> bytes:
    """A compressed file.

    Args:
        suffix: of `CODECS`.
        tracks: mono sound at `source_rate`, one array a track.
        starts: where each track begins on the container's clock, in seconds.
        hole: (at, seconds): the clock goes on without sound there.
        options: of the container's format.
        source_rate: Hz.
    """
    form, codec, rate = CODECS[suffix]
    file = io.BytesIO()
    with av.open(file, "w", format=form, options=options or {}) as container:
        streams = []
        for _ in tracks:
            stream = container.add_stream(codec, rate=rate, layout="mono")
            assert isinstance(stream, av.AudioStream)
            streams.append(stream)
        packets = []
        for number, (stream, sound) in enumerate(zip(streams, tracks, strict=True)):
            begin = starts[number] if starts else 0.0
            for packet in _packets(stream, sound, source_rate, rate):
                assert packet.time_base is not None and packet.pts is not None
                time = packet.pts * packet.time_base
                late = begin + (hole[1] if hole and time >= hole[0] else 0.0)
                packet.pts += round(Fraction(late) / packet.time_base)
                packet.dts = packet.pts
                packets.append((float(packet.pts * packet.time_base), number, packet))
        for _, _, packet in sorted(packets, key=lambda p: p[:2]):
            container.mux(packet)
    return file.getvalue()


def _packets(
    stream: av.AudioStream, sound: np.ndarray, source_rate: int, rate: int
) -> Iterable[av.Packet]:
    frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
    frame.rate, frame.pts, frame.time_base = source_rate, 0, Fraction(1, source_rate)
    context = stream.codec_context
    context.open()
    resampler = av.AudioResampler(stream.format, "mono", rate, context.frame_size or 960)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        yield from stream.encode(piece)
    yield from stream.encode(None)


def unpacked(sound: np.ndarray, form: str = "WAV", subtype: str = "PCM_16") -> bytes:
    """A file of libsndfile's, at 16 kHz."""
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, format=form, subtype=subtype)
    return file.getvalue()


def beep_times(samples: np.ndarray) -> list[float]:
    """The half seconds in whose middle there is a beep."""
    halves = range(len(samples) // 8_000)
    return [i / 2 for i in halves if np.abs(samples[i * 8_000 + 2_000 :][:4_000]).max() > 0.05]


def heard(content: bytes) -> tuple[list[float], str]:
    """When it beeps, and what is told of it."""
    sound = listen(io.BytesIO(content))
    return beep_times(sound.samples), "; ".join(sound.notes)


def padded(suffix: str, content: bytes, size: int) -> bytes:
    """The same file with bytes in it that are no sound, `size` bytes or more in all."""
    more = max(size - len(content), 64)
    if suffix in ("m4a", "mp4", "3gp"):
        return content + (more + 8).to_bytes(4, "big") + b"free" + bytes(more)
    if suffix in ("webm", "mka", "mkv"):
        return content + b"\xec\x08" + (more | 1 << 56).to_bytes(8, "big")[1:] + bytes(more + 8)
    if suffix in ("mp3", "aac"):
        length = bytes(more >> shift & 0x7F for shift in (21, 14, 7, 0))
        return b"ID3\x04\0\0" + length + bytes(more) + content
    if suffix == "wav":
        note = b"LIST" + (more & ~1).to_bytes(4, "little") + bytes(more & ~1)
        return content[:12] + note + content[12:]
    if suffix == "flac":  # blocks of padding before the last block of the header
        blocks = b"".join(
            b"\x01" + (1 << 23).to_bytes(3, "big") + bytes(1 << 23) for _ in range(more >> 23)
        )
        rest = more & ((1 << 23) - 1)
        return (
            content[:42] + blocks + b"\x01" + rest.to_bytes(3, "big") + bytes(rest) + content[42:]
        )
    raise ValueError(suffix)


def written(folder: Path, name: str, content: bytes) -> Path:
    """The content as a file."""
    path = folder / name
    path.write_bytes(content)
    return path
