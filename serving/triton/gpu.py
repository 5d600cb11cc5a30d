"""The layout of the model repository for a GPU: the same export, run by TensorRT.

    <repository>/moodline/             as without a GPU, but its process only cuts, pads and groups
    <repository>/moodline_graph/       model.onnx on the onnxruntime backend, with TensorRT: asked
                                       by the former, inside Triton, with padded groups of clips

Requests and answers are the same. The onnxruntime backend alone would batch only clips of one
length, or want one long tensor of all; our graph takes padded rows and their lengths.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from components.base import atomic_path
from components.conversation import EMOTIONS
from serving.settings import HostSettings

GRAPH = "moodline_graph"
PRECISION = "FP32"
"""With FP16 a version would not answer its golden clips to 1e-4, and so never be served."""

CONFIG = """\
name: "{name}"
backend: "onnxruntime"
default_model_filename: "model.onnx"
max_batch_size: 0
input [
  {{ name: "audio" data_type: TYPE_FP32 dims: [ -1, -1 ] }},
  {{ name: "audio_lengths" data_type: TYPE_INT64 dims: [ -1 ] }},
  {{ name: "input_ids" data_type: TYPE_INT64 dims: [ -1, -1 ] }},
  {{ name: "text_lengths" data_type: TYPE_INT64 dims: [ -1 ] }}
]
output [
  {{ name: "probabilities" data_type: TYPE_FP32 dims: [ -1, {emotions} ] }},
  {{ name: "embedding" data_type: TYPE_FP32 dims: [ -1, {width} ] }}
]
instance_group [ {{ count: {instances} kind: KIND_GPU }} ]
version_policy {{ specific {{ versions: [ {versions} ] }} }}
optimization {{
  execution_accelerators {{
    gpu_execution_accelerator: [ {{
      name: "tensorrt"
      parameters {{ key: "precision_mode" value: "{precision}" }}
      parameters {{ key: "trt_layer_norm_fp32_fallback" value: "1" }}
      parameters {{ key: "trt_engine_cache_enable" value: "1" }}
      parameters {{ key: "trt_engine_cache_path" value: "{cache}" }}
      parameters {{ key: "trt_profile_min_shapes" value: "{smallest}" }}
      parameters {{ key: "trt_profile_opt_shapes" value: "{typical}" }}
      parameters {{ key: "trt_profile_max_shapes" value: "{largest}" }}
    }} ]
  }}
}}
"""


def export_graph(model_dir: Path, repository: Path, version: int) -> None:
    """Write a version's graph for the onnxruntime backend; whole or not at all."""
    folder = repository / GRAPH / str(version)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for graph in Path(model_dir).glob("model.onnx*"):
            shutil.copyfile(graph, temporary / graph.name)


def serve_graphs(
    repository: Path,
    versions: Iterable[int],
    *,
    host: HostSettings,
    group: int,
    width: int,
    max_samples: int,
    max_tokens: int,
) -> Path:
    """Write the configuration that makes Triton serve these versions' graphs.

    Args:
        repository: Triton's model repository.
        versions: exported before.
        host: how many engines a version has, and where TensorRT keeps them.
        group: the most clips in one padded batch.
        width: of the embedding.
        max_samples: of one clip.
        max_tokens: of one clip.
    """
    path = repository / GRAPH / "config.pbtxt"
    text = CONFIG.format(
        name=GRAPH,
        emotions=len(EMOTIONS),
        width=width,
        instances=host.instances,
        versions=", ".join(map(str, sorted(versions))),
        precision=PRECISION,
        cache=host.tensorrt_cache,
        smallest=_shapes(1, 1, 1),
        typical=_shapes(group, max_samples // 6, max_tokens // 8),
        largest=_shapes(group, max_samples, max_tokens),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _shapes(clips: int, samples: int, tokens: int) -> str:
    return (
        f"audio:{clips}x{samples},audio_lengths:{clips},"
        f"input_ids:{clips}x{tokens},text_lengths:{clips}"
    )
