"""Write a model version into Triton's model repository.

    <repository>/moodline/config.pbtxt       what Triton serves, and how it batches
    <repository>/moodline/<version>/         model.onnx and model.py: Triton runs these

Triton's version number is the registry's, so an answer names the version that gave it.
"""

import logging
import py_compile
import shutil
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError, atomic_path, file_digest
from components.config import ServingSettings
from components.conversation import Seconds
from serving.settings import HostSettings
from serving.triton.gpu import ANY_WIDTH, GRAPH, Widths, engine_folder, graph_config, graph_model

if TYPE_CHECKING:
    from onnx import ModelProto

logger = logging.getLogger(__name__)

MODEL = "moodline"
BACKEND = Path(__file__).with_name("model.py")
BY_CONTENT = py_compile.PycInvalidationMode.CHECKED_HASH

MIN_AGE_SECONDS: Seconds = 3600.0
"""A folder is kept for so long after it was written: another copy may be about to serve it."""

GROUP = 8
"""The most clips that are padded to one length and run together."""

CONFIG = """\
name: "{name}"
backend: "python"
max_batch_size: {max_batch}
input [
  {{ name: "AUDIO" data_type: TYPE_FP32 dims: [ -1 ] allow_ragged_batch: true }},
  {{ name: "INPUT_IDS" data_type: TYPE_INT64 dims: [ -1 ] allow_ragged_batch: true }}
]
output [
  {{ name: "PROBABILITIES" data_type: TYPE_FP32 dims: [ {labels} ] }},
  {{ name: "EMBEDDING" data_type: TYPE_FP32 dims: [ {width} ] }}
]
# No queue delay: a lone request would pay it in full. Batches form while the instance is busy.
dynamic_batching {{
  default_queue_policy {{
    timeout_action: REJECT
    default_timeout_microseconds: {queue_microseconds}
    allow_timeout_override: true
    max_queue_size: {max_queue}
  }}
}}
instance_group [ {{ count: {instances} kind: KIND_CPU }} ]
version_policy {{ specific {{ versions: [ {versions} ] }} }}
model_warmup [ {{
  name: "one second"
  batch_size: 1
  inputs {{ key: "AUDIO" value: {{ data_type: TYPE_FP32 dims: [ 16000 ] zero_data: true }} }}
  inputs {{ key: "INPUT_IDS" value: {{ data_type: TYPE_INT64 dims: [ 4 ] zero_data: true }} }}
}} ]
parameters {{ key: "threads" value: {{ string_value: "{threads}" }} }}
parameters {{ key: "graph" value: {{ string_value: "{graph}" }} }}
parameters {{ key: "group_clips" value: {{ string_value: "{group}" }} }}
parameters {{ key: "group_waste" value: {{ string_value: "0.25" }} }}
parameters {{ key: "group_seconds" value: {{ string_value: "120" }} }}
"""


def export_version(model_dir: Path, repository: Path, version: int) -> Path:
    """Write a model folder into the repository as a version; Triton does not serve it yet.

    Args:
        model_dir: a model version's folder with its ONNX export, `model.onnx`.
        repository: Triton's model repository; made if need be.
        version: the registry's number.

    Returns:
        The version's folder. It is written whole or not at all.

    Raises:
        InputError: the folder holds no ONNX export.
    """
    if not (Path(model_dir) / "model.onnx").is_file():
        raise InputError(f"{model_dir}: holds no model.onnx; export the model first")
    folder = repository / MODEL / str(version)
    _write_folder(folder, {**graph_files(model_dir), "model.py": BACKEND})
    return folder


def graph_files(model_dir: Path) -> dict[str, Path]:
    """The files of a version's ONNX export, by name."""
    return {path.name: path for path in Path(model_dir).glob("model.onnx*")}


def _write_folder(folder: Path, sources: dict[str, Path]) -> None:
    """Write copies of these files as a version's folder, unless it holds them already: Triton loads
    a rewritten version anew."""
    if _same(folder, sources):
        return
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for name, source in sources.items():
            shutil.copyfile(source, temporary / name)
        if "model.py" in sources:
            # Else the model's process writes it at its start, and Triton, which looks at the files'
            # times, takes the version for a changed one and loads it again at every load.
            program = str(temporary / "model.py")
            py_compile.compile(program, invalidation_mode=BY_CONTENT, doraise=True)
    logger.info("wrote %s into the model repository", folder)


