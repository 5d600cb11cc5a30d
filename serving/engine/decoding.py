"""Uploads as sound; what cannot be read, or is too long, is refused by its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from components.base import InputError
from components.conversation import SAMPLE_RATE, Seconds, Sound, listen
from components.conversation.audio import plain_wav
from components.conversation.audio_length import is_longer_than
from serving.errors import NotAudioError, TooLongError
from serving.settings import SMALL_UPLOAD_BYTES


def sample_of(name: str) -> str:
    """What a sample is called in messages."""
    return f"the sample of {name}"


def decode(upload: IO[bytes], max_seconds: Seconds, what: str) -> Sound:
    """An upload's sound; `what` names it in messages.

    Raises:
        NotAudioError: it is not sound.
        TooLongError: it is too long.
    """
    with refusals(what):
        check_length(upload, max_seconds, what)
    return heard(upload, max_seconds, what)


def heard(upload: IO[bytes], max_seconds: Seconds, what: str) -> Sound:
    """As `decode`, without looking at its packets first. One second more than is allowed shows that
    it is too long, where its packets did not."""
    with refusals(what):
        sound = listen(upload, 0.0, max_seconds + 1)
    if len(sound.samples) > max_seconds * SAMPLE_RATE:
        raise _too_long(max_seconds, what)
    return sound


def check_length(upload: IO[bytes], max_seconds: Seconds, what: str) -> None:
    """Refuse, before it is decoded, what unpacks to more than the limit, in seconds.

    Raises:
        TooLongError: it does.
        InputError: it cannot be read; see `refusals`.
    """
    if is_longer_than(upload, max_seconds):
        raise _too_long(max_seconds, what)


def _too_long(max_seconds: Seconds, what: str) -> TooLongError:
    return TooLongError(f"{what} is longer than {max_seconds:g} seconds; send it in parts")


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """What cannot be read is refused as that, with the upload's name.

    Raises:
        NotAudioError: for any `InputError` in the block but a `TooLongError`.
    """
    try:
        yield
    except TooLongError:
        raise
    except InputError as error:
        reason = str(error).removeprefix("the audio: ")
        raise NotAudioError(f"{what} {reason}") from error


def read_small_wav(upload: IO[bytes]) -> np.ndarray | None:
    """The sound of a small WAV upload that needs no decoding; None for any other upload.

    It takes less time than waking a thread, so the event loop may call it.
    """
    upload.seek(0, 2)
    return plain_wav(upload) if upload.tell() <= SMALL_UPLOAD_BYTES else None
