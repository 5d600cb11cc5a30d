"""The service against the model alone, and against what people use today.

Every number is a ratio within one run, and the two sides take turns: a busy machine slows both.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from components.config import Settings
from components.fusion import Clip, OnnxModel, load_tokenizer
from components.traffic import TurnLog
from serving.processes import Child, free_ports
from serving.supervisor.backend import pointer_path
from serving.supervisor.serve import Serving
from serving.triton.control import TritonControl
from tests.benchmarks.asking import Asker, Load, form, load

ROOT = Path(__file__).resolve().parents[2]
CLASSIFY = "/v1/classify"
EAGER = ("bentoml", "serve", "tests.benchmarks.eager_service:Eager")
UNWATCHED = ("serving.supervisor.host", "tests.benchmarks.unwatched_service:MoodlineService")
WORDS = "I do not know what to tell you any more"
ROUNDS = 4
CLIENTS = 16
BATCH = 8
SECONDS = 3.0
"""Of a clip."""


@pytest.fixture(scope="module")
def eager(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a BentoML service with eager torch in it."""
    home = tmp_path_factory.mktemp("eager")
    environment = {**os.environ, "EAGER_MODEL": str(model), "BENTOML_HOME": str(home)}
    with hosted(EAGER, "/classify", environment) as (_, url):
        yield url


@contextmanager
def hosted(
    program: Sequence[str], path: str, environment: Mapping[str, str]
) -> Iterator[tuple[Child, str]]:
    """A BentoML service in `BENTOML_HOME`, once it answers a clip: its process and address."""
    port = free_ports(1)[0]
    command = [sys.executable, "-m", *program, "--working-dir", str(ROOT), "--port", str(port)]
    log = Path(environment["BENTOML_HOME"]) / "log"
    child = Child(command, environment, log, program[-1])
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 90
        while True:
            try:
                Asker(url, path).ask(form([sound(0)]))
                break
            except (OSError, AssertionError):
                assert child.running and time.monotonic() < deadline, child.last_output()
                time.sleep(0.5)
        yield child, url
    finally:
        child.stop()


def sound(seed: int) -> tuple[np.ndarray, str]:
    """Noise that 16 bits hold exactly, and words."""
    dice = np.random.default_rng(seed)
    noise = dice.normal(size=round(SECONDS * 16_000)) * 0.1
    return (np.round(noise * 32_768) / 32_768).astype("f4"), WORDS


def off(loads: Sequence[Load], forms: Sequence[Sequence[Clip]], model: Path) -> float:
    """The largest difference of any answer's probability from that of its clip alone."""
    onnx, tokenizer = OnnxModel(model / "model.onnx"), load_tokenizer(model)
    alone = [
        np.stack([onnx.run([heard], [tokenizer.encode(text).ids])[0][0] for heard, text in clips])
        for clips in forms
    ]
    return max(
        float(np.abs(alone[number] - probabilities(answer)).max())
        for load in loads
        for number, answer in load.answers
    )


def probabilities(answer: bytes) -> np.ndarray:
    """Of an answer's clips, [n, 4]."""
    clips = json.loads(answer)["clips"]
    return np.array([list(clip["probabilities"].values()) for clip in clips])


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
    with the same batches; and every answer is its clip's alone."""
    clips = [sound(i) for i in range(BATCH)]
    bodies = [form(clips)]
    onnx, tokenizer = OnnxModel(model / "model.onnx", arena=True), load_tokenizer(model)
    batch = ([clip for clip, _ in clips], [tokenizer.encode(text).ids for _, text in clips])

    def alone(seconds: float = 4.0) -> float:
        began, runs = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            onnx.run(*batch)
            runs += 1
        return BATCH * runs / (time.perf_counter() - began)

    def served(seconds: float = 4.0) -> Load:
        return load(service.url, "/v1/classify", bodies, clients=CLIENTS, seconds=seconds)

    alone(1), served(2)
    rounds = [(alone(), served()) for _ in range(ROUNDS)]
    theirs = statistics.median(rate for rate, _ in rounds)
    ours = statistics.median(BATCH * seen.rate for _, seen in rounds)
    ratio = statistics.median(BATCH * seen.rate / rate for rate, seen in rounds)
    wrong = off([seen for _, seen in rounds], [clips], model)
    benchmark.pedantic(onnx.run, batch, rounds=5)
    print(
        f"\n/v1/classify at {CLIENTS} clients, {BATCH} clips of {SECONDS:g} s a request: "
        f"{ours:.0f} clips/s, onnxruntime alone {theirs:.0f}; ratio {ratio:.2f}; "
        f"answers at most {wrong:.1e} off their clip's alone"
    )
    assert wrong <= 1e-4
    assert ratio >= 0.85


