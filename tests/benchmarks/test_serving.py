"""The service against the model alone, and against what people use today.

Every number is a ratio within one run, and the two sides take turns: a busy machine slows both.
"""

import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from components.fusion import MoodlineModel, OnnxModel, export_onnx, load_tokenizer
from components.profile import Settings, load_profile, resolve_model
from components.train.golden import write_golden
from serving.processes import Child, free_ports
from serving.serve import Serving
from serving.served import Served
from serving.triton.control import TritonControl
from tests.benchmarks.asking import Asker, form, throughput

ROOT = Path(__file__).resolve().parents[2]
WORDS = "I do not know what to tell you any more"
ROUNDS = 4
CLIENTS = 16
BATCH = 8
SECONDS = 3.0
"""Of a clip."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's encoders under a fresh head: as large and as quick as a trained one."""
    from transformers import AutoTokenizer

    settings, profile = Settings(), load_profile("demo")
    acoustic, text = (
        resolve_model(name, settings) for name in (profile.fusion.acoustic, profile.fusion.text)
    )
    folder = tmp_path_factory.mktemp("bench") / "model"
    fresh = MoodlineModel.from_encoders(
        acoustic, text, acoustic_layers=profile.fusion.acoustic_layers
    ).eval()
    fresh.save_pretrained(folder)
    AutoTokenizer.from_pretrained(text).save_pretrained(folder)
    export_onnx(fresh, folder / "model.onnx")
    write_golden(fresh, load_tokenizer(folder), folder / "golden.safetensors")
    return folder


@pytest.fixture(scope="module")
def service(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    home = tmp_path_factory.mktemp("service")
    here = Settings()
    settings = Settings(home=home, models=here.models, triton_env=here.triton_env)
    with Serving(settings, load_profile("demo"), port=0, model=Served(1, model)) as running:
        yield running


@pytest.fixture(scope="module")
def eager(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a BentoML service with eager torch in it."""
    port = free_ports(1)[0]
    home = tmp_path_factory.mktemp("eager")
    environment = {**os.environ, "EAGER_MODEL": str(model), "BENTOML_HOME": str(home)}
    target = "tests.benchmarks.eager_service:Eager"
    command = [sys.executable, "-m", "bentoml", "serve", target, "--working-dir", str(ROOT)]
    log = home / "log"
    child = Child([*command, "--port", str(port)], environment, log, "the eager service")
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 90
        while True:
            try:
                Asker(url, "/classify").ask(form([sound(0)]))
                break
            except (OSError, AssertionError):
                assert child.running and time.monotonic() < deadline, child.last_words()
                time.sleep(0.5)
        yield url
    finally:
        child.stop()


def sound(seed: int) -> tuple[np.ndarray, str]:
    dice = np.random.default_rng(seed)
    return dice.normal(size=round(SECONDS * 16_000)).astype("f4") * 0.1, WORDS


def test_the_service_adds_little_to_a_call_of_triton(
    benchmark: BenchmarkFixture, service: Serving, model: Path
) -> None:
    """Median milliseconds of one clip by `/v1/classify`, less those of Triton called directly."""
    clip, text = sound(1)
    ids = np.array(load_tokenizer(model).encode(text).ids)
    body = form([(clip, text)])
    asker = Asker(service.url, "/v1/classify")
    assert service.triton
    control = TritonControl(service.triton.grpc_url)
    direct, through = [], []
    for _ in range(10):
        control.ask(clip, ids, version=1)
        asker.ask(body)
    for _ in range(200):
        began = time.perf_counter()
        control.ask(clip, ids, version=1)
        middle = time.perf_counter()
        asker.ask(body)
        direct.append(middle - began)
        through.append(time.perf_counter() - middle)
    added = 1e3 * (statistics.median(through) - statistics.median(direct))
    benchmark.pedantic(asker.ask, (body,), rounds=20)
    control.close()
    print(
        f"\n/v1/classify: {1e3 * statistics.median(through):.1f} ms, Triton alone: "
        f"{1e3 * statistics.median(direct):.1f} ms at the median, added {added:.1f} ms"
    )
    assert added <= 5


def test_throughput_beside_onnxruntime_alone(
    benchmark: BenchmarkFixture, service: Serving, model: Path
) -> None:
    """Clips a second at 16 clients, over those of onnxruntime in a tight loop in this process,
    with the same batches."""
    clips = [sound(i) for i in range(BATCH)]
    bodies = [form(clips)]
    onnx, tokenizer = OnnxModel(model / "model.onnx"), load_tokenizer(model)
    batch = ([clip for clip, _ in clips], [tokenizer.encode(text).ids for _, text in clips])

    def alone(seconds: float = 4.0) -> float:
        began, runs = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            onnx.run(*batch)
            runs += 1
        return BATCH * runs / (time.perf_counter() - began)

    def served(seconds: float = 4.0) -> float:
        done = throughput(service.url, "/v1/classify", bodies, clients=CLIENTS, seconds=seconds)
        return BATCH * done

    alone(1), served(2)
    rounds = [(alone(), served()) for _ in range(ROUNDS)]
    ratio = statistics.median(ours / theirs for theirs, ours in rounds)
    benchmark.pedantic(onnx.run, batch, rounds=5)
    print(
        f"\n/v1/classify at {CLIENTS} clients, {BATCH} clips of {SECONDS:g} s a request: "
        f"{statistics.median(o for _, o in rounds):.0f} clips/s, onnxruntime alone "
        f"{statistics.median(t for t, _ in rounds):.0f}; ratio {ratio:.2f}"
    )
    assert ratio >= 0.85


def test_throughput_beside_eager_torch_in_bentoml(
    benchmark: BenchmarkFixture, service: Serving, eager: str
) -> None:
    """Clips a second at 16 clients with one clip a request, over those of the eager service."""
    bodies = [form([sound(i)]) for i in range(8)]

    def ask(url: str, path: str, seconds: float = 4.0) -> float:
        return throughput(url, path, bodies, clients=CLIENTS, seconds=seconds)

    ask(eager, "/classify", 2), ask(service.url, "/v1/classify", 2)
    rounds = [(ask(eager, "/classify"), ask(service.url, "/v1/classify")) for _ in range(ROUNDS)]
    ratio = statistics.median(ours / theirs for theirs, ours in rounds)
    benchmark.pedantic(Asker(service.url, "/v1/classify").ask, (bodies[0],), rounds=10)
    print(
        f"\n/v1/classify at {CLIENTS} clients, one clip a request: "
        f"{statistics.median(o for _, o in rounds):.0f} clips/s, eager torch in BentoML "
        f"{statistics.median(t for t, _ in rounds):.0f}; ratio {ratio:.2f}"
    )
    assert ratio >= 1.5
