"""Audio to words, as WhisperX does it."""

import logging
import math
import sys
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from components.base import MOST_AT_ONCE, InputError, cores, process_cores
from components.config import Settings, TranscribeSettings, resolve_model
from components.conversation import (
    SAMPLE_RATE,
    AsrSegment,
    Seconds,
    channel_speaker,
    join_words,
    spaced_words,
)
from components.transcribe.attention import AttentionAligner
from components.transcribe.progress import Progress, part_of
from components.transcribe.reading import NO_HINTS, Hints, Reading, load_reader, read
from components.transcribe.sentences import sentences
from components.transcribe.speech import SpeechRegions
from components.transcribe.stretches import cut_stretches
from components.transcribe.word_times import Aligner, add_word_times

log = logging.getLogger(__name__)

CPU_BATCH = 2
"""The most stretches that a CPU reads at once. Larger batches give the same words in a twentieth
less time, and keep a short recording waiting for twice as long."""

MIN_SAMPLES = SAMPLE_RATE // 10
"""Nothing can be said in less."""

AUTO = "auto"
"""In place of a language: hear which it is."""

UNHEARD = "en"
"""The language of a recording in which nothing is heard."""

DETECTION_WINDOWS = 4
"""The language is heard from the first 30 s of speech, or from so many times as much where that
leaves it open."""


