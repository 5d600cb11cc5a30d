"""pyannote's own diarization over two published models that come in a package.

Its folder holds `config.yaml`, which `pyannote.audio.Pipeline.from_pretrained(folder)` reads, and
the weights as safetensors, so that nothing is unpickled when it is loaded. pyannote segments
chunks, embeds each chunk's voices and clusters them by their centroids; then each stretch is
embedded again.
"""

from pathlib import Path
from typing import Any

from pyannote.audio import Model
from pyannote.audio.core.plda import PLDA
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.segmentation import PyanNet
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
from safetensors.torch import load_file

from components.diarize.demo.campplus import CamPlusPlus
from components.diarize.demo.second_pass import embedded_again

WEIGHTS = "model.safetensors"


class NoPlda(PLDA):
    """pyannote.audio 4 loads a PLDA always; only its VBx clustering uses it."""

    def __init__(self) -> None:
        pass


class PackagedDiarization(SpeakerDiarization):
    """pyannote's speaker diarization: segmentation-3.0 and CAM++, agglomerative clustering.

    Attributes:
        embedder: the architecture of the embedding model.
        centred: whether the second pass compares voices from their common mean.

    Args:
        segmentation: the folder of the segmentation model, as pyannote expands `$model/…`.
        embedding: the folder of the embedding model, likewise.
        architecture: the arguments of the segmentation model, a `PyanNet`.
        chunk_seconds: the length of the chunks that the segmentation model hears.
        local_speakers: how many speakers it tells apart within a chunk.
        at_once: how many of them may speak at the same time; None: see `segmenter`.
        options: the rest of what `SpeakerDiarization` takes.
    """

    embedder: type[Model] = CamPlusPlus
    centred = False

    def __init__(
        self,
        segmentation: dict[str, Any],
        embedding: dict[str, Any],
        architecture: dict[str, Any],
        chunk_seconds: float,
        local_speakers: int,
        at_once: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            segmentation=load_weights(
                segmenter(architecture, chunk_seconds, local_speakers, at_once), segmentation
            ),
            embedding=load_weights(self.embedder(), embedding),
            plda=NoPlda(),
            clustering="AgglomerativeClustering",
            **options,
        )

    def apply(self, file: Any, **options: Any) -> DiarizeOutput:  # type: ignore[override]
        """Diarize `file`, as `SpeakerDiarization.apply` does, and embed each stretch again."""
        return embedded_again(self, file, super().apply(file, **options), centred=self.centred)


def segmenter(
    architecture: dict[str, Any],
    chunk_seconds: float,
    local_speakers: int,
    at_once: int | None = None,
) -> PyanNet:
    """A segmentation model without weights.

    Args:
        architecture: the arguments of `PyanNet`.
        chunk_seconds: the length of the chunks that it hears.
        local_speakers: how many speakers it tells apart within a chunk.
        at_once: it chooses among the sets of at most so many speakers; None: it tells of each
            speaker whether they speak.
    """
    model = PyanNet(**architecture)
    problem = Problem.MONO_LABEL_CLASSIFICATION if at_once else Problem.MULTI_LABEL_CLASSIFICATION
    model.specifications = Specifications(
        problem=problem,
        resolution=Resolution.FRAME,
        duration=chunk_seconds,
        classes=[f"speaker#{number + 1}" for number in range(local_speakers)],
        powerset_max_classes=at_once,
        permutation_invariant=True,
    )
    model.build()
    return model


def load_weights(model: Model, location: dict[str, Any]) -> Model:
    """Fill a model with the weights of its folder, as pyannote names it.

    Raises:
        RuntimeError: they are another model's.
    """
    folder = Path(location["checkpoint"]) / (location["subfolder"] or "")
    model.load_state_dict(load_file(folder / WEIGHTS), strict=True)
    return model.eval()
