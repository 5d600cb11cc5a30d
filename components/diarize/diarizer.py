"""Audio to speaker segments with pyannote.audio."""

import logging
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.base import InputError, atomic_path, migrated
from components.config import DiarizeSettings, Settings, resolve_model
from components.conversation import SAMPLE_RATE, FrameScores, Seconds, SpeakerSegment

if TYPE_CHECKING:
    from components.segmentation import Segmented

log = logging.getLogger(__name__)

OLD_CLASS = "components.diarize.pipeline.CentredDiarization"
NEW_CLASS = "components.diarize.demo.pipeline.CentredDiarization"
"""The class that prepared pipelines of older homes name, and where it is now."""

MIN_SAMPLES = SAMPLE_RATE // 10
"""Voices cannot be told apart in less."""


@dataclass(frozen=True, slots=True)
class Diarization:
    """Who speaks when, ordered by start; nothing where nobody speaks.

    Attributes:
        segments: may overlap; scores are computed on these.
        exclusive: one speaker at a time, the most audible; words are attributed by these. The same
            as `segments` where the pipeline does not offer it.
        voices: each speaker's embedding, float [size] of length 1; none where the pipeline gives
            none. Biometric data: it goes with this object.
        scores: how much of each speaker the pipeline hears in each frame; None where it does not
            tell.
    """

    segments: tuple[SpeakerSegment, ...]
    exclusive: tuple[SpeakerSegment, ...]
    voices: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    scores: FrameScores | None = field(default=None, compare=False, repr=False)


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
            # It warns that ffmpeg is missing, which it needs only to read files; it gets samples.
            warnings.filterwarnings("ignore", message=r"\s*torchcodec")
            from pyannote.audio import Pipeline

        # A short recording may hold one speaker where two were expected.
        warnings.filterwarnings("ignore", message=r"\s*The detected number of speakers")
        device = options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        path, fault = resolve_model(options.pipeline, settings), ""
        try:
            follow_moves(Path(path))
            with redirect_stdout(sys.stderr):  # it prints which conditions to accept
                pipeline = Pipeline.from_pretrained(path, token=settings.token)
        except Exception as error:  # every part of a pipeline raises errors of its own
            pipeline, fault = None, f": {settings.one_line(error)}"
        if pipeline is None:
            raise InputError(
                f"the pipeline {options.pipeline} cannot be loaded (run `make setup`; for a gated"
                " one accept on the hub its conditions and those of the models it names, and set"
                f" MOODLINE_HUB_TOKEN or HF_TOKEN){fault}"
            ) from None
        from pyannote.audio.pipelines import SpeakerDiarization

        from components.diarize.activity import KeptActivity
        from components.diarize.watching import watch

        self._pipeline = pipeline.to(torch.device(device))
        by_chunks = isinstance(pipeline, SpeakerDiarization)
        self._activity = KeptActivity(self._pipeline) if by_chunks else None
        if by_chunks:
            watch(self._pipeline)

    def segment(
        self, audio: np.ndarray, step: Callable[[float], None] | None = None
    ) -> "Segmented | None":
        """One pass of the pipeline's segmentation network, for `diarize` and for whoever wants to
        know where somebody speaks.

        Args:
            audio, step: as of `diarize`.

        Returns:
            None where the pipeline is none of ours, or the recording too short.
        """
        from components.diarize.demo.packaged import PackagedDiarization

        if len(audio) < MIN_SAMPLES or not isinstance(self._pipeline, PackagedDiarization):
            return None
        return self._pipeline.segment(audio, step)

    def diarize(
        self,
        audio: np.ndarray,
        num_speakers: int | None = None,
        stretches: Sequence[tuple[Seconds, Seconds]] | None = None,
        *,
        segmented: "Segmented | None" = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
        step: Callable[[float], None] | None = None,
    ) -> Diarization:
        """Find who speaks when.

        Args:
            audio: float32 [samples], mono at 16 kHz, of any length.
            stretches: start and end of each stretch in which one person speaks, in place of what
                the pipeline would find; they may overlap.
            segmented: what `segment` returned of this recording.
            min_speakers, max_speakers: limits of their number, where it is not known.
            step: called several times a second with the share that is done; what it raises ends
                the work.

        Raises:
            InputError: stretches for a pipeline that has no use for them.
        """
        import torch
        from pyannote.audio.pipelines import SpeakerDiarization
        from pyannote.core import Segment

        from components.diarize.reference_segmentation import speakers_of
        from components.diarize.watching import printing_to_stderr

        if len(audio) < MIN_SAMPLES:
            return Diarization((), ())
        waveform = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))[None]
        # From memory: a path would need ffmpeg.
        file: dict[str, Any] = {"waveform": waveform, "sample_rate": SAMPLE_RATE, "uri": "audio"}
        if segmented is not None:
            file["segmented"] = segmented
        counts = {
            "num_speakers": num_speakers,
            "min_speakers": min_speakers,
            "max_speakers": max_speakers,
        }
        known: dict[str, Any] = {name: count for name, count in counts.items() if count is not None}
        threads = torch.get_num_threads()
        # A second thread gains an LSTM nothing, and makes it 20 times slower on a busy machine.
        torch.set_num_threads(1)
        try:
            with printing_to_stderr():  # pyannote's clustering prints
                if stretches is None:
                    if self._activity:
                        self._activity.clear()
                    found = _diarization(self._apply(file, known, step and _hook(step)))
                    if self._activity:
                        scores = self._activity.scores(found.exclusive)
                        found = replace(found, scores=scores)
                    return found
                if not isinstance(self._pipeline, SpeakerDiarization):
                    raise InputError(
                        f"{type(self._pipeline).__name__}: takes no boundaries from a reference;"
                        " set the profile's segmentation to vad, or diarize.pipeline to one of"
                        " pyannote.audio.pipelines.SpeakerDiarization"
                    )
                length = len(audio) / SAMPLE_RATE
                inside = [Segment(a, min(b, length)) for a, b in stretches if a < length]
                segments = tuple(speakers_of(self._pipeline, file, inside, **known))
                return Diarization(segments, segments)
        finally:
            torch.set_num_threads(threads)

    def voice(self, audio: np.ndarray, start: Seconds, end: Seconds) -> np.ndarray | None:
        """The voice in a stretch of a recording, by the pipeline's embedding model.

        Args:
            audio: float32 [samples], mono at 16 kHz.

        Returns:
            float [size], of length 1; None where too little is heard, or the pipeline embeds none.
        """
        import torch

        embedding = getattr(self._pipeline, "_embedding", None)
        sound = audio[max(0, round(start * SAMPLE_RATE)) : round(end * SAMPLE_RATE)]
        if embedding is None or len(sound) <= embedding.min_num_samples:
            return None
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as in `diarize`
        try:
            waveform = torch.from_numpy(np.ascontiguousarray(sound, dtype=np.float32))
            (vector,) = embedding(waveform[None, None])
        finally:
            torch.set_num_threads(threads)
        length = float(np.linalg.norm(vector))
        return vector / length if np.isfinite(length) and length > 0 else None

    def _apply(self, file: dict[str, Any], known: Mapping[str, Any], hook: Any) -> Any:
        try:
            return self._pipeline(file, **known, hook=hook)
        except ValueError:
            least = known.get("num_speakers", known.get("min_speakers"))
            if least is None:
                raise
            # VBx makes no more speakers than there are stretches of speech that it trusts.
            log.info("too little speech for %d speakers", least)
            most = known.get("num_speakers", known.get("max_speakers"))
            return self._pipeline(file, max_speakers=most, hook=hook)


