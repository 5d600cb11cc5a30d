"""A corpus to a folder of speaker segments."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from components.conversation import Recording, atomic_path, read_audio, write_rttm
from components.diarize.diarizer import Diarizer
from components.profile import (
    Cache,
    Profile,
    Settings,
    file_digest,
    resolve_model,
    tree_digest,
)

VERSION = 1  # of what this folder makes of the same audio with the same models


def diarize_corpus(
    recordings: Sequence[Recording],
    out_dir: Path,
    profile: Profile,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Diarize recordings to `<out_dir>/<recording>.rttm`, overlapping speech kept.

    A recording whose segments are there already is left: a run that was killed goes on at the
    first unfinished one. What was diarized before, in any folder, comes from the cache; the
    pipeline is loaded only where something is left to do.

    Args:
        recordings: whose audio is read; nothing else of them is looked at.
        out_dir: made if need be.
        profile: names the pipeline, and the number of speakers where every recording has the same.
        settings: where models and cache lie.
        progress: called with (done, total) after each recording.

    Raises:
        InputError: a recording or the pipeline cannot be read.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    options, cache = profile.diarize, Cache(settings.cache)
    place = resolve_model(options.pipeline, settings)
    model = tree_digest(Path(place)) if Path(place).is_dir() else place
    diarizer: Diarizer | None = None
    for number, recording in enumerate(recordings, start=1):
        path = out_dir / f"{recording.name}.rttm"
        if not path.exists():
            key = (VERSION, file_digest(recording.audio), options.model_dump(mode="json"), model)
            # the segments carry the recording's name
            cached = cache.path("speakers", *key, recording.name, suffix=".rttm")
            if not cached.exists():
                diarizer = diarizer or Diarizer(options, settings)
                segments = diarizer.diarize(read_audio(recording.audio), options.num_speakers)
                write_rttm(cached, recording.name, segments)
            with atomic_path(path) as temporary:
                shutil.copyfile(cached, temporary)
        if progress:
            progress(number, len(recordings))
