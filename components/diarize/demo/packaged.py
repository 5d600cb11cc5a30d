"""pyannote's own diarization over two published models that come in a package.

Its folder holds `config.yaml`, which `pyannote.audio.Pipeline.from_pretrained(folder)` reads, and
the weights as safetensors, so that nothing is unpickled when it is loaded. CAM++'s graph for
onnxruntime lies in a folder beside it, `<its name>-graph`. pyannote segments
chunks, embeds each chunk's voices and clusters them by their centroids; then each stretch is
embedded again.
"""

import logging
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyannote.audio import Model
from pyannote.audio.core.plda import PLDA
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
from pyannote.core import SlidingWindowFeature

from components.base import spent_on
from components.conversation import Seconds
from components.diarize.clustered import Clustered
from components.diarize.demo.blocks import BoundedClustering, Scores, blocks
from components.diarize.demo.campplus import GRAPH, CamPlusPlus
from components.diarize.demo.second_pass import embedded_again
from components.segmentation import Segmentation, Segmented, load_weights, segmenter

log = logging.getLogger(__name__)

CPU_SECONDS: Seconds = 120.0
"""Seconds of sound whose voices are embedded at once on a CPU: pyannote copies a chunk's sound for
each of its voices. CAM++ took as long with more on two busy cores (23.5 and 23.7 s)."""


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
        self._chunk_seconds = chunk_seconds
        pipeline = Path(embedding["checkpoint"])
        self._graph = pipeline.with_name(f"{pipeline.name}-graph") / GRAPH
        self.clustering = BoundedClustering(metric=self._embedding.metric)

    def to(self, device: torch.device) -> "PackagedDiarization":
        """Send the models to a device; on a CPU, in the form that is quickest there."""
        super().to(device)
        if device.type == "cpu":
            most = int(CPU_SECONDS / self._chunk_seconds)
            self.embedding_batch_size = min(self.embedding_batch_size, max(1, most))
            embedding = self._embedding.model_
            if isinstance(embedding, CamPlusPlus) and embedding.graph is None:
                try:
                    embedding.quicken(self._graph)
                except Exception as error:  # onnxruntime raises its own
                    log.warning("torch computes the voices, which takes longer: %s", error)
        return self

    def segment(self, audio: np.ndarray, step: Callable[[float], None] | None = None) -> Segmented:
        """Who speaks in each chunk of a recording, and whether anybody does.

        Args:
            audio, step: as of `components.segmentation.Segmentation`.
        """
        return Segmentation(self._segmentation)(audio, step)

    def get_segmentations(self, file: Any, hook: Any = None) -> SlidingWindowFeature:
        """As of `SpeakerDiarization`; what `file` has as "segmented" is not heard again."""

        def step(share: float) -> None:
            if hook is not None:
                hook("segmentation", None, total=1, completed=share)

        heard = file.get("segmented")
        if heard is None:
            waveform, _ = self._segmentation.model.audio(file)
            heard = self.segment(waveform[0].numpy(), step)
        return Scores(heard.speakers.data, heard.speakers.sliding_window)

    def get_embeddings(
        self,
        file: Any,
        binary_segmentations: SlidingWindowFeature,
        exclude_overlap: bool = False,
        hook: Any = None,
    ) -> np.ndarray:
        """As of `SpeakerDiarization`, [chunks, local speakers, size]. A block of chunks makes whole
        batches, so that these are the same."""
        size = self.embedding_batch_size
        chunks, _, speakers = binary_segmentations.data.shape
        batches = math.ceil(chunks * speakers / size)

        def after(before: int) -> Any:
            def report(name: str, found: Any, *, total: int, completed: int) -> None:
                hook(name, found, total=batches, completed=before + completed)

            return report

        embeddings = [
            super(PackagedDiarization, self).get_embeddings(
                file, block, exclude_overlap, hook and after(first * speakers // size)
            )
            for first, block in blocks(binary_segmentations, size)
        ]
        return np.concatenate(embeddings)

    def reconstruct(
        self,
        segmentations: SlidingWindowFeature,
        hard_clusters: np.ndarray,
        count: SlidingWindowFeature,
    ) -> SlidingWindowFeature:
        """As of `SpeakerDiarization`."""
        return self.to_diarization(Clustered(segmentations, hard_clusters, missing=np.nan), count)

    def apply(  # type: ignore[override]
        self, file: Any, hook: Any = None, **options: Any
    ) -> DiarizeOutput:
        """Diarize `file`, as `SpeakerDiarization.apply` does, and embed each stretch again."""
        found = super().apply(file, hook=hook, **options)
        step = hook and partial(hook, "embeddings", None, total=1, completed=1)
        with spent_on("hear_again"):
            return embedded_again(self, file, found, centred=self.centred, step=step)