def follow_moves(pipeline: Path) -> None:
    """Rewrite a pipeline's `config.yaml` that names a class by where it was in an older version.

    `pipeline` is its folder, or that file; anything else is left alone.

    Raises:
        OSError: the file cannot be written.
    """
    config = pipeline / "config.yaml" if pipeline.is_dir() else pipeline
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    if OLD_CLASS in text:
        with atomic_path(config) as temporary:
            temporary.write_text(text.replace(OLD_CLASS, NEW_CLASS), encoding="utf-8")
        migrated(config, f"{OLD_CLASS} is {NEW_CLASS} now")


def _hook(step: Callable[[float], None]) -> Callable[..., None]:
    """What pyannote calls after each batch; it goes through the recording twice."""
    rounds: list[str] = []

    def report(
        name: str, *_: Any, total: int | None = None, completed: int | None = None, **__: Any
    ) -> None:
        if total and completed is not None:
            if name not in rounds:
                rounds.append(name)
            step(min((len(rounds) - 1 + min(completed / total, 1.0)) / 2, 1.0))

    return report


def _diarization(output: Any) -> Diarization:
    """From what a pipeline returned: an annotation, or pyannote.audio 4's pair."""
    annotation = getattr(output, "speaker_diarization", output)
    exclusive = getattr(output, "exclusive_speaker_diarization", annotation)
    voices = _voices(annotation, getattr(output, "speaker_embeddings", None))
    return Diarization(_segments(annotation), _segments(exclusive), voices)


def _voices(annotation: Any, embeddings: np.ndarray | None) -> dict[str, np.ndarray]:
    """Each speaker's embedding; without a speaker of a moment's length, whose embedding is zero."""
    labels = annotation.labels()
    if embeddings is None or len(embeddings) != len(labels):
        return {}
    lengths = np.linalg.norm(embeddings, axis=1)
    return {
        str(label): embedding / length
        for label, embedding, length in zip(labels, embeddings, lengths, strict=True)
        if np.isfinite(length) and length > 0
    }


def _segments(annotation: Any) -> tuple[SpeakerSegment, ...]:
    segments = (
        SpeakerSegment(round(turn.start, 3), round(turn.end, 3), str(speaker))
        for turn, _, speaker in annotation.itertracks(yield_label=True)
    )
    return tuple(sorted(segments))
