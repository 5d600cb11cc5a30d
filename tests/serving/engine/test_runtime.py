"""One process's work: what it has under way, and a job that waits for what is missing."""

import asyncio
import io
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from components.base import Stopped
from components.config import Settings
from components.conversation import DEFAULT_LABELS, Turn
from serving.engine import runtime as module
from serving.engine.analysis import Analysis
from serving.engine.classified import Classified
from serving.engine.options import Options
from serving.engine.prediction_log import RequestInfo
from serving.engine.runtime import Runtime
from serving.engine.scheduling import Work
from serving.errors import BusyError, LateError, NotReadyError
from serving.settings import ServeSettings
from tests.serving.helpers import wav

REQUEST = RequestInfo("1", "/v1/classify")


class Slow(io.BytesIO):
    """An upload that no thread can decode until `go` is set; the event loop may look at it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = threading.Event(), threading.Event()

    def seek(self, *arguments: int) -> int:
        if threading.current_thread() is not threading.main_thread():
            self.asked.set()
            assert self.go.wait(30)
        return super().seek(*arguments)


def make_runtime(home: Path, **serve: Any) -> Runtime:
    """With nobody behind it."""
    pointer = home / "served.json"
    return Runtime(Settings(home=home), ServeSettings(pointer=pointer, **serve))


def test_all_clips_of_a_process_are_counted_in_seconds(tmp_path: Path) -> None:
    minute = wav(np.zeros(60 * 16_000))

    async def scene() -> None:
        runtime = make_runtime(tmp_path, clip_seconds=70, clip_seconds_waiting=90)
        slow = Slow()
        soundfile.write(slow, np.zeros(16_000), 16_000, format="FLAC")

        async def ask(*uploads: io.BytesIO) -> None:
            await runtime.classify(uploads, [""] * len(uploads), Work(), REQUEST)

        first = asyncio.create_task(ask(io.BytesIO(minute), slow))
        assert await asyncio.to_thread(slow.asked.wait, 30)
        with pytest.raises(BusyError, match="too many seconds of clips are under way"):
            await ask(io.BytesIO(minute))
        slow.go.set()
        with pytest.raises(NotReadyError):  # there is no model
            await first
        with pytest.raises(NotReadyError):
            await ask(io.BytesIO(minute))
        await runtime.stop()

    asyncio.run(scene())


class Heard:
    """Speech models that have heard one turn."""

    failure = None

    def use(self, speech: object) -> None:
        pass

    async def find_turns(self, *_: Any, **__: Any) -> tuple[np.ndarray, Analysis]:
        return np.zeros(16_000, np.float32), Analysis(1.0, (Turn("r", 0.0, 1.0, "A", "hello"),), ())

    def stop(self) -> None:
        pass


class Troubled:
    """An emotion model that answers only after all sorts of trouble."""

    def __init__(self) -> None:
        self.troubles: list[Exception] = [NotReadyError("1"), BusyError("2"), LateError("3")]

    def model(self) -> Any:
        return SimpleNamespace(speech=None)

    async def classify(self, *_: Any, **__: Any) -> Classified:
        if self.troubles:
            raise self.troubles.pop(0)
        return Classified(np.full((1, 4), 0.25), np.zeros((1, 8)), 3, DEFAULT_LABELS, "production")

    async def close(self) -> None:
        pass


def test_a_job_whose_clips_are_never_answered_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "MAX_RETRY_SECONDS", 0.1)

    async def scene() -> None:
        runtime, emotions = make_runtime(tmp_path), Troubled()
        emotions.troubles = [LateError("never")] * 10_000
        runtime.speech, runtime.classifier = Heard(), emotions  # type: ignore[assignment]
        with pytest.raises(LateError, match="never"):
            await asyncio.wait_for(
                runtime.analyze(io.BytesIO(), Options("r"), Work(), REQUEST, background=True), 10
            )
        await runtime.stop()

    asyncio.run(scene())


def test_a_job_waits_for_the_emotion_model_whatever_its_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)

    async def scene() -> None:
        runtime = make_runtime(tmp_path)
        runtime.speech, runtime.classifier = Heard(), Troubled()  # type: ignore[assignment]

        async def analyze(background: bool) -> int:
            work, options = Work(), Options("r")
            found = await runtime.analyze(
                io.BytesIO(), options, work, REQUEST, background=background
            )
            return found.version

        with pytest.raises(NotReadyError):
            await analyze(background=False)
        assert await analyze(background=True) == 3
        await runtime.stop()

    asyncio.run(scene())


def test_what_is_not_wanted_any_more_is_neither_heard_nor_logged(tmp_path: Path) -> None:
    async def scene() -> None:
        runtime = make_runtime(tmp_path)
        runtime.speech, runtime.classifier = Heard(), Troubled()  # type: ignore[assignment]
        assert runtime.log
        recording, marked = runtime.log.recording("r"), []

        async def is_wanted() -> bool:
            marked.append(runtime.turns.erase([recording]).under_way)
            return False

        with pytest.raises(Stopped):
            await runtime.analyze(
                io.BytesIO(), Options("r"), Work(), REQUEST, background=True, is_wanted=is_wanted
            )
        assert marked == [1]  # it is asked once an erasure reaches it
        assert runtime.turns.erase([recording]).under_way == 0
        await runtime.stop()

    asyncio.run(scene())


def test_an_answer_whose_caller_has_gone_is_erased_while_it_is_written(tmp_path: Path) -> None:
    async def scene() -> None:
        runtime, emotions = make_runtime(tmp_path), Troubled()
        emotions.troubles = []
        runtime.speech, runtime.classifier = Heard(), emotions  # type: ignore[assignment]
        assert runtime.log
        log, writer = runtime.log.turns, runtime.log._writer
        with writer._lock:
            work, options = Work(), Options("r")
            task = asyncio.create_task(runtime.analyze(io.BytesIO(), options, work, REQUEST))
            while not writer._waiting:
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait({task}, timeout=0.5)
            log.erase([runtime.log.recording("r")])
        with pytest.raises(asyncio.CancelledError):
            await task
        await runtime.stop()
        assert len(log.window()) == 0

    asyncio.run(scene())
