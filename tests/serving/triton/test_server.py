"""A real tritonserver: right answers, versions, and what it does when its parts die."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
import pytest
import yaml

from components.base import InputError
from components.config import Settings
from serving.errors import NotReadyError
from serving.triton.client import TritonClient
from serving.triton.control import read_golden
from serving.triton.environment import TritonEnvironment
from serving.triton.errors import TritonError, TritonLateError
from serving.triton.protocol import Answer
from serving.triton.repository import export_version, serve_versions
from serving.triton.server import TritonServer
from tests.infra.queries import queries, selected
from tests.serving.conftest import LARGE, tiny_model
from tests.serving.helpers import wait_until
from tests.serving.steered import HOST, stubs

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

BASE = Path(__file__).parents[3] / "infra/kubernetes/base"
AUTOSCALING, MANIFEST = BASE / "autoscaling.yaml", BASE / "triton.yaml"

SERVING = b"\x08\x01"
"""`HealthCheckResponse(status=SERVING)`."""

Clip = tuple[np.ndarray, np.ndarray]
MakeClip = Callable[[int], Clip]
Alone = Callable[..., tuple[np.ndarray, np.ndarray]]


def classify_all(server: TritonServer, clips: list[Clip], at_once: int = 8) -> list[Answer]:
    async def ask() -> list[Answer]:
        async with TritonClient(server.grpc_url, at_once=at_once) as client:
            return await client.classify_all(clips)

    return asyncio.run(ask())


def counted(server: TritonServer, name: str) -> float:
    text = httpx.get(server.metrics_url).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def test_batched_ragged_answers_equal_each_clip_alone(
    triton: TritonServer, models: dict[int, Path], clip: MakeClip, alone: Alone
) -> None:
    clips = [clip(100 + i) for i in range(48)]
    before = counted(triton, "nv_inference_count"), counted(triton, "nv_inference_exec_count")
    (stub,) = stubs(triton)

    async def ask() -> list[Answer]:
        async with TritonClient(triton.grpc_url, at_once=48) as client:
            stub.suspend()  # until all of them wait
            asked = asyncio.create_task(client.classify_all(clips))
            while counted(triton, "nv_inference_pending_request_count") < 40:
                await asyncio.sleep(0.05)
            stub.resume()
            return await asked

    answers = asyncio.run(ask())
    for (audio, ids), answer in zip(clips, answers, strict=True):
        probabilities, embedding = alone(models[3], audio, ids)
        np.testing.assert_allclose(answer.probabilities, probabilities, atol=1e-4)
        np.testing.assert_allclose(answer.embedding, embedding, atol=1e-4)
    asked = counted(triton, "nv_inference_count") - before[0]
    runs = counted(triton, "nv_inference_exec_count") - before[1]
    assert asked == 48
    assert runs < asked, "requests of different lengths must be batched"


def test_an_answer_names_the_registrys_version(triton: TritonServer, clip: MakeClip) -> None:
    assert {answer.version for answer in classify_all(triton, [clip(1)])} == {"3"}
    assert triton.control.versions() == [3]


def test_a_bad_clip_fails_alone(triton: TritonServer, clip: MakeClip) -> None:
    audio, ids = clip(7)
    bad = {
        "not be empty": (audio[:0], ids),
        "not numbers": (np.full(16_000, np.nan, np.float32), ids),
        "cannot answer": (audio, np.array([10_000])),  # no such token
    }

    async def ask(client: TritonClient, text: str) -> None:
        with pytest.raises(TritonError, match=text):
            await client.classify(*bad[text])

    async def together() -> list[Answer]:
        async with TritonClient(triton.grpc_url) as client:
            good = [client.classify(*clip(i)) for i in range(8)]
            both = await asyncio.gather(*good, *(ask(client, text) for text in bad))
            return [answer for answer in both if isinstance(answer, Answer)]

    assert len(asyncio.run(together())) == 8


def test_the_memory_of_the_longest_clips_is_given_back(tmp_path: Path, clip: MakeClip) -> None:
    export_version(tiny_model(tmp_path / "model", 1, LARGE), tmp_path / "repository", 1)
    serve_versions(tmp_path / "repository", [1], HOST)
    environment = TritonEnvironment(Settings().triton_env.resolve())
    ids = clip(1)[1]
    short, long = (np.full(seconds * 16_000, 0.1, np.float32) for seconds in (1, 30))
    with TritonServer(environment, tmp_path / "repository", tmp_path / "log") as server:
        server.control.load()

        def megabytes() -> float:
            return max(stub.memory_full_info().uss for stub in stubs(server)) / 1e6

        classify_all(server, [(short, ids)] * 32, at_once=32)
        before = megabytes()
        classify_all(server, [(long, ids)] * 32, at_once=32)  # four of them: 61 MB an array
        assert megabytes() < before + 100


def test_a_deadline_is_kept(triton: TritonServer, clip: MakeClip) -> None:
    async def ask() -> None:
        async with TritonClient(triton.grpc_url) as client:
            await client.classify(*clip(1), deadline=0.0005)

    with pytest.raises(TritonLateError, match="no answer within"):
        asyncio.run(ask())


def test_versions_come_and_go_and_a_broken_one_takes_nothing_down(
    models: dict[int, Path], triton: TritonServer, tmp_path: Path
) -> None:
    repository, control = triton.repository, triton.control
    export_version(models[4], repository, 4)
    serve_versions(repository, [3, 4], HOST)
    control.load()
    assert control.versions() == [3, 4]
    assert control.prove(4, read_golden(models[4])) < 1e-4
    assert control.prove(3, read_golden(models[3])) < 1e-4
    with pytest.raises(NotReadyError, match="off its golden answers"):
        control.prove(4, read_golden(models[3]))

    serve_versions(repository, [3], HOST)
    control.load()
    assert control.versions() == [3]

    (tmp_path / "model.onnx").write_bytes((models[5] / "model.onnx").read_bytes())
    broken = export_version(tmp_path, repository, 5)
    serve_versions(repository, [3, 5], HOST)
    (broken / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(NotReadyError, match="cannot load"):
        control.load()
    assert control.prove(3, read_golden(models[3])) < 1e-4
    serve_versions(repository, [3], HOST)
    control.load()


def test_a_platform_may_probe_it(triton: TritonServer) -> None:
    """As the manifests do: gRPC's own health check, and the model's counters."""
    documents = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    (workload,) = (one for one in documents if one["kind"] == "StatefulSet")
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    code = container["readinessProbe"]["exec"]["command"][-1]
    port = triton.metrics_url.split(":")[-1].removesuffix("/metrics")
    probe = [sys.executable, "-c", code.replace("8002", port)]

    def healthy() -> bytes:
        with grpc.insecure_channel(triton.grpc_url) as channel:
            answer: bytes = channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=5)
        return answer

    def loaded() -> bool:
        return subprocess.run(probe, check=False).returncode == 0

    assert loaded() and healthy() == SERVING
    triton.control.unload()
    try:
        assert wait_until(lambda: not loaded(), 60)
        assert healthy() == SERVING
    finally:
        triton.control.load()


def test_a_dead_model_process_is_noticed_only_by_asking(
    triton: TritonServer, models: dict[int, Path]
) -> None:
    for process in stubs(triton):
        process.kill()
    assert triton.control.versions() == [3], "Triton goes on saying that it is ready"
    with pytest.raises(NotReadyError, match="does not answer"):
        triton.control.prove(3, read_golden(models[3]), timeout=5)
    triton.control.unload()
    triton.control.load()
    assert triton.control.prove(3, read_golden(models[3])) < 1e-4


def test_golden_clips_must_be_there(tmp_path: Path, models: dict[int, Path]) -> None:
    with pytest.raises(InputError, match=r"golden\.safetensors"):
        read_golden(tmp_path)
    (tmp_path / "golden.safetensors").write_bytes(b"what is this")
    with pytest.raises(InputError, match="cannot be read"):
        read_golden(tmp_path)
    assert len(read_golden(models[3])) == 2


def test_it_stops_without_leaving_anything(models: dict[int, Path], tmp_path: Path) -> None:
    environment = TritonEnvironment(Settings().triton_env.resolve())
    export_version(models[3], tmp_path / "repository", 3)
    serve_versions(tmp_path / "repository", [3], HOST)
    server = TritonServer(environment, tmp_path / "repository", tmp_path / "log")
    with server:
        server.control.load()
        family = [psutil.Process(server.pid), *stubs(server)]
        assert len(family) == 2
        assert server._folder
        region = server._folder.region
        assert list(Path("/dev/shm").glob(f"{region}*"))
    assert not any(process.is_running() for process in family)
    assert not list(Path("/dev/shm").glob(f"{region}*"))


def test_killed_hard_it_leaves_nothing_either(models: dict[int, Path], tmp_path: Path) -> None:
    environment = TritonEnvironment(Settings().triton_env.resolve())
    export_version(models[3], tmp_path / "repository", 3)
    serve_versions(tmp_path / "repository", [3], HOST)
    with TritonServer(environment, tmp_path / "repository", tmp_path / "log") as server:
        server.control.load()
        family = stubs(server)
        assert server._folder
        region = server._folder.region
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(process.is_running() for process in family) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(process.is_running() for process in family)
    assert not list(Path("/dev/shm").glob(f"{region}*"))


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run make setup"):
        TritonServer(TritonEnvironment(tmp_path), tmp_path / "r", tmp_path / "log").start()


def test_what_prometheus_is_asked_of_triton_is_served(triton: TritonServer, clip: MakeClip) -> None:
    classify_all(triton, [clip(1)])
    lines = httpx.get(triton.metrics_url).text.splitlines()
    served = {
        line.partition("{")[0]: set(re.findall(r'(\w+)="', line))
        for line in lines
        if line.startswith("nv_")
    }
    scalers = yaml.safe_load_all(AUTOSCALING.read_text(encoding="utf-8"))
    triggers = [trigger for one in scalers for trigger in one["spec"].get("triggers", [])]
    exprs = [query.expr for query in queries()] + [t["metadata"]["query"] for t in triggers]
    asked = {
        (name, labels)
        for expr in exprs
        for name, labels in selected(expr).items()
        if name.startswith("nv_")
    }
    assert len(asked) > 5 and triggers
    for name, labels in asked:
        assert labels <= served[name], name
