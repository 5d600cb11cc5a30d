"""Audio to words with WhisperX."""

import logging
import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from typing import Any

import numpy as np

from components.base import InputError
from components.config import Settings, TranscribeSettings, resolve_model
from components.conversation import SAMPLE_RATE, AsrSegment, Seconds, join_words, spaced_words
from components.transcribe.chunks import chunks
from components.transcribe.reference_vad import reference_vad, reporting_vad
from components.transcribe.sentences import sentences
from components.transcribe.word_times import Aligner, add_word_times, shifted

log = logging.getLogger(__name__)

ASR_OPTIONS = {"without_timestamps": False}
"""With its own time marks on, Whisper loses fewer sentences behind a pause: on synthetic dialogues
tiny.en's word error rate fell from 9 to 5 %."""

CPU_BATCH = 2
"""The most stretches that a CPU reads at once. Larger batches give the same words in a twentieth
less time, and keep a short recording waiting for twice as long."""

VAD_STEP: Seconds = 1.0
"""The voice activity detector hears 5 s at once, and moves on by this. WhisperX moves it on by half
a second, which takes twice as long for the same words."""

MIN_SAMPLES = SAMPLE_RATE // 10
"""Nothing can be said in less."""


class Transcriber:
    """WhisperX, its models loaded once.

    Voice activity detection cuts the audio into stretches of at most 30 s, which Whisper reads in
    batches; an aligner then places the words that it read.

    Args:
        options: the profile's.
        settings: where prepared models lie, and the token for private models on the hub.

    Raises:
        InputError: a model cannot be loaded.
    """

    def __init__(self, options: TranscribeSettings, settings: Settings) -> None:
        import torch

        _quieten()  # before the import, which adds a handler to a log that has none
        with warnings.catch_warnings():
            # pyannote warns that ffmpeg is missing, which it needs only to read files.
            warnings.filterwarnings("ignore", message=r"\s*torchcodec")
            import whisperx
        device = options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        compute_type = options.compute_type
        if device == "cpu" and compute_type.endswith("float16"):
            log.warning("%s is not for CPUs: computing in float32", compute_type)
            compute_type = "float32"
        most = CPU_BATCH if device == "cpu" else options.batch_size
        self._batch_size = min(options.batch_size, most)
        try:
            with redirect_stdout(sys.stderr):  # whisperx prints
                self._pipeline = whisperx.load_model(
                    resolve_model(options.model, settings),
                    device,
                    compute_type=compute_type,
                    language=options.language,
                    vad_method="pyannote",
                    asr_options=ASR_OPTIONS,
                    threads=len(os.sched_getaffinity(0)),
                    use_auth_token=settings.token,
                )
                self._aligners = self._load_aligners(options, settings, device)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"the models of {options.model} cannot be loaded (run `make setup`, or give a name"
                f" on the hub): {settings.one_line(error)}"
            ) from None

        self._pipeline.vad_model.vad_pipeline._segmentation.step = VAD_STEP

    def _load_aligners(
        self, options: TranscribeSettings, settings: Settings, device: str
    ) -> list[Aligner]:
        from components.transcribe.attention import AttentionAligner

        fallback = AttentionAligner(self._pipeline)
        if options.word_times == "pocketsphinx":
            from components.transcribe.demo.phonetic import PhoneticAligner

            return [PhoneticAligner(), fallback]
        from components.transcribe.ctc import CtcAligner

        model = options.align_model and resolve_model(options.align_model, settings)
        return [CtcAligner(options.language, model, device, settings.models / "nltk"), fallback]

    def transcribe(
        self,
        audio: np.ndarray,
        stretches: Sequence[tuple[Seconds, Seconds]] | None = None,
        *,
        step: Callable[[float], None] | None = None,
    ) -> list[AsrSegment]:
        """Transcribe a recording.

        Args:
            audio: float32 [samples], mono at 16 kHz, of any length.
            stretches: start and end of what is read, in place of what the voice activity detector
                would find; they may overlap, and those beyond 30 s are cut.
            step: called every few seconds with the share that is done; what it raises ends the
                work.

        Returns:
            Its sentences in order, as WhisperX hands on its segments, or the stretches given; none
            where nobody speaks.
        """
        if stretches is not None:
            return self._transcribe_chunk(audio, stretches, None)
        transcript: list[AsrSegment] = []
        for first, last in chunks(audio):
            report = step and partial(_report, step, first / len(audio), last / len(audio))
            segments = self._transcribe_chunk(audio[first:last], None, report)
            # Sentences, because the baseline gives each segment whole to one speaker: with segments
            # of up to 30 s, as the detector cuts them, it would be weaker than it must be.
            transcript += [shifted(part, first / SAMPLE_RATE) for part in sentences(segments)]
            if step:
                step(last / len(audio))
        return transcript

    def _transcribe_chunk(
        self,
        audio: np.ndarray,
        stretches: Sequence[tuple[Seconds, Seconds]] | None,
        report: Callable[[float], None] | None,
    ) -> list[AsrSegment]:
        import torch

        if len(audio) < MIN_SAMPLES:
            return []
        threads = torch.get_num_threads()
        # A second thread gains the voice activity detector's LSTM nothing, and makes it 20 times
        # slower on a busy machine. Whisper has threads of its own.
        torch.set_num_threads(1)
        detector = self._pipeline.vad_model
        if stretches is not None:
            self._pipeline.vad_model = reference_vad(stretches, len(audio) / SAMPLE_RATE)
        elif report:
            self._pipeline.vad_model = reporting_vad(detector, report)
        try:
            transcript = self._pipeline.transcribe(
                np.ascontiguousarray(audio, dtype=np.float32),
                batch_size=self._batch_size,
                progress_callback=report,
            )
        finally:
            self._pipeline.vad_model = detector
            torch.set_num_threads(threads)
        language = transcript.get("language")
        segments = [
            _segment(part, language) for part in transcript["segments"] if part["text"].strip()
        ]
        timed = report and (lambda share: report(100 + 100 * share))
        return add_word_times(audio, segments, self._aligners, timed)


def _report(step: Callable[[float], None], low: float, high: float, percent: float) -> None:
    """Report a chunk's progress as a share of the recording: 100 percent of the words, and 100 more
    of their times."""
    step(low + (high - low) * percent / 200)


def _segment(part: dict[str, Any], language: str | None) -> AsrSegment:
    """A segment as recognised; each word scores the segment's mean probability per token."""
    score = round(min(1.0, math.exp(part["avg_logprob"])), 3)
    words = spaced_words(part["text"], language, score=score)
    return AsrSegment(part["start"], part["end"], join_words(words), words)


def _quieten() -> None:
    """Send whisperx's log where Moodline's goes: by default it writes to standard output."""
    whisperx_log = logging.getLogger("whisperx")
    whisperx_log.handlers = [logging.NullHandler()]
    whisperx_log.propagate = True
    whisperx_log.setLevel(logging.WARNING)
    # Lightning reports that whisperx's checkpoint is of an older version, every time.
    logging.getLogger("lightning.pytorch.utilities.migration").setLevel(logging.ERROR)
