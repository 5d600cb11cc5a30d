"""Reading sound: any file becomes mono 16 kHz float32.

WAV, FLAC and Ogg are read by soundfile, which seeks; what it cannot read (MP3, M4A, WebM) by
PyAV. Channels are averaged, since each may carry one side of the conversation.
"""

import sys
import wave
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np

from components.base.errors import InputError
from components.conversation.types import Seconds

SAMPLE_RATE = 16_000
"""Hz, of everything inside."""

MAX_CHANNELS = 32
BLOCK = 1 << 16  # frames decoded at once

# A playlist (HLS, ffconcat) would make PyAV open what it names: other files here, other servers.
AV_OPTIONS = {
    "format_whitelist": "mp3,mov,matroska,webm,ogg,wav,w64,flac,aac,aiff,amr,caf,asf,mp2,mpegts",
    "protocol_whitelist": "file",
}

if TYPE_CHECKING:
    import soundfile

Source = Path | str | IO[bytes]
T = TypeVar("T")
Use = Callable[[Iterator[np.ndarray], int], T]


def _name(source: Source) -> str:
    return str(source) if isinstance(source, (str, Path)) else "the audio"


def _check_readable(source: Source) -> None:
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.exists():
            raise InputError(f"{path}: no such file")
        if path.is_dir():
            raise InputError(f"{path}: is a folder, not an audio file")
        size = path.stat().st_size
    else:
        size = source.seek(0, 2)
        source.seek(0)
    if size == 0:
        raise InputError(f"{_name(source)}: the file is empty")


def read_audio(source: Source, start: Seconds = 0.0, end: Seconds | None = None) -> np.ndarray:
    """Read a stretch of a recording.

    Args:
        source: a file's path, or an open binary file.
        start: where the stretch begins, in seconds; before 0 is taken as 0.
        end: where it ends; None, or beyond the end, means the recording's end.

    Returns:
        float32 of shape [samples], mono at `SAMPLE_RATE`, nominally within ±1.

    Raises:
        InputError: no such file, empty, not audio, or samples that are not numbers.
    """
    return _decoded(source, _gathered, start, end)


def plain_wav(file: IO[bytes]) -> np.ndarray | None:
    """The sound of a WAV that needs no decoding: mono, 16 kHz, 16 bit.

    It returns what `read_audio` does, in a tenth of the time.

    Returns:
        float32 of shape [samples]; None where the file is anything else, or damaged.
    """
    file.seek(0)
    try:
        with wave.open(file, "rb") as sound:
            form = (sound.getnchannels(), sound.getsampwidth(), sound.getframerate())
            if form != (1, 2, SAMPLE_RATE):
                return None
            content = sound.readframes(sound.getnframes())
            whole = len(content) == 2 * sound.getnframes() > 0
    except (wave.Error, EOFError, RuntimeError):  # the last: a chunk ends beyond the file
        return None
    return np.frombuffer(content, "<i2").astype(np.float32) / 32_768 if whole else None


def check_audio(source: Source) -> Seconds:
    """Read every sample of a recording, and keep none.

    Returns:
        Its length in seconds.

    Raises:
        InputError: as `read_audio`.
    """
    return _decoded(source, lambda blocks, rate: sum(map(len, blocks)) / rate)


def _decoded(source: Source, use: Use[T], start: Seconds = 0.0, end: Seconds | None = None) -> T:
    """What `use` makes of a stretch's checked blocks of samples and their rate."""
    import soundfile

    _check_readable(source)
    try:
        with soundfile.SoundFile(source) as sound:
            rate = sound.samplerate
            _check_shape(source, rate, sound.channels)
            first = min(max(round(start * rate), 0), sound.frames)
            last = sound.frames if end is None else min(max(round(end * rate), first), sound.frames)
            sound.seek(first)
            return use(_finite(source, _soundfile_blocks(sound, last - first), first, rate), rate)
    except soundfile.LibsndfileError:
        rate, blocks = _open_with_av(source)
        first = max(round(start * rate), 0)
        last = sys.maxsize if end is None else max(round(end * rate), first)
        return use(_finite(source, _between(blocks, first, last), first, rate), rate)


def audio_duration(source: Source) -> Seconds:
    """The length of a recording in seconds.

    Raises:
        InputError: as `read_audio`.
    """
    seconds = _soundfile_duration(source)
    if seconds is None:
        rate, blocks = _open_with_av(source)
        seconds = sum(map(len, blocks)) / rate
    return seconds


