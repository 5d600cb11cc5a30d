"""Reading sound: any file becomes mono 16 kHz float32.

WAV, FLAC and Ogg are read by soundfile, which seeks; what it cannot read (MP3, M4A, WebM) by
PyAV. Channels are averaged, since each may carry one side of the conversation.
"""

from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from components.conversation.errors import InputError
from components.conversation.types import Seconds

SAMPLE_RATE = 16_000
"""Hz, of everything inside."""

MAX_CHANNELS = 32

Source = Path | str | IO[bytes]


def _name(source: Source) -> str:
    return str(source) if isinstance(source, (str, Path)) else "the audio"


def _check_readable(source: Source) -> None:
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.exists():
            raise InputError(f"{path}: no such file")
        if path.is_dir():
            raise InputError(f"{path}: is a folder, not an audio file")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty")
    else:
        source.seek(0, 2)
        if source.tell() == 0:
            raise InputError("the audio: the file is empty")
        source.seek(0)


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
    import soundfile

    _check_readable(source)
    try:
        with soundfile.SoundFile(_for_soundfile(source)) as sound:
            rate, channels = sound.samplerate, sound.channels
            _check_shape(source, rate, channels)
            first = min(max(round(start * rate), 0), sound.frames)
            last = sound.frames if end is None else min(max(round(end * rate), first), sound.frames)
            sound.seek(first)
            samples = sound.read(last - first, dtype="float32", always_2d=True)
        mono = samples.mean(axis=1, dtype=np.float32)
    except soundfile.LibsndfileError:
        mono, rate = _read_with_av(source)
        first = max(round(start * rate), 0)
        mono = mono[first : None if end is None else max(round(end * rate), first)]
    if not np.isfinite(mono).all():
        raise InputError(
            f"{_name(source)}: has samples that are not numbers; record or export it again"
        )
    return _resample(mono, rate)


def audio_duration(source: Source) -> Seconds:
    """The length of a recording in seconds.

    Raises:
        InputError: as `read_audio`.
    """
    import soundfile

    _check_readable(source)
    try:
        with soundfile.SoundFile(_for_soundfile(source)) as sound:
            return sound.frames / sound.samplerate
    except soundfile.LibsndfileError:
        mono, rate = _read_with_av(source)
        return len(mono) / rate


def _for_soundfile(source: Source) -> Any:
    return str(source) if isinstance(source, (str, Path)) else source


def _check_shape(source: Source, rate: int, channels: int) -> None:
    if channels > MAX_CHANNELS:
        raise InputError(
            f"{_name(source)}: has {channels} channels; at most {MAX_CHANNELS} are read"
        )
    if not 1_000 <= rate <= 768_000:
        raise InputError(f"{_name(source)}: a sample rate of {rate} Hz is not believable")


def _resample(mono: np.ndarray, rate: int) -> np.ndarray:
    if rate == SAMPLE_RATE or not len(mono):
        return mono
    import soxr

    return soxr.resample(mono, rate, SAMPLE_RATE)


def _read_with_av(source: Source) -> tuple[np.ndarray, int]:
    """Decode a whole file with PyAV: float32 [samples] averaged over channels, and its rate."""
    import av

    if not isinstance(source, (str, Path)):
        source.seek(0)
    try:
        with av.open(_for_soundfile(source), metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise InputError(f"{_name(source)}: has no sound in it")
            stream = container.streams.audio[0]
            rate = stream.rate
            _check_shape(source, rate, stream.channels)
            planar = av.AudioResampler(format="fltp", layout=stream.layout, rate=rate)
            parts = [
                np.asarray(out.to_ndarray(), dtype=np.float32).mean(axis=0, dtype=np.float32)
                for frame in chain(container.decode(stream), [None])
                for out in planar.resample(frame)
            ]
    except InputError:
        raise
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(
            f"{_name(source)}: is not audio that can be read (WAV, FLAC, Ogg, MP3, M4A, WebM)"
        ) from error
    if not parts:
        raise InputError(f"{_name(source)}: holds no sound that can be decoded")
    return np.concatenate(parts), rate
