"""The smallest diarization, of tests and of older versions: two small models come in packages.

Its folder holds `config.yaml`, which `pyannote.audio.Pipeline.from_pretrained(folder)` reads, and
the weights as safetensors, so that nothing is unpickled when it is loaded.
"""

from typing import Any

from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput

from components.diarize.demo.clustering import CentredClustering
from components.diarize.demo.packaged import NoPlda, load_weights, segmenter
from components.diarize.demo.resemblyzer import Resemblyzer
from components.diarize.demo.second_pass import embedded_again


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
        return embedded_again(self, file, super().apply(file, **options), centred=True)
