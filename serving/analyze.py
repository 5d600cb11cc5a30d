"""A recording becomes turns with emotions: the verbs put together.

    audio ─┬─ transcribe ─ words ────────┐
           └─ diarize ── speaker segments ┴─ align ─ turns ─ classify ─ turns with emotions

The command line and the service share this; they differ in who classifies: the command line runs
the model itself, the service asks Triton.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from components.align import align
from components.conversation import EMOTIONS, SAMPLE_RATE, Seconds, SpeakerSegment, Turn
from components.profile import Profile, Settings

if TYPE_CHECKING:
    from components.diarize import Diarizer
    from components.fusion import Clip
    from components.transcribe import Transcriber

STAGES = ("transcribe", "diarize", "align", "classify")

Watch = Callable[[str, Seconds], None]
"""Told a stage's name and how many seconds it took."""


class Classifier(Protocol):
    """Who gives the probabilities."""

    def __call__(self, clips: "Sequence[Clip]") -> np.ndarray:
        """Probabilities [n, 4], in the order of `EMOTIONS`, of n clips (waveform and words)."""


class LocalClassifier:
    """Classifies in this process, by the ONNX export of a model version.

    Args:
        model_dir: the version's folder.
    """

    def __init__(self, model_dir: Path) -> None:
        from components.fusion import OnnxModel, load_tokenizer

        self._model = OnnxModel(Path(model_dir) / "model.onnx")
        self._tokenizer = load_tokenizer(Path(model_dir))

    def __call__(self, clips: "Sequence[Clip]") -> np.ndarray:
        """As `Classifier`."""
        from components.fusion import predict

        return predict(self._model, clips, tokenizer=self._tokenizer)[0]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What came out of a recording.

    Attributes:
        duration: of the recording, in seconds.
        turns: ordered by start.
        speakers: who spoke when, overlapping speech kept.
    """

    duration: Seconds
    turns: tuple[Turn, ...]
    speakers: tuple[SpeakerSegment, ...]


class Analyzer:
    """The speech models, loaded once, and what is done with them.

    Not safe to use by several threads at the same time.

    Args:
        profile: names the speech models.
        settings: where prepared models lie.
        classifier: who gives the probabilities; without one, `analyze` gives turns without
            emotions.
    """

    def __init__(
        self, profile: Profile, settings: Settings, classifier: Classifier | None = None
    ) -> None:
        self.profile = profile
        self.settings = settings
        self.classifier = classifier
        self._transcriber: Transcriber | None = None
        self._diarizer: Diarizer | None = None

    def load(self) -> None:
        """Load the speech models now rather than at first use (half a minute).

        Raises:
            InputError: a model is not there.
        """
        if self._transcriber is None:
            from components.transcribe import Transcriber

            self._transcriber = Transcriber(self.profile.transcribe, self.settings)
        if self._diarizer is None:
            from components.diarize import Diarizer

            self._diarizer = Diarizer(self.profile.diarize, self.settings)

    def listen(
        self,
        audio: np.ndarray,
        *,
        session_id: str,
        num_speakers: int | None = None,
        max_pause: Seconds | None = None,
        watch: Watch | None = None,
    ) -> Analysis:
        """Who said what and when, without emotions.

        Args:
            audio: float32 [samples], mono 16 kHz; any length, none too.
            session_id: the recording's name.
            num_speakers: if known.
            max_pause: seconds; a longer pause begins a new turn; None takes the profile's.
            watch: told how long each stage took.
        """
        if not len(audio):
            return Analysis(0.0, (), ())
        self.load()
        assert self._transcriber is not None
        assert self._diarizer is not None
        with _timed("transcribe", watch):
            segments = self._transcriber.transcribe(audio)
        with _timed("diarize", watch):
            heard = self._diarizer.diarize(audio, num_speakers)
        with _timed("align", watch):
            pause = self.profile.align.max_pause if max_pause is None else max_pause
            turns = align(segments, heard.exclusive, session_id=session_id, max_pause=pause)
        return Analysis(len(audio) / SAMPLE_RATE, tuple(turns), heard.segments)

    def analyze(
        self,
        audio: np.ndarray,
        *,
        session_id: str,
        num_speakers: int | None = None,
        max_pause: Seconds | None = None,
        watch: Watch | None = None,
    ) -> Analysis:
        """Turns with emotions; the arguments are those of `listen`."""
        heard = self.listen(
            audio,
            session_id=session_id,
            num_speakers=num_speakers,
            max_pause=max_pause,
            watch=watch,
        )
        if not heard.turns or self.classifier is None:
            return heard
        with _timed("classify", watch):
            turns = with_emotions(heard.turns, self.classifier(turn_clips(audio, heard.turns)))
        return replace(heard, turns=tuple(turns))


def turn_clips(audio: np.ndarray, turns: Sequence[Turn]) -> "list[Clip]":
    """Each turn's stretch of the recording and its words, as the model takes them.

    Args:
        audio: the recording, float32 [samples], mono 16 kHz.
    """
    return [
        (audio[round(turn.start * SAMPLE_RATE) : round(turn.end * SAMPLE_RATE)], turn.words)
        for turn in turns
    ]


def with_emotions(turns: Sequence[Turn], probabilities: np.ndarray) -> list[Turn]:
    """The turns, each with its most probable emotion.

    Args:
        probabilities: [turns, 4], in the order of `EMOTIONS`.
    """
    return [
        replace(
            turn,
            emotion=EMOTIONS[int(row.argmax())],
            confidence=float(row.max()),
            probabilities=dict(zip(EMOTIONS, row.tolist(), strict=True)),
        )
        for turn, row in zip(turns, np.asarray(probabilities, dtype=float), strict=True)
    ]


@contextmanager
def _timed(stage: str, watch: Watch | None) -> Iterator[None]:
    began = time.monotonic()
    yield
    if watch:
        watch(stage, time.monotonic() - began)