def serve_versions(
    repository: Path,
    versions: Iterable[int],
    host: HostSettings,
    serving: Mapping[int, ServingSettings] | None = None,
    release: str = "",
) -> Path:
    """Write the configuration that makes Triton serve these versions, each exported before, at its
    next load.

    Args:
        repository: Triton's model repository.
        versions: to serve.
        host: how Triton runs them.
        serving: the precision of each, on a GPU; a version that is not named takes the default.
        release: of Triton, which decides what engines it can read.

    Returns:
        The configuration's path. It is written whole or not at all.

    Raises:
        InputError: no version is given, or one was not exported.
    """
    numbers = sorted(set(versions))
    if not numbers:
        raise InputError("no version to serve is given")
    for version in numbers:
        if not (repository / MODEL / str(version) / "model.onnx").is_file():
            raise InputError(f"version {version} is not in the model repository; export it first")
    path = repository / MODEL / "config.pbtxt"
    if host.gpu:
        for version in numbers:
            settings = (serving or {}).get(version, ServingSettings())
            _write_graph(repository, version, host, settings, release)
    widths = [graph_widths(repository / MODEL / str(version)) for version in numbers]
    text = model_config(MODEL, host, common_widths(widths), numbers)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def model_config(
    name: str, host: HostSettings, widths: Widths, versions: Iterable[int], graph: str = GRAPH
) -> str:
    """The configuration of the model that is asked.

    Args:
        name: of the model.
        host: how Triton runs it.
        widths: of its answers.
        versions: to serve.
        graph: what the names of the graphs' models begin with, on a GPU.
    """
    return CONFIG.format(
        name=name,
        max_batch=host.max_batch,
        labels=widths.labels,
        width=widths.embedding,
        graph=graph if host.gpu else "",
        group=GROUP,
        queue_microseconds=round(host.queue_seconds * 1e6),
        max_queue=host.max_queue,
        instances=host.instances,
        versions=", ".join(map(str, versions)),
        threads=host.threads,
    )


def model_graph_config(
    name: str, folder: Path, host: HostSettings, serving: ServingSettings, release: str
) -> str:
    """The configuration of the model that is the graph in a folder, for TensorRT."""
    facts = graph_facts(folder / "model.onnx")
    limits = (GROUP, int(facts["max_samples"]), int(facts["max_tokens"]))
    engines = engine_folder(graph_files(folder).values(), release)
    widths = graph_widths(folder)
    return graph_config(name, host, widths, limits, serving=serving, engines=engines)


def _write_graph(
    repository: Path, version: int, host: HostSettings, serving: ServingSettings, release: str
) -> None:
    folder, name = repository / MODEL / str(version), graph_model(version)
    text = model_graph_config(name, folder, host, serving, release)
    _write_folder(repository / name / "1", graph_files(folder))
    config = repository / name / "config.pbtxt"
    if not config.is_file() or config.read_text(encoding="utf-8") != text:
        with atomic_path(config) as temporary:
            temporary.write_text(text, encoding="utf-8")


def drop_versions(folder: Path, needed: Collection[int], prefix: str = "") -> None:
    """Delete the versions' folders in a folder, but for those needed and the recent ones.

    Args:
        folder: that holds a folder of each version.
        needed: versions that are served, or may be soon.
        prefix: what stands before the version's number in the name of its folder.
    """
    for path in folder.glob(f"{prefix}*"):
        number = path.name.removeprefix(prefix)
        unneeded = number.isdecimal() and int(number) not in needed
        if unneeded and path.stat().st_ctime < time.time() - MIN_AGE_SECONDS:
            shutil.rmtree(path)
            logger.info("deleted version %s from %s", number, folder)


def _same(folder: Path, sources: dict[str, Path]) -> bool:
    """Whether the folder holds exactly these files: registries made anew count from 1 again."""
    # Python leaves its compiled files beside model.py.
    if {path.name for path in folder.glob("*") if path.is_file()} != set(sources):
        return False
    return all(file_digest(folder / name) == file_digest(path) for name, path in sources.items())


def graph_facts(graph: Path) -> dict[str, str]:
    """The facts that the export wrote into an ONNX graph: its limits, its labels.

    Raises:
        InputError: there is no such file.
    """
    return _facts(_load(graph))


def labels_of(facts: Mapping[str, str]) -> tuple[str, ...]:
    """The labels of a graph with these facts, in the order of its answers. None holds a comma."""
    return tuple(facts["emotions"].split(","))


def graph_widths(folder: Path) -> Widths:
    """The widths of the answers of the graph in a version's folder.

    Raises:
        InputError: it has no such outputs, or not one probability for each of its labels.
    """
    model = _load(folder / "model.onnx")
    widths = {
        output.name: int(output.type.tensor_type.shape.dim[-1].dim_value) or ANY_WIDTH
        for output in model.graph.output
    }
    where = f"model.onnx of version {folder.name}"
    for name in ("probabilities", "embedding"):
        if name not in widths:
            raise InputError(f"{where} has no output “{name}”")
    labels, answers = labels_of(_facts(model)), widths["probabilities"]
    if answers not in (ANY_WIDTH, len(labels)):
        raise InputError(
            f"{where} gives {answers} probabilities for {len(labels)} labels"
            f" ({', '.join(labels)}); export the version anew"
        )
    return Widths(len(labels), widths["embedding"])


def _load(graph: Path) -> "ModelProto":
    import onnx

    if not graph.is_file():
        raise InputError(f"the served version holds no {graph.name}")
    return onnx.load(graph, load_external_data=False)


def _facts(model: "ModelProto") -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def common_widths(widths: Iterable[Widths]) -> Widths:
    """What one model of Triton says of the answers of all of its versions, which may differ."""
    labels, embeddings = ({*sizes} for sizes in zip(*widths, strict=True))
    return Widths(*(size.pop() if len(size) == 1 else ANY_WIDTH for size in (labels, embeddings)))
