"""The smallest diarization, of tests and of older versions: two small models come in packages.

Its folder holds `config.yaml`, which `pyannote.audio.Pipeline.from_pretrained(folder)` reads, and
the weights as safetensors, so that nothing is unpickled when it is loaded.
"""

from typing import Any

from components.diarize.demo.clustering import CentredClustering
from components.diarize.demo.packaged import PackagedDiarization
from components.diarize.demo.resemblyzer import Resemblyzer


class CentredDiarization(PackagedDiarization):
    """WhisperX's voice activity model and Resemblyzer, with `CentredClustering`.

    Args:
        arguments: those of `PackagedDiarization`.
    """

    embedder = Resemblyzer
    centred = True

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.clustering = CentredClustering(metric=self._embedding.metric)
