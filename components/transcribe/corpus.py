"""A corpus to its transcripts."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from components.base import file_digest
from components.config import CHANNELS, Settings, TranscribeStep, model_digest
from components.conversation import (
    TRANSCRIPTS,
    WHOLE,
    Progress,
    Recording,
    read_audio,
    read_channels,
    shard_of,
    words_text,
    work_through,
    write_documents,
)
from components.transcribe.transcriber import Transcriber

VERSION = 5  # of this package's results from the same audio and models: part of cache keys


def transcribe_corpus(
    recordings: Sequence[Recording],
    out: Path,
    profile: TranscribeStep,
    settings: Settings,
    progress: Progress | None = None,
    shard: tuple[int, int] = WHOLE,
) -> int:
    """Transcribe recordings to documents of the kind `TRANSCRIPTS`, in WhisperX's form.

    Finished work is never done again (see `work_through`). Models are loaded only if there is work.

    Args:
        recordings: whose audio is read; of their references only the boundaries, and those only
            where the profile's segmentation is "reference".
        out: the file, see `write_documents`.
        profile: names the models, and where the stretches that are read come from.
        shard: (index, count): only these recordings, see `shard_of`.

    Returns:
        How many recordings there were.

    Raises:
        InputError: a recording or a model cannot be read, or a reference is needed and missing.
    """
    options = profile.transcribe
    speech = None if profile.by_channel else options.speech
    names = (options.model, options.align_model, speech)
    models = [model_digest(name, settings) for name in names if name]

    cache = settings.finished

    def key(recording: Recording) -> list[object]:
        made_from = [
            VERSION,
            file_digest(recording.audio, cache),
            options.model_dump(mode="json"),
            models,
        ]
        if profile.by_channel:
            return [*made_from, CHANNELS]
        stretches = profile.given_stretches(recording)
        return made_from if stretches is None else [*made_from, stretches]

    def make(recording: Recording, step: Callable[[float], None]) -> Mapping[str, str]:
        with _LOADING:
            transcriber = _loaded(options, settings)
        if profile.by_channel:
            channels = read_channels(recording.audio)
            language = transcriber.language_of(channels.mean(axis=0, dtype=np.float32))
            segments = transcriber.transcribe_channels(channels, language=language, step=step)
            return {TRANSCRIPTS: words_text(segments, language)}
        audio, stretches = read_audio(recording.audio), profile.given_stretches(recording)
        language = transcriber.language_of(audio)
        segments = transcriber.transcribe(audio, stretches, language=language, step=step)
        return {TRANSCRIPTS: words_text(segments, language)}

    made = work_through(
        shard_of(recordings, *shard),
        [TRANSCRIPTS],
        key,
        make,
        suffix=".json",
        cache=cache,
        progress=progress,
    )
    return write_documents(out, made)


# A process that works on several corpora, or on one in parts, loads the models once.
_LOADING = Lock()
_loaded = lru_cache(maxsize=1)(Transcriber)
