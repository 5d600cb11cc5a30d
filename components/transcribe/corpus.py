"""A corpus to a folder of transcripts."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from components.conversation import Recording, atomic_path, read_audio, write_words
from components.profile import (
    Cache,
    Profile,
    Settings,
    TranscribeSettings,
    file_digest,
    resolve_model,
    tree_digest,
)
from components.transcribe.transcriber import Transcriber

VERSION = 1  # of what this folder makes of the same audio with the same models


def transcribe_corpus(
    recordings: Sequence[Recording],
    out_dir: Path,
    profile: Profile,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Transcribe recordings to `<out_dir>/<recording>.json`, in WhisperX's form.

    A recording whose transcript is there already is left: a run that was killed goes on at the
    first unfinished one. What was transcribed before, in any folder, comes from the cache; models
    are loaded only where something is left to do.

    Args:
        recordings: whose audio is read.
        out_dir: made if need be.
        profile: names the models.
        settings: where models and cache lie.
        progress: called with (done, total) after each recording.

    Raises:
        InputError: a recording or a model cannot be read.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    options, cache = profile.transcribe, Cache(settings.cache)
    models = _model_digests(options, settings)
    transcriber: Transcriber | None = None
    for number, recording in enumerate(recordings, start=1):
        path = out_dir / f"{recording.name}.json"
        if not path.exists():
            key = (VERSION, file_digest(recording.audio), options.model_dump(mode="json"), models)
            cached = cache.path("transcripts", *key, suffix=".json")
            if not cached.exists():
                transcriber = transcriber or Transcriber(options, settings)
                segments = transcriber.transcribe(read_audio(recording.audio))
                write_words(cached, segments, options.language)
            with atomic_path(path) as temporary:
                shutil.copyfile(cached, temporary)
        if progress:
            progress(number, len(recordings))


def _model_digests(options: TranscribeSettings, settings: Settings) -> list[str]:
    """What names the models: a prepared folder's content, a hub model's name."""
    places = [
        resolve_model(name, settings) for name in (options.model, options.align_model) if name
    ]
    return [tree_digest(Path(place)) if Path(place).is_dir() else place for place in places]
