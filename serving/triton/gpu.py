"""The layout of the model repository for a GPU: the same export, run by TensorRT.

    <repository>/moodline/             as without a GPU, but its process only cuts, pads and groups
    <repository>/moodline_graph_3/     version 3's model.onnx on the onnxruntime backend, with
                                       TensorRT: asked by the former, inside Triton, with padded
                                       groups of clips

Requests and answers are the same. The onnxruntime backend alone would batch only clips of one
length, or want one long tensor of all; our graph takes padded rows and their lengths.

**Engines.** TensorRT makes an engine of a graph, which takes minutes. onnxruntime finds it again by
a name made of the graph's node names, the releases of onnxruntime, CUDA and TensorRT, the precision
and the GPU's compute capability, but not of the weights (`TRTGenerateId` in its
`tensorrt_execution_provider_utils.h`). In one folder a version would so be given the engine of
another one. So each version's weights have a folder of their own, for each release of Triton: an
engine is read only by the very release of TensorRT that made it. That is also why each version has
a model of its own in Triton: the folder and the precision stand in a model's configuration.
"""

import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from components.base import file_digest, json_digest
from components.config import ServingSettings
from components.conversation import Seconds
from serving.settings import HostSettings

GRAPH = "moodline_graph"
"""What the names of the graphs' models begin with."""

ANY_WIDTH = -1
"""In Triton's configuration: answers of any size."""

KEEP_SECONDS: Seconds = 30 * 86400.0
"""Engines that no version in the repository uses are kept for so long: a version that was
registered may be promoted later."""

_CACHE_PATH = re.compile(r'key: "trt_engine_cache_path" value: "([^"]*)"')
_BROKEN = re.compile(r"engine from cache: (\S+\.engine)")

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
  {{ name: "probabilities" data_type: TYPE_FP32 dims: [ -1, {labels} ] }},
  {{ name: "embedding" data_type: TYPE_FP32 dims: [ -1, {width} ] }}
]
instance_group [ {{ count: {instances} kind: KIND_GPU }} ]
optimization {{
  execution_accelerators {{
    gpu_execution_accelerator: [ {{
      name: "tensorrt"
      parameters {{ key: "precision_mode" value: "{precision}" }}
      parameters {{ key: "trt_layer_norm_fp32_fallback" value: "1" }}
      parameters {{ key: "trt_engine_cache_enable" value: "1" }}
      parameters {{ key: "trt_engine_cache_path" value: "{engines}" }}
      parameters {{ key: "trt_profile_min_shapes" value: "{smallest}" }}
      parameters {{ key: "trt_profile_opt_shapes" value: "{typical}" }}
      parameters {{ key: "trt_profile_max_shapes" value: "{largest}" }}
    }} ]
  }}
}}
"""


class Widths(NamedTuple):
    """The sizes of an answer.

    Attributes:
        labels: how many probabilities; `ANY_WIDTH` where versions differ.
        embedding: likewise.
    """

    labels: int
    embedding: int


def graph_model(version: int | str) -> str:
    """The name in Triton of the model that is a version's graph."""
    return f"{GRAPH}_{version}"


def engine_folder(graphs: Iterable[Path], release: str) -> str:
    """The name of the folder of a version's engines.

    Args:
        graphs: the files of its ONNX export.
        release: of Triton, as it tells it.
    """
    weights = json_digest({path.name: file_digest(path) for path in sorted(graphs)})
    return f"{re.sub(r'[^A-Za-z0-9.-]', '-', release)}-{weights[:16]}"


def graph_config(
    name: str,
    host: HostSettings,
    widths: Widths,
    limits: tuple[int, int, int],
    *,
    serving: ServingSettings,
    engines: str,
) -> str:
    """The configuration that makes Triton serve a version's graph.

    Args:
        name: of the model.
        host: how many instances a version has, and where engines are kept.
        widths: of its answers.
        limits: of a padded batch: its clips, and of one clip its samples and its tokens.
        serving: the precision of the sums.
        engines: the name of the version's folder of engines; onnxruntime makes it, but not the
            folder that it lies in.
    """
    clips, samples, tokens = limits
    return CONFIG.format(
        name=name,
        labels=widths.labels,
        width=widths.embedding,
        instances=host.instances,
        precision=serving.precision.upper(),
        engines=f"{host.tensorrt_cache}/{engines}",
        smallest=_shapes(1, 1, 1),
        typical=_shapes(clips, samples // 6, tokens // 8),
        largest=_shapes(clips, samples, tokens),
    )


def _shapes(clips: int, samples: int, tokens: int) -> str:
    return (
        f"audio:{clips}x{samples},audio_lengths:{clips},"
        f"input_ids:{clips}x{tokens},text_lengths:{clips}"
    )


def drop_broken_engine(why: str, host: HostSettings) -> bool:
    """Delete the engine that a Triton could not read, if it was that: the next load makes it anew.

    A Triton that is killed while it writes an engine leaves half of it, and onnxruntime then fails
    for ever instead of making it again.

    Args:
        why: what Triton says of a load that failed.
        host: where engines are kept; this process must see that folder.

    Returns:
        Whether there was one.
    """
    broken, cache = broken_engine(why), Path(host.tensorrt_cache).resolve()
    if not broken or not broken.resolve().is_relative_to(cache) or not broken.is_file():
        return False
    broken.unlink()
    return True


def broken_engine(why: str) -> Path | None:
    """The engine that a Triton could not read, by what it says of a load that failed."""
    found = _BROKEN.search(why)
    return Path(found[1]) if found else None


def drop_engines(repository: Path, host: HostSettings) -> None:
    """Delete the engines that no version in the repository uses, but for recent ones."""
    used = {
        Path(path)
        for config in repository.glob(f"{GRAPH}_*/config.pbtxt")
        for path in _CACHE_PATH.findall(config.read_text(encoding="utf-8"))
    }
    for folder in Path(host.tensorrt_cache).glob("*-*"):
        old = folder.stat().st_mtime < time.time() - KEEP_SECONDS
        if folder.is_dir() and folder not in used and old:
            shutil.rmtree(folder)
