"""The smallest diarization, of tests and of older versions: two small models come in packages.

The small segmentation model sometimes takes two voices within one chunk for one. So at the end
each stretch of speech is embedded again, whole, and goes to the speaker it sounds most like.

Its folder holds `config.yaml`, which `pyannote.audio.Pipeline.from_pretrained(folder)` reads, and
the weights as safetensors, so that nothing is unpickled when it is loaded.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
from pyannote.core import Annotation, Segment

from components.diarize.demo.clustering import CentredClustering, unit
from components.diarize.demo.packaged import NoPlda, load_weights, segmenter
from components.diarize.demo.resemblyzer import Resemblyzer

MIN_SECONDS = 0.6  # a voice cannot be recognised in a shorter stretch
MAX_OVERLAP = 0.25  # share of a stretch that others may talk into
MIN_MARGIN = 0.1  # in cosine: how much more alike another speaker must be


class CentredDiarization(SpeakerDiarization):
    """pyannote's speaker diarization with `CentredClustering`.

    Args:
        segmentation: the folder of the segmentation model, as pyannote expands `$model/…`.
        embedding: the folder of the embedding model, likewise.
        architecture: the arguments of the segmentation model, a `PyanNet`.
        chunk_seconds: the length of the chunks that the segmentation model hears.
        local_speakers: how many speakers it tells apart within a chunk.
        options: the rest of what `SpeakerDiarization` takes.
    """

    def __init__(
        self,
        segmentation: dict[str, Any],
        embedding: dict[str, Any],
        architecture: dict[str, Any],
        chunk_seconds: float,
        local_speakers: int,
        **options: Any,
    ) -> None:
        super().__init__(
            segmentation=load_weights(
                segmenter(architecture, chunk_seconds, local_speakers), segmentation
            ),
            embedding=load_weights(Resemblyzer(), embedding),
            plda=NoPlda(),
            clustering="AgglomerativeClustering",
            **options,
        )
        self.clustering = CentredClustering(metric=self._embedding.metric)

    def apply(self, file: Any, **options: Any) -> DiarizeOutput:  # type: ignore[override]
        """Diarize `file`, as `SpeakerDiarization.apply` does, and embed each stretch again."""
        output = super().apply(file, **options)
        means, labels = output.speaker_embeddings, output.speaker_diarization.labels()
        if means is None or len(labels) < 2:
            return output
        centre = means.mean(axis=0)
        speakers = dict(zip(labels, unit(means - centre), strict=True))
        voices: dict[Segment, np.ndarray] = {}

        def voice(turn: Segment) -> np.ndarray:
            if turn not in voices:
                waveform, _ = self._audio.crop(file, turn, mode="pad")
                voices[turn] = unit(self._embedding(waveform[None])[0] - centre)
            return voices[turn]

        return DiarizeOutput(
            _reassigned(output.speaker_diarization, speakers, voice),
            _reassigned(output.exclusive_speaker_diarization, speakers, voice),
            means,
        )


def _reassigned(
    annotation: Annotation,
    speakers: Mapping[str, np.ndarray],
    voice: Callable[[Segment], np.ndarray],
) -> Annotation:
    """Give each stretch to the speaker whose centred mean embedding is most like its own."""
    result, overlap = Annotation(uri=annotation.uri), annotation.get_overlap()
    for turn, track, label in annotation.itertracks(yield_label=True):
        result[turn, track] = label
        disturbed = overlap.crop(turn).duration()
        if turn.duration < MIN_SECONDS or disturbed > MAX_OVERLAP * turn.duration:
            continue
        likeness = {speaker: float(voice(turn) @ mean) for speaker, mean in speakers.items()}
        best = max(speakers, key=lambda speaker: likeness[speaker])
        if likeness[best] > likeness[label] + MIN_MARGIN:
            result[turn, track] = best
    return result