def announced_duration(source: Source) -> Seconds | None:
    """The length of a recording as its header has it, at no cost; None where it has none.

    A header can be wrong: use it to plan, not to enforce a limit.
    """
    import av

    try:
        seconds = _soundfile_duration(source)
        if seconds is None:
            with _av_open(source) as container:
                seconds = container.duration / av.time_base if container.duration else None
    except (InputError, av.FFmpegError, ValueError, OSError):
        return None
    return seconds


def _soundfile_duration(source: Source) -> Seconds | None:
    """A length as soundfile reads it from the header; None where only PyAV can read the file."""
    import soundfile

    _check_readable(source)
    try:
        with soundfile.SoundFile(source) as sound:
            return sound.frames / sound.samplerate
    except soundfile.LibsndfileError:
        return None


def _check_shape(source: Source, rate: int, channels: int) -> None:
    name = _name(source)
    if channels > MAX_CHANNELS:
        raise InputError(f"{name}: has {channels} channels; at most {MAX_CHANNELS} are read")
    if not 1_000 <= rate <= 768_000:
        raise InputError(f"{name}: a sample rate of {rate} Hz is not believable")


def _finite(
    source: Source, blocks: Iterable[np.ndarray], first: int, rate: int
) -> Iterator[np.ndarray]:
    """The blocks, checked: every sample is a number. `first` is the first sample's index."""
    for block in blocks:
        bad = np.flatnonzero(~np.isfinite(block))
        if len(bad):
            raise InputError(
                f"{_name(source)}: has samples that are not numbers, the first at"
                f" {(first + int(bad[0])) / rate:.3f} s; record or export it again"
            )
        first += len(block)
        yield block


def _gathered(blocks: Iterable[np.ndarray], rate: int) -> np.ndarray:
    """Mono blocks as one array at `SAMPLE_RATE`; memory holds that array and one block."""
    import soxr

    sound = bytearray()  # grows in place
    stream = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1)
    for block in blocks:
        sound += (stream.resample_chunk(block) if stream else block).data.cast("B")
    if stream:
        sound += stream.resample_chunk(np.zeros(0, np.float32), last=True).data.cast("B")
    return np.frombuffer(sound, np.float32)


def _soundfile_blocks(sound: "soundfile.SoundFile", count: int) -> Iterator[np.ndarray]:
    """The next `count` frames, averaged over channels; fewer where the header promised more."""
    while count > 0:
        frames = sound.read(min(count, BLOCK), dtype="float32", always_2d=True)
        if not len(frames):
            return
        count -= len(frames)
        yield frames[:, 0] if sound.channels == 1 else frames.mean(axis=1, dtype=np.float32)


def _between(blocks: Iterable[np.ndarray], first: int, last: int) -> Iterator[np.ndarray]:
    """The samples from `first` to `last` of a stream of blocks, which is read no further."""
    index = 0
    for block in blocks:
        yield block[max(first - index, 0) : max(last - index, 0)]
        index += len(block)
        if index >= last:
            return


def _av_open(source: Source) -> Any:
    import av

    if not isinstance(source, (str, Path)):
        source.seek(0)
    # "r" by name: PyAV would take the mode of a small upload, held in memory, which is "w+b".
    return av.open(source, "r", metadata_errors="ignore", options=dict(AV_OPTIONS))


def _open_with_av(source: Source) -> tuple[int, Iterator[np.ndarray]]:
    """A file's sample rate by PyAV, and its sound: float32 blocks averaged over channels."""
    blocks = _av_blocks(source)
    return int(next(blocks)[0]), blocks


def _av_blocks(source: Source) -> Iterator[np.ndarray]:
    """The sample rate as the first block, then the sound."""
    import av

    empty = True
    try:
        with _av_open(source) as container:
            if not container.streams.audio:
                raise InputError(f"{_name(source)}: has no sound in it")
            stream = container.streams.audio[0]
            rate = stream.rate
            _check_shape(source, rate, stream.channels)
            yield np.array([rate])
            planar = av.AudioResampler(format="fltp", layout=stream.layout, rate=rate)
            for frame in chain(container.decode(stream), [None]):
                for out in planar.resample(frame):
                    empty = False
                    samples = np.asarray(out.to_ndarray(), dtype=np.float32)
                    yield samples.mean(axis=0, dtype=np.float32)
    except InputError:
        raise
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(
            f"{_name(source)}: is not audio that can be read (WAV, FLAC, Ogg, MP3, M4A, WebM)"
        ) from error
    if empty:
        raise InputError(f"{_name(source)}: holds no sound that can be decoded")
