"""The layout for a GPU: its configuration by Triton's own schema, and all of it but the GPU run.

The onnxruntime backend and TensorRT are not to be had here. In their place a few lines of Python
run the same graph, under the same name, with the same tensors.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from components.config import ServingSettings, Settings
from serving.triton.client import TritonClient
from serving.triton.control import read_golden
from serving.triton.environment import TritonEnvironment
from serving.triton.gpu import drop_broken_engine, drop_engines, graph_model
from serving.triton.repository import export_version, serve_versions
from serving.triton.server import TritonServer
from tests.serving.steered import HOST

Clip = tuple[np.ndarray, np.ndarray]

STAND_IN = """
import numpy as np, onnxruntime, triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def initialize(self, args):
        path = f"{args['model_repository']}/{args['model_version']}/model.onnx"
        self.session = onnxruntime.InferenceSession(path)
    def execute(self, requests):
        answers = []
        for request in requests:
            feed = {t.name(): t.as_numpy() for t in request.inputs()}
            names = ["probabilities", "embedding"]
            outputs = [pb_utils.Tensor(n, a) for n, a in zip(names, self.session.run(names, feed))]
            answers.append(pb_utils.InferenceResponse(output_tensors=outputs))
        return answers
"""


GPU = HOST.model_copy(update={"gpu": True})
RELEASE = "2.60.0"


@pytest.fixture
def repository(models: dict[int, Path], tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for version in (3, 4):
        export_version(models[version], root, version)
    half = {4: ServingSettings(precision="fp16")}
    serve_versions(root, [3, 4], GPU, half, RELEASE)
    return root


def parsed(path: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def tensorrt(repository: Path, version: int) -> dict[str, str]:
    config = parsed(repository / f"moodline_graph_{version}" / "config.pbtxt")
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    return dict(accelerator.parameters)


def test_the_graph_is_configured_for_tensorrt(repository: Path) -> None:
    config = parsed(repository / "moodline_graph_3" / "config.pbtxt")
    assert (config.name, config.backend) == ("moodline_graph_3", "onnxruntime")
    assert config.max_batch_size == 0
    assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
    cache = Path(tensorrt(repository, 3)["trt_engine_cache_path"])
    assert cache.parent == Path(HOST.tensorrt_cache), "the repository is read-only for Triton"
    most = "audio:8x480000,audio_lengths:8,input_ids:8x64,text_lengths:8"
    assert tensorrt(repository, 3)["trt_profile_max_shapes"] == most
    assert (repository / "moodline_graph_3" / "1" / "model.onnx").is_file()


def test_each_version_has_its_own_precision(repository: Path) -> None:
    modes = [tensorrt(repository, version)["precision_mode"] for version in (3, 4)]
    assert modes == ["FP32", "FP16"]


BACKEND_KNOWS = """
int8_calibration_table_name int8_use_native_calibration_table max_workspace_size_bytes
precision_mode trt_auxiliary_streams trt_build_heuristics_enable trt_builder_optimization_level
trt_context_memory_sharing_enable trt_cuda_graph_enable trt_detailed_build_log trt_dla_core
trt_dla_enable trt_dump_ep_context_model trt_dump_subgraphs trt_engine_cache_enable
trt_engine_cache_path trt_engine_cache_prefix trt_ep_context_embed_mode trt_ep_context_file_path
trt_extra_plugin_lib_paths trt_force_sequential_engine_build trt_force_timing_cache
trt_layer_norm_fp32_fallback trt_max_partition_iterations trt_min_subgraph_size
trt_profile_max_shapes trt_profile_min_shapes trt_profile_opt_shapes trt_sparsity_enable
trt_tactic_sources trt_timing_cache_enable trt_timing_cache_path
"""
"""What the onnxruntime backend takes (its `onnxruntime.cc`, r25.07 and r26.06); no others."""


def test_the_backend_knows_every_parameter(repository: Path) -> None:
    assert {*tensorrt(repository, 3)} <= {*BACKEND_KNOWS.split()}


def name_by_onnxruntime(graph: Path) -> tuple[str, ...]:
    """What onnxruntime 1.22 makes an engine's name of, besides the releases and the precision: the
    graph file's name, the names of its inputs, those of all nodes' outputs (`TRTGenerateId`), and
    the graph's own name."""
    import onnx

    model = onnx.load(graph).graph
    outputs = [name for node in model.node for name in node.output]
    return (graph.name, model.name, *(value.name for value in model.input), *outputs)


def test_a_version_is_never_given_the_engine_of_another_ones_weights(repository: Path) -> None:
    """onnxruntime would: it looks at names, and two trainings differ in their weights alone."""
    graphs = [repository / f"moodline_graph_{v}" / "1" / "model.onnx" for v in (3, 4)]
    assert graphs[0].read_bytes() != graphs[1].read_bytes()
    assert name_by_onnxruntime(graphs[0]) == name_by_onnxruntime(graphs[1])
    folders = [tensorrt(repository, version)["trt_engine_cache_path"] for version in (3, 4)]
    assert folders[0] != folders[1]


