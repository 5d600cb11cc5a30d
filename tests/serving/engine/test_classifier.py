"""The emotion model as the service sees it, on a real Triton."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import prometheus_client
import pytest

from components.base import InputError
from components.config import Settings
from components.fusion import clip_windows, load_tokenizer
from serving.engine import classifier as emotions
from serving.engine.classified import Classified
from serving.engine.classifier import ServedClassifier
from serving.errors import BusyError, LateError, NotReadyError
from serving.lineup import Lineup, Served, write_pointer
from serving.processes import free_ports
from serving.settings import HostSettings, ServeSettings
from serving.triton.environment import TritonEnvironment
from serving.triton.repository import export_version, serve_versions
from serving.triton.server import TritonServer
from tests.serving.steered import stubs

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

T = TypeVar("T")
Alone = Callable[..., tuple[np.ndarray, np.ndarray]]


@pytest.fixture
def served(models: dict[int, Path], tmp_path: Path) -> ServeSettings:
    """Version 3, as the registry knows it."""
    pointer = tmp_path / "served.json"
    write_pointer(pointer, Lineup({"production": Served(3, models[3], "d1635", "pass")}))
    return ServeSettings(pointer=pointer)


def run(url: str, serve: ServeSettings, work: Callable[[ServedClassifier], Awaitable[T]]) -> T:
    async def inside() -> T:
        emotions = ServedClassifier(Settings(triton_url=url), serve)
        try:
            return await work(emotions)
        finally:
            await emotions.close()

    return asyncio.run(inside())


def test_clips_are_answered_as_each_alone_and_long_ones_by_their_windows(
    triton: TritonServer, models: dict[int, Path], served: ServeSettings, alone: Alone
) -> None:
    dice = np.random.default_rng(1)
    sounds = [dice.normal(size=size).astype("f4") for size in (1, 16_000, 40_000, 600_000)]
    words = ["", "hello", "yes a hello", ""]
    clips = list(zip(sounds, words, strict=True))
    answered: Classified = run(triton.grpc_url, served, lambda e: e.classify(clips))
    tokenizer = load_tokenizer(models[3])
    for row, (sound, text) in enumerate(clips[:3]):
        expected = alone(models[3], sound, np.array(tokenizer.encode(text).ids))
        np.testing.assert_allclose(answered.probabilities[row], expected[0], atol=1e-4)
        np.testing.assert_allclose(answered.embeddings[row], expected[1], atol=1e-4)
    # Longer than the model's 30 s: two windows of half the sound each.
    ids = np.array(tokenizer.encode("").ids)
    halves = [alone(models[3], half, ids)[0] for half in np.split(sounds[3], 2)]
    np.testing.assert_allclose(answered.probabilities[3], np.mean(halves, axis=0), atol=1e-4)
    assert answered.version == 3


def test_no_clips_have_no_answers(triton: TritonServer, served: ServeSettings) -> None:
    answered: Classified = run(triton.grpc_url, served, lambda e: e.classify([]))
    assert answered.probabilities.shape == (0, 4)
    assert answered.version == 3


def test_it_says_which_version_answers(triton: TritonServer, served: ServeSettings) -> None:
    async def look(emotions: ServedClassifier) -> tuple[bool, Served]:
        return await emotions.ready(), emotions.model()

    ready, info = run(triton.grpc_url, served, look)
    assert ready
    assert (info.version, info.digest, info.verdict) == (3, "d1635", "pass")


def test_a_deadline_holds_for_all_clips_together(
    triton: TritonServer, served: ServeSettings
) -> None:
    clips = [(np.zeros(480_000, np.float32), "hello")] * 64
    failed = ("moodline_triton_failures_total", {"kind": "late"})
    before = prometheus_client.REGISTRY.get_sample_value(*failed)
    with pytest.raises(LateError, match="did not answer in time"):
        run(triton.grpc_url, served, lambda e: e.classify(clips, deadline=0.01))
    after = prometheus_client.REGISTRY.get_sample_value(*failed)
    assert after == before, "the asker's haste is no failure of Triton"


def test_what_is_no_sound_is_the_askers_fault(triton: TritonServer, served: ServeSettings) -> None:
    bad = [(np.full(100, np.nan, np.float32), "hello")]
    with pytest.raises(InputError, match="not numbers"):
        run(triton.grpc_url, served, lambda e: e.classify(bad))


def test_without_triton_or_a_version_it_is_not_ready(
    triton: TritonServer, served: ServeSettings, tmp_path: Path
) -> None:
    clips = [(np.zeros(100, np.float32), "hello")]
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    assert not run(nobody, served, lambda e: e.ready())
    with pytest.raises(NotReadyError) as away:
        run(nobody, served, lambda e: e.classify(clips))
    assert away.value.answer == "the emotion model does not answer"
    nothing = ServeSettings(pointer=tmp_path / "nothing.json")
    assert not run(triton.grpc_url, nothing, lambda e: e.ready())
    with pytest.raises(NotReadyError, match="no version is in production yet; promote one"):
        run(triton.grpc_url, nothing, lambda e: e.classify(clips))


def test_many_characters_are_no_work_for_the_event_loop(
    triton: TritonServer, served: ServeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def cut(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return clip_windows(*arguments)

    monkeypatch.setattr(emotions, "clip_windows", cut)
    sound = np.zeros(1_600, np.float32)
    for clips in ([(sound, "hello")] * 64, [(sound, "hello " * 900)]):
        run(triton.grpc_url, served, lambda e, clips=clips: e.classify(clips))
    few, many = (thread is threading.main_thread() for thread in threads)
    assert few and not many


def test_one_that_is_full_is_ready(
    models: dict[int, Path],
    served: ServeSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.engine.classifier.PROBE_SECONDS", 0.0)
    export_version(models[3], tmp_path / "repository", 3)
    host = HostSettings(instances=1, threads=1, max_queue=1, max_batch=1)
    serve_versions(tmp_path / "repository", [3], host)
    environment = TritonEnvironment(Settings().triton_env.resolve())

    async def overload(emotions: ServedClassifier) -> tuple[int, list[bool]]:
        full, done = 0, False

        async def ask() -> None:
            nonlocal full
            while not done:
                try:
                    await emotions.classify([(np.zeros(160_000, np.float32), "hello")])
                except BusyError:
                    full += 1

        asking = [asyncio.create_task(ask()) for _ in range(16)]
        probes = [await emotions.ready() for _ in range(50)]
        done = True
        await asyncio.gather(*asking)
        return full, probes

    with TritonServer(environment, tmp_path / "repository", tmp_path / "log") as server:
        server.control.load()
        full, probes = run(server.grpc_url, served, overload)
    assert full > 0
    assert all(probes)


def test_one_that_is_late_is_ready_while_others_are_answered(
    triton: TritonServer, served: ServeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.engine.classifier.PROBE_SECONDS", 0.0)
    monkeypatch.setattr("serving.engine.classifier.PROBE_DEADLINE", 0.5)
    (stub,) = stubs(triton)

    async def look(emotions: ServedClassifier) -> list[bool]:
        await emotions.classify([(np.zeros(16_000, np.float32), "hello")])
        found = [await emotions.ready()]
        stub.suspend()
        try:
            found.append(await emotions.ready())
            monkeypatch.setattr("serving.engine.classifier.ANSWERED_SECONDS", 0.1)
            found.append(await emotions.ready())
        finally:
            stub.resume()
        return found

    assert run(triton.grpc_url, served, look) == [True, True, False]
