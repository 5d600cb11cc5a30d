"""Audio to speaker segments with pyannote.audio."""

import sys
import warnings
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from components.conversation import SAMPLE_RATE, InputError, SpeakerSegment
from components.profile import DiarizeSettings, Settings, resolve_model

SHORTEST = SAMPLE_RATE // 10  # samples; nobody can be told from another in less


class Diarizer:
    """A pyannote.audio pipeline, loaded once.

    Args:
        options: the profile's.
        settings: where prepared models lie, and the token for gated models on the hub.

    Raises:
        InputError: the pipeline cannot be loaded.
    """

    def __init__(self, options: DiarizeSettings, settings: Settings) -> None:
        import torch

        with warnings.catch_warnings():
            # It misses ffmpeg, for reading files; we hand it samples.
            warnings.filterwarnings("ignore", message=r"\s*torchcodec")
            from pyannote.audio import Pipeline

        # Of two speakers who were asked for, a short recording may hold one.
        warnings.filterwarnings("ignore", message=r"\s*The detected number of speakers")
        device = options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        token = settings.hub_token.get_secret_value() if settings.hub_token else None
        fault = ""
        try:
            pipeline = Pipeline.from_pretrained(
                resolve_model(options.pipeline, settings), token=token
            )
        except (OSError, ValueError, RuntimeError) as error:
            pipeline, fault = None, f": {' '.join(str(error).split())}"
            if token:
                fault = fault.replace(token, "…")
        if pipeline is None:
            raise InputError(
                f"the pipeline {options.pipeline} cannot be loaded (run `make setup`; for a gated"
                f" one accept its conditions on the hub and set MOODLINE_HUB_TOKEN){fault}"
            ) from None
        self._pipeline = pipeline.to(torch.device(device))

    def diarize(
        self, audio: np.ndarray, num_speakers: int | None = None, *, exclusive: bool = False
    ) -> list[SpeakerSegment]:
        """Find who speaks when.

        Args:
            audio: float32 [samples], mono at 16 kHz, of any length.
            num_speakers: how many there are, where it is known.
            exclusive: at most one at a time, where the pipeline offers that (pyannote.audio 4);
                else overlapping speech is kept as it is heard.

        Returns:
            Segments ordered by start; none where nobody speaks.
        """
        import torch

        if len(audio) < SHORTEST:
            return []
        waveform = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))[None]
        # From memory: a path would need ffmpeg.
        file = {"waveform": waveform, "sample_rate": SAMPLE_RATE, "uri": "audio"}
        threads = torch.get_num_threads()
        # A second thread gains an LSTM nothing, and costs it twentyfold on a machine that is busy.
        torch.set_num_threads(1)
        try:
            with redirect_stdout(sys.stderr):  # pyannote's clustering prints
                output = self._pipeline(file, num_speakers=num_speakers)
        finally:
            torch.set_num_threads(threads)
        return _segments(output, exclusive)


def _segments(output: Any, exclusive: bool) -> list[SpeakerSegment]:
    """The segments in what a pipeline returned: an annotation, or pyannote.audio 4's pair."""
    annotation = getattr(output, "speaker_diarization", output)
    if exclusive:
        annotation = getattr(output, "exclusive_speaker_diarization", annotation)
    return sorted(
        SpeakerSegment(round(turn.start, 3), round(turn.end, 3), str(speaker))
        for turn, _, speaker in annotation.itertracks(yield_label=True)
    )