def test_throughput_beside_eager_torch_in_bentoml(
    benchmark: BenchmarkFixture, service: Serving, eager: str, model: Path
) -> None:
    """Clips a second at 16 clients with one clip a request, over those of the eager service."""
    forms = [[sound(i)] for i in range(8)]
    bodies = [form(clips) for clips in forms]

    def ask(url: str, path: str, seconds: float = 4.0) -> Load:
        return load(url, path, bodies, clients=CLIENTS, seconds=seconds)

    ask(eager, "/classify", 2), ask(service.url, "/v1/classify", 2)
    rounds = [(ask(eager, "/classify"), ask(service.url, "/v1/classify")) for _ in range(ROUNDS)]
    theirs, ours = (
        statistics.median(side.rate for side in sides) for sides in zip(*rounds, strict=True)
    )
    ratio = statistics.median(ours.rate / theirs.rate for theirs, ours in rounds)
    wrong = off([ours for _, ours in rounds], forms, model)
    benchmark.pedantic(Asker(service.url, "/v1/classify").ask, (bodies[0],), rounds=10)
    print(
        f"\n/v1/classify at {CLIENTS} clients, one clip a request: {ours:.0f} clips/s, eager "
        f"torch in BentoML {theirs:.0f}; ratio {ratio:.2f}; "
        f"answers at most {wrong:.1e} off their clip's alone"
    )
    assert wrong <= 1e-4
    assert ratio >= 1.5


def family(pid: int) -> list[int]:
    """A process and its children."""
    head = psutil.Process(pid)
    return [process.pid for process in (head, *head.children(recursive=True))]


def processor(pids: Sequence[int]) -> float:
    """Seconds of processor time that processes have used."""
    # The clock of a process, as clock_getcpuclockid(3) makes it: /proc counts in hundredths.
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def test_watching_costs_little(
    benchmark: BenchmarkFixture, service: Serving, tmp_path: Path
) -> None:
    """The prediction log and all metrics: processor seconds a request, and milliseconds at the
    median, over those of a service with its watching taken out that asks the same Triton."""
    assert service.triton
    home = Settings(home=tmp_path, models=service.settings.models)
    environment = {
        **os.environ,
        **home.environment(),
        "MOODLINE_TRITON_URL": service.triton.grpc_url,
        "MOODLINE_SERVE_POINTER": str(pointer_path(service.settings, service.port)),
        "BENTOML_HOME": str(tmp_path / "bento"),
    }
    body, rounds, each = form([sound(1)]), 40, 25
    with hosted(UNWATCHED, CLASSIFY, environment) as (child, url):
        (watched,) = (
            p.pid for p in psutil.Process().children() if str(service.port) in p.cmdline()
        )
        while httpx.get(f"{url}/readyz").status_code != 200:
            time.sleep(0.5)  # its speech models are still loading
        sides = [
            (Asker(service.url, CLASSIFY), family(watched)),
            (Asker(url, CLASSIFY), family(child.pid)),
        ]
        backend = family(service.triton.pid)
        took: list[list[float]] = [[], []]
        spent = np.zeros((rounds, 3))  # by the watched, the unwatched, Triton for both
        for number in range(-1, rounds):  # the first is to warm up
            before = processor(backend)
            for side, (asker, pids) in list(enumerate(sides))[:: 1 if number % 2 else -1]:
                own = processor(pids)
                for _ in range(each):
                    began = time.perf_counter()
                    asker.ask(body)
                    if number >= 0:
                        took[side].append(time.perf_counter() - began)
                spent[number, side] = (processor(pids) - own) / each
            spent[number, 2] = (processor(backend) - before) / each / 2
    full, bare, triton = spent.T * 1e3
    extra, whole = full - bare, bare.mean() + triton.mean()
    error = 1.96 * extra.std(ddof=1) / rounds**0.5
    median = 1e3 * (statistics.median(took[0]) - statistics.median(took[1]))
    benchmark.pedantic(sides[0][0].ask, (body,), rounds=20)
    logged = len(TurnLog(service.settings.log, service.settings.feedback_url).window())
    print(
        f"\n/v1/classify, one clip of {SECONDS:g} s: {whole:.1f} ms of processor time without"
        f" watching ({bare.mean():.1f} in the service, {triton.mean():.1f} in Triton);"
        f" watching adds {extra.mean():.2f} ± {error:.2f} ms, {extra.mean() / whole:.1%};"
        f" at the median {median:.2f} ms of {1e3 * statistics.median(took[1]):.1f}"
    )
    assert logged >= rounds * each
    assert extra.mean() / whole < 0.03
    assert median < 1
