"""The step before promotion: a Triton is sent a version, answers its golden clips, forgets it.

The Triton here has no GPU, so no engine is made; all else is as with one.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file
from tritonclient.grpc import InferenceServerClient

from components.base import InputError, Unavailable
from components.config import Engines, ServingSettings, Settings
from serving.errors import NotReadyError
from serving.triton.component import engines
from serving.triton.control import read_golden
from serving.triton.engines import _prove, make_engines
from serving.triton.environment import TritonEnvironment
from serving.triton.server import TritonServer
from tests.serving.steered import HOST, wrong

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    folder = tmp_path_factory.mktemp("maker")
    environment = TritonEnvironment(Settings().triton_env.resolve())
    with TritonServer(environment, folder / "empty", folder / "log") as server:
        yield server


def held(server: TritonServer) -> list[str]:
    client = InferenceServerClient(server.grpc_url)
    return [m.name for m in client.get_model_repository_index().models if m.state == "READY"]


def in_half(folder: Path) -> Path:
    """The model with its weights rounded to float16, as a server in FP16 has them."""
    graph = onnx.load(folder / "model.onnx")
    for weight in graph.graph.initializer:
        rounded = onnx.numpy_helper.to_array(weight).astype("f2").astype("f4")
        weight.CopyFrom(onnx.numpy_helper.from_array(rounded, weight.name))
    onnx.save(graph, folder / "model.onnx")
    return folder


def test_a_version_is_proven_by_a_triton_that_then_forgets_it(
    maker: TritonServer, models: dict[int, Path]
) -> None:
    offs = make_engines(models[3], (maker.grpc_url,), HOST)
    assert offs[maker.grpc_url] <= 1e-4
    assert held(maker) == []


def test_one_that_answers_wrongly_is_not_promoted(
    maker: TritonServer, models: dict[int, Path], tmp_path: Path
) -> None:
    folder = wrong(Path(shutil.copytree(models[3], tmp_path / "model")))
    with pytest.raises(InputError, match=r"cannot serve the model in fp32: .*golden answers"):
        make_engines(folder, (maker.grpc_url,), HOST)
    assert held(maker) == []


def test_a_triton_that_cannot_load_it_says_so_and_one_that_is_away(
    maker: TritonServer, models: dict[int, Path]
) -> None:
    gpu = HOST.model_copy(update={"gpu": True})
    with pytest.raises(InputError, match=r"cannot load the model: .*onnxruntime"):
        make_engines(models[3], (maker.grpc_url,), gpu)
    assert held(maker) == []
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1, which makes engines, does not answer"):
        make_engines(models[3], ("127.0.0.1:1",), HOST)


def test_each_precision_has_its_own_tolerance(
    maker: TritonServer, models: dict[int, Path], tmp_path: Path
) -> None:
    """Weights in float16 are right to fp16's, and wrong to fp32's."""
    folder = in_half(Path(shutil.copytree(models[3], tmp_path / "model")))
    with pytest.raises(InputError, match=r"off its golden answers by .*; 0\.0001 is allowed"):
        make_engines(folder, (maker.grpc_url,), HOST)
    half = ServingSettings(precision="fp16")
    off = _prove(maker.control, folder, HOST, half, read_golden(folder, half))
    assert 1e-4 < off <= half.largest_difference


def test_an_overflow_is_never_right(
    maker: TritonServer, models: dict[int, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models[3], tmp_path / "model"))
    golden = load_file(folder / "golden.safetensors")
    golden["probabilities"][:] = np.nan
    save_file(golden, folder / "golden.safetensors")
    loosest = ServingSettings(precision="fp16", tolerance=0.99)
    with pytest.raises(NotReadyError, match="off its golden answers by nan"):
        _prove(maker.control, folder, HOST, loosest, read_golden(folder, loosest))


def test_the_step_says_what_it_found(
    maker: TritonServer, models: dict[int, Path], tmp_path: Path
) -> None:
    class Artifact:
        """What KFP's launcher gives a step for an artifact."""

        def __init__(self, path: Path) -> None:
            self.path = str(path)
            self.logged: dict[str, float] = {}

        def log_metric(self, name: str, value: float) -> None:
            self.logged[name] = value

    metrics = Artifact(tmp_path / "metrics")
    settings = Engines(tritons=(maker.grpc_url,), tensorrt=False)
    said = engines.python_func(Artifact(models[3]), settings.model_dump_json(), metrics)
    assert json.loads(said) == json.loads((tmp_path / "metrics").read_text())
    assert metrics.logged["golden_difference"] <= 1e-4
