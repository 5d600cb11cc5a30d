"""The layout for a GPU: its configuration by Triton's own schema, and all of it but the GPU run.

The onnxruntime backend and TensorRT are not to be had here. In their place a few lines of Python
run the same graph, under the same name, with the same tensors.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from components.config import Settings
from serving.triton.client import TritonClient
from serving.triton.control import read_golden
from serving.triton.environment import TritonEnvironment
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


@pytest.fixture
def repository(models: dict[int, Path], tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    export_version(models[3], root, 3)
    serve_versions(root, [3], HOST.model_copy(update={"gpu": True}))
    return root


def parsed(path: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def test_the_graph_is_configured_for_tensorrt(repository: Path) -> None:
    config = parsed(repository / "moodline_graph" / "config.pbtxt")
    assert (config.backend, config.max_batch_size) == ("onnxruntime", 0)
    assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
    (tensorrt,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert tensorrt.name == "tensorrt"
    assert tensorrt.parameters["precision_mode"] == "FP32"
    cache = tensorrt.parameters["trt_engine_cache_path"]
    assert cache == HOST.tensorrt_cache, "the repository is read-only for Triton"
    most = "audio:8x480000,audio_lengths:8,input_ids:8x64,text_lengths:8"
    assert tensorrt.parameters["trt_profile_max_shapes"] == most
    assert list(config.version_policy.specific.versions) == [3]
    assert (repository / "moodline_graph" / "3" / "model.onnx").is_file()


def test_the_tensors_of_the_configuration_are_those_of_the_graph(repository: Path) -> None:
    import onnx

    config = parsed(repository / "moodline_graph" / "config.pbtxt")
    graph = onnx.load(repository / "moodline_graph" / "3" / "model.onnx").graph
    types = {"TYPE_FP32": onnx.TensorProto.FLOAT, "TYPE_INT64": onnx.TensorProto.INT64}
    for told, real in ((config.input, graph.input), (config.output, graph.output)):
        for ours, theirs in zip(told, real, strict=True):
            kind = theirs.type.tensor_type
            assert ours.name == theirs.name
            assert types[model_config_pb2.DataType.Name(ours.data_type)] == kind.elem_type
            assert len(ours.dims) == len(kind.shape.dim)
            for dimension, size in zip(ours.dims, kind.shape.dim, strict=True):
                assert dimension == (size.dim_value or -1)


@pytest.mark.servers
@pytest.mark.timeout(120)
def test_requests_are_answered_through_the_graph_beside(
    repository: Path,
    models: dict[int, Path],
    clip: Callable[[int], Clip],
    alone: Callable[..., tuple[np.ndarray, np.ndarray]],
    tmp_path: Path,
) -> None:
    graph = repository / "moodline_graph"
    config = parsed(graph / "config.pbtxt")
    config.backend, config.default_model_filename = "python", "model.py"
    config.instance_group[0].kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
    config.ClearField("optimization")
    (graph / "config.pbtxt").write_text(text_format.MessageToString(config))
    (graph / "3" / "model.py").write_text(STAND_IN)
    # Where a GPU is, Python has no onnxruntime: only the stand-in for the backend may find it.
    model = repository / "moodline" / "3" / "model.py"
    model.write_text(f"import sys\nsys.modules['onnxruntime'] = None\n{model.read_text()}")
    clips = [clip(i) for i in range(12)]
    environment = TritonEnvironment(Settings().triton_env.resolve())
    with TritonServer(environment, repository, tmp_path / "log") as server:
        server.control.load()
        server.control.prove(3, read_golden(models[3]))

        async def ask() -> list:
            async with TritonClient(server.grpc_url) as client:
                return await client.classify_all(clips)

        for (audio, ids), answer in zip(clips, asyncio.run(ask()), strict=True):
            expected = alone(models[3], audio, ids)
            np.testing.assert_allclose(answer.probabilities, expected[0], atol=1e-4)
            np.testing.assert_allclose(answer.embedding, expected[1], atol=1e-4)
