"""A corpus to its speaker segments."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from components.base import InputError, file_digest, json_digest, parse_json
from components.config import CHANNELS, DiarizeStep, Settings, model_digest
from components.conversation import (
    EXCLUSIVE,
    SCORES,
    SPEAKERS,
    TRANSCRIPTS,
    WHOLE,
    Progress,
    Recording,
    frame_scores_text,
    parse_words,
    read_audio,
    read_channels,
    read_documents,
    rttm_text,
    shard_of,
    work_through,
    write_documents,
)
from components.diarize.channels import ChannelDiarizer
from components.diarize.diarizer import Diarization, Diarizer
from components.diarize.hearing import hear_words_again

VERSION = 5  # of this package's results from the same audio and models: part of cache keys


def diarize_corpus(
    recordings: Sequence[Recording],
    out: Path,
    profile: DiarizeStep,
    settings: Settings,
    progress: Progress | None = None,
    shard: tuple[int, int] = WHOLE,
    transcripts: Path | None = None,
) -> int:
    """Diarize recordings to three documents each: two in RTTM, and frame scores.

    `SPEAKERS` has overlapping speech and is scored. Words are attributed by `EXCLUSIVE`, which has
    one speaker at a time, and by `SCORES` where the pipeline tells them.

    Finished work is never done again (see `work_through`). The pipeline is loaded only if there is
    work.

    Args:
        recordings: whose audio is read; of their references only the boundaries, and those only
            where the profile's segmentation is "reference".
        out: the file, see `write_documents`.
        profile: names the pipeline, the number of speakers where every recording has the same, and
            where the stretches of speech come from.
        shard: (index, count): only these recordings, see `shard_of`.
        transcripts: a file with documents of the kind `TRANSCRIPTS`: their sentences are heard
            again, each by itself (`hear_words_again`).

    Returns:
        How many recordings there were.

    Raises:
        InputError: a recording or the pipeline cannot be read, or a reference or a recording's
            words are needed and missing.
    """
    options = profile.diarize
    model = model_digest(options.pipeline, settings)

    cache = settings.finished
    words = dict(read_documents(transcripts, TRANSCRIPTS)) if transcripts else {}

    def key(recording: Recording) -> list[object]:
        # the segments carry the recording's name
        made_from = [
            VERSION,
            file_digest(recording.audio, cache),
            options.model_dump(mode="json"),
            model,
        ]
        made_from += [recording.name, profile.given_stretches(recording)]
        if transcripts:
            if recording.name not in words:
                raise InputError(f"{transcripts}: no words of {recording.name}; transcribe again")
            made_from.append(json_digest(words[recording.name]))
        return made_from

    def make(recording: Recording, step: Callable[[float], None]) -> Mapping[str, str]:
        if options.pipeline == CHANNELS:
            with _LOADING:
                by_channel = _by_channel(options)
            diarization = by_channel.diarize(read_channels(recording.audio), step=step)
        else:
            stretches = profile.given_stretches(recording)
            with _LOADING:
                diarizer = _loaded(options, settings)
            audio = read_audio(recording.audio)
            diarization = diarizer.diarize(
                audio,
                options.num_speakers,
                stretches,
                min_speakers=options.min_speakers,
                max_speakers=options.max_speakers,
                step=step,
            )
            if transcripts:
                diarization = again(recording.name, diarizer, audio, diarization, step)
        segments = diarization.segments, diarization.exclusive
        return {
            SPEAKERS: rttm_text(recording.name, diarization.segments),
            SCORES: frame_scores_text(diarization.scores, recording.name, *segments),
            EXCLUSIVE: rttm_text(recording.name, diarization.exclusive),
        }

    def again(
        name: str,
        diarizer: Diarizer,
        audio: np.ndarray,
        first: Diarization,
        step: Callable[[float], None],
    ) -> Diarization:
        location = f"{transcripts}: {name}"
        segments = parse_words(parse_json(words[name], location), location)
        most = options.num_speakers or options.max_speakers
        return hear_words_again(diarizer, audio, first, segments, most=most, step=step)

    made = work_through(
        shard_of(recordings, *shard),
        [SPEAKERS, SCORES, EXCLUSIVE],
        key,
        make,
        suffix=".rttm",
        cache=cache,
        progress=progress,
    )
    return write_documents(out, made)


# A process that works on several corpora, or on one in parts, loads the pipeline once.
_LOADING = Lock()
_loaded = lru_cache(maxsize=1)(Diarizer)
_by_channel = lru_cache(maxsize=1)(ChannelDiarizer)
