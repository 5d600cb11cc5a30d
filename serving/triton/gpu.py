"""The layout of the model repository for a GPU: the same export, run by TensorRT.

    <repository>/moodline/             as without a GPU, but its process only cuts, pads and groups
    <repository>/moodline_graph/       model.onnx on the onnxruntime backend, with TensorRT: asked
                                       by the former, inside Triton, with padded groups of clips

Requests and answers are the same. The onnxruntime backend alone would batch only clips of one
length, or want one long tensor of all; our graph takes padded rows and their lengths.
"""

from collections.abc import Sequence

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


def graph_config(
    versions: Sequence[int], host: HostSettings, width: int, limits: tuple[int, int, int]
) -> str:
    """The configuration that makes Triton serve these versions' graphs.

    Args:
        versions: exported before.
        host: how many engines a version has, and where TensorRT keeps them.
        width: of the embedding.
        limits: of a padded batch: its clips, and of one clip its samples and its tokens.
    """
    clips, samples, tokens = limits
    return CONFIG.format(
        name=GRAPH,
        emotions=len(EMOTIONS),
        width=width,
        instances=host.instances,
        versions=", ".join(map(str, versions)),
        precision=PRECISION,
        cache=host.tensorrt_cache,
        smallest=_shapes(1, 1, 1),
        typical=_shapes(clips, samples // 6, tokens // 8),
        largest=_shapes(clips, samples, tokens),
    )


def _shapes(clips: int, samples: int, tokens: int) -> str:
    return (
        f"audio:{clips}x{samples},audio_lengths:{clips},"
        f"input_ids:{clips}x{tokens},text_lengths:{clips}"
    )