def test_another_release_of_triton_makes_engines_of_its_own(
    repository: Path, models: dict[int, Path]
) -> None:
    before = tensorrt(repository, 3)["trt_engine_cache_path"]
    serve_versions(repository, [3], GPU, release="2.61.0")
    assert tensorrt(repository, 3)["trt_engine_cache_path"] != before
    # A version that is registered again, under another number, finds its engine.
    export_version(models[3], repository, 7)
    serve_versions(repository, [7], GPU, release=RELEASE)
    assert tensorrt(repository, 7)["trt_engine_cache_path"] == before


def test_half_an_engine_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    host = GPU.model_copy(update={"tensorrt_cache": str(tmp_path / "engines")})
    engine = tmp_path / "engines" / "2.60.0-0123" / "TRTKernel_1_0_0_fp16_sm89.engine"
    other = tmp_path / "home.engine"
    engine.parent.mkdir(parents=True)
    for path in (engine, other):
        path.write_bytes(b"half")
    # As onnxruntime has it, and Triton around it.
    line = "onnx runtime error 11: TensorRT EP could not deserialize engine from cache: {};"
    assert not drop_broken_engine(line.format(other), host)
    assert not drop_broken_engine("version 3 is at UNAVAILABLE state: out of memory", host)
    assert other.exists() and engine.exists()
    assert drop_broken_engine(line.format(engine), host)
    assert not engine.exists()
    assert not drop_broken_engine(line.format(engine), host), "so that nobody tries for ever"


def test_engines_go_once_nobody_uses_them_any_more(models: dict[int, Path], tmp_path: Path) -> None:
    cache = tmp_path / "engines"
    host = GPU.model_copy(update={"tensorrt_cache": str(cache)})
    export_version(models[3], tmp_path, 3)
    serve_versions(tmp_path, [3], host, release=RELEASE)
    used = Path(tensorrt(tmp_path, 3)["trt_engine_cache_path"])
    old, new = cache / "2.60.0-aaaa", cache / "2.60.0-bbbb"
    for folder in (used, old, new):
        folder.mkdir(parents=True)
    for folder in (used, old):
        os.utime(folder, (0, 0))
    drop_engines(tmp_path, host)
    assert {*cache.iterdir()} == {used, new}


def test_the_tensors_of_the_configuration_are_those_of_the_graph(repository: Path) -> None:
    import onnx

    config = parsed(repository / "moodline_graph_3" / "config.pbtxt")
    graph = onnx.load(repository / "moodline_graph_3" / "1" / "model.onnx").graph
    types = {"TYPE_FP32": onnx.TensorProto.FLOAT, "TYPE_INT64": onnx.TensorProto.INT64}
    for told, real in ((config.input, graph.input), (config.output, graph.output)):
        for ours, theirs in zip(told, real, strict=True):
            kind = theirs.type.tensor_type
            assert ours.name == theirs.name
            assert types[model_config_pb2.DataType.Name(ours.data_type)] == kind.elem_type
            assert len(ours.dims) == len(kind.shape.dim)
            for dimension, size in zip(ours.dims, kind.shape.dim, strict=True):
                assert dimension == (size.dim_value or -1)


def stand_in(repository: Path, version: int) -> None:
    """Run a version's graph by Python, where the onnxruntime backend is not."""
    graph = repository / graph_model(version)
    config = parsed(graph / "config.pbtxt")
    config.backend, config.default_model_filename = "python", "model.py"
    config.instance_group[0].kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
    config.ClearField("optimization")
    (graph / "config.pbtxt").write_text(text_format.MessageToString(config))
    (graph / "1" / "model.py").write_text(STAND_IN)
    # Where a GPU is, Python has no onnxruntime: only the stand-in for the backend may find it.
    model = repository / "moodline" / str(version) / "model.py"
    if "sys.modules" not in model.read_text():
        model.write_text(f"import sys\nsys.modules['onnxruntime'] = None\n{model.read_text()}")


@pytest.mark.servers
@pytest.mark.timeout(120)
def test_requests_are_answered_through_the_graph_beside(
    repository: Path,
    models: dict[int, Path],
    clip: Callable[[int], Clip],
    alone: Callable[..., tuple[np.ndarray, np.ndarray]],
    tmp_path: Path,
) -> None:
    for version in (3, 4):
        stand_in(repository, version)
    clips = [clip(i) for i in range(12)]
    environment = TritonEnvironment(Settings().triton_env.resolve())
    with TritonServer(environment, repository, tmp_path / "log") as server:
        server.control.load([graph_model(3), graph_model(4)])
        server.control.prove(3, read_golden(models[3]))
        server.control.prove(4, read_golden(models[4]))

        async def ask() -> list:
            async with TritonClient(server.grpc_url) as client:
                return await client.classify_all(clips, version="3")

        for (audio, ids), answer in zip(clips, asyncio.run(ask()), strict=True):
            expected = alone(models[3], audio, ids)
            np.testing.assert_allclose(answer.probabilities, expected[0], atol=1e-4)
            np.testing.assert_allclose(answer.embedding, expected[1], atol=1e-4)

        # A version that is served no longer gives its GPU's memory back.
        serve_versions(repository, [4], GPU, release=RELEASE)
        stand_in(repository, 4)
        server.control.load([graph_model(4)])
        server.control.prove(4, read_golden(models[4]))
        assert server.control._held_graphs() == {graph_model(4)}