class Transcriber:
    """Whisper and what belongs to it, loaded once.

    WhisperX's voice activity detection cuts the audio into stretches of at most 30 s, which Whisper
    reads in batches; an aligner then places the words that it read.

    Args:
        options: the profile's.
        settings: where prepared models lie, and the token for private models on the hub.

    Attributes:
        languages: the codes of those that the model knows.

    Raises:
        InputError: a model cannot be loaded, or does not know the profile's language.
    """

    def __init__(self, options: TranscribeSettings, settings: Settings) -> None:
        import torch

        _quieten()  # before the import, which adds a handler to a log that has none
        with warnings.catch_warnings():
            # pyannote warns that ffmpeg is missing, which it needs only to read files.
            warnings.filterwarnings("ignore", message=r"\s*torchcodec")
            import whisperx  # noqa: F401
        device = options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        compute_type = options.compute_type
        if device == "cpu" and compute_type.endswith("float16"):
            log.warning("%s is not for CPUs: computing in float32", compute_type)
            compute_type = "float32"
        most = CPU_BATCH if device == "cpu" else options.batch_size
        self._batch_size = min(options.batch_size, most)
        # Batches side by side keep more of the cores busy than the threads of one.
        self._workers = min(MOST_AT_ONCE, process_cores()) if device == "cpu" else 1
        self._options, self._settings, self._device = options, settings, device
        self._aligners: dict[str, list[Aligner]] = {}
        with self._refusing():
            self._model = load_reader(
                resolve_model(options.model, settings),
                device,
                compute_type=compute_type,
                cpu_threads=max(1, process_cores() // self._workers),
                num_workers=self._workers,
                use_auth_token=settings.token,
            )
            pipeline = options.speech and Path(resolve_model(options.speech, settings))
            self._regions = SpeechRegions(pipeline or None, device)
        self.languages = frozenset(self._model.supported_languages)
        if options.language != AUTO:
            self.check_language(options.language)
            self._aligners_of(options.language)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            with redirect_stdout(sys.stderr):  # whisperx prints
                yield
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"the models of {self._options.model} cannot be loaded (run `make setup`, or give a"
                f" name on the hub): {self._settings.one_line(error)}"
            ) from None

    def _aligners_of(self, language: str) -> list[Aligner]:
        """What places words of a language, the best first."""
        if language not in self._aligners:
            fallback: Aligner = AttentionAligner(self._model, language)
            with self._refusing():
                best = self._best_aligner(language)
            self._aligners[language] = [best, fallback] if best else [fallback]
        return self._aligners[language]

    def _best_aligner(self, language: str) -> Aligner | None:
        options, settings = self._options, self._settings
        if options.word_times == "pocketsphinx":
            from components.transcribe.demo.phonetic import PhoneticAligner

            return PhoneticAligner() if language == "en" else None
        from components.transcribe.ctc import CtcAligner, has_model

        own = options.align_model if options.language in (AUTO, language) else None
        if own is None and not has_model(language):
            return None
        model = own and resolve_model(own, settings)
        return CtcAligner(language, model, self._device, settings.models / "nltk")

    def check_language(self, language: str) -> None:
        """Refuse a language that the model does not know.

        Raises:
            InputError: it is none of `languages`, nor "auto".
        """
        if language != AUTO and language not in self.languages:
            known = ", ".join(sorted(self.languages)[:100])
            raise InputError(
                f"language {language[:40]!r}: the model {self._options.model} knows {known}"
            )

    def check_hints(self, hints: Hints) -> None:
        """Refuse hints that the model cannot take.

        Raises:
            InputError: they are too long.
        """
        hints.check(self._model)

    def language_of(self, audio: np.ndarray, asked: str | None = None) -> str:
        """The language in which a recording is read.

        Args:
            audio: float32 [samples], mono at 16 kHz; heard only where nobody says the language.
            asked: a code, or "auto"; None takes the profile's.

        Raises:
            InputError: the model does not know it.
        """
        language = asked or self._options.language
        self.check_language(language)
        if language != AUTO:
            return language
        if len(self.languages) == 1:
            return next(iter(self.languages))
        if len(audio) < MIN_SAMPLES:
            return UNHEARD
        heard, share, _ = self._model.detect_language(
            np.ascontiguousarray(audio, dtype=np.float32),
            vad_filter=True,
            language_detection_segments=DETECTION_WINDOWS,
        )
        log.info("language heard: %s (%.2f)", heard, share)
        return str(heard)

    def transcribe(
        self,
        audio: np.ndarray,
        stretches: Sequence[tuple[Seconds, Seconds]] | None = None,
        *,
        language: str | None = None,
        hints: Hints = NO_HINTS,
        speech: Any = None,
        step: Callable[[float], None] | None = None,
    ) -> list[AsrSegment]:
        """Transcribe a recording.

        Args:
            audio: float32 [samples], mono at 16 kHz, of any length.
            stretches: start and end of what is read, in place of what the voice activity detector
                would find; they may overlap, and those beyond 30 s are cut.
            language: as `language_of` takes it.
            hints: on the words.
            speech: what the network of the profile's `speech` heard, where that is known: of
                `components.segmentation.Segmented`.
            step: called every few seconds with the share that is done; what it raises ends the
                work.

        Returns:
            Its sentences in order, as WhisperX hands on its segments, or the stretches given; none
            where nobody speaks.

        Raises:
            InputError: the model does not know the language, or cannot be told so much; or the
                profile's `speech` names no pipeline whose network can be read.
        """
        hints.check(self._model)
        language = self.language_of(audio, language)
        if len(audio) < MIN_SAMPLES:
            return []
        audio = np.ascontiguousarray(audio, dtype=np.float32)
        progress = Progress(len(audio) / SAMPLE_RATE, step)
        if stretches is not None:
            given = cut_stretches(stretches, len(audio) / SAMPLE_RATE)
            return list(self._placed(audio, given, language, hints, progress))
        spans = self._regions.find(audio, speech, progress.goes_on)
        # Sentences, because the baseline gives each segment whole to one speaker: with segments of
        # up to 30 s, as they are read, it would be weaker than it must be.
        return sentences(self._placed(audio, spans, language, hints, progress))

    def transcribe_channels(
        self,
        channels: np.ndarray,
        *,
        language: str,
        hints: Hints = NO_HINTS,
        step: Callable[[float], None] | None = None,
    ) -> list[AsrSegment]:
        """Transcribe a recording that has a channel for each speaker; what two say at once is kept.

        Args:
            channels: float [channels, samples] at 16 kHz, without crosstalk; see
                `components.conversation.read_channels`.
            language: a code that the model knows.
            hints, step: as of `transcribe`.

        Returns:
            The sentences of all channels in order; each word has its channel's speaker.
        """
        hints.check(self._model)
        self.check_language(language)
        if channels.shape[1] < MIN_SAMPLES:
            return []
        transcript: list[AsrSegment] = []
        count = len(channels)
        for number, channel in enumerate(channels):
            report = step and partial(part_of, step, number, count)
            speaker = channel_speaker(number)
            audio = np.ascontiguousarray(channel, dtype=np.float32)
            progress = Progress(len(audio) / SAMPLE_RATE, report)
            # Voices are not compared, so nothing is asked of a diarization pipeline.
            spans = self._regions.by_whisperx(audio, progress.goes_on)
            for part in sentences(self._placed(audio, spans, language, hints, progress)):
                words = tuple(replace(word, speaker=speaker) for word in part.words)
                transcript.append(replace(part, words=words))
        return sorted(transcript, key=attrgetter("start", "end"))

    def _placed(
        self,
        audio: np.ndarray,
        spans: Iterable[tuple[Seconds, Seconds]],
        language: str,
        hints: Hints,
        progress: Progress,
    ) -> Iterator[AsrSegment]:
        """The segment that is read in each stretch, its words with their times."""
        with closing(self._read(audio, spans, language, hints, progress)) as segments:
            for part in add_word_times(audio, segments, self._aligners_of(language)):
                progress.reached(part.end)
                yield part
        progress.reached(len(audio) / SAMPLE_RATE)

    def _read(
        self,
        audio: np.ndarray,
        spans: Iterable[tuple[Seconds, Seconds]],
        language: str,
        hints: Hints,
        progress: Progress,
    ) -> Generator[AsrSegment, None, None]:
        """What is read in each stretch, without times; none for one in which nobody speaks."""
        taken: deque[tuple[Seconds, Seconds]] = deque()

        def sounds() -> Iterator[np.ndarray]:
            for start, end in spans:
                taken.append((start, end))
                yield audio[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)]

        workers = min(self._workers, cores())
        readings = read(self._model, sounds(), language, self._batch_size, hints, workers=workers)
        with closing(readings):
            for reading in readings:
                span = taken.popleft()
                progress.reached(sum(span) / 2)  # the times of its words are the other half
                if reading.text:
                    yield _segment(span, reading, language)


def _segment(span: tuple[Seconds, Seconds], reading: Reading, language: str) -> AsrSegment:
    """A segment as recognised; each word scores the segment's mean probability per token."""
    score = round(min(1.0, math.exp(reading.log_probability)), 3)
    words = spaced_words(reading.text, language, score=score)
    return AsrSegment(round(span[0], 3), round(span[1], 3), join_words(words), words)


def _quieten() -> None:
    """Send whisperx's log where Moodline's goes: by default it writes to standard output."""
    whisperx_log = logging.getLogger("whisperx")
    whisperx_log.handlers = [logging.NullHandler()]
    whisperx_log.propagate = True
    whisperx_log.setLevel(logging.WARNING)
    # Lightning reports that whisperx's checkpoint is of an older version, every time.
    logging.getLogger("lightning.pytorch.utilities.migration").setLevel(logging.ERROR)
