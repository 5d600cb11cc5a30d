"""What many tests need: the demo corpus, the prepared models, a conversation of real people."""

import functools
import gc
import importlib.util
import logging
import os
import re
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import components  # noqa: F401  # before pyannote.audio: no library reports home

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")

# `httpx.get` reads all certificates each time: a twentieth of the tests' time, which ask often.
httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)

ROOT = Path(__file__).resolve().parents[1]

TOGETHER = (
    re.compile(r"tests/(cluster|pipelines/experiments)/"),
    re.compile(
        r"tests/serving/api/"
        r"test_(api|clips|job_requests|live|malformed|service|soak|speakers|wild_sound)\.py"
    ),
)
"""The files that one of these matches are run by one process, which does their long set-up once:
a cluster, an experiment; a service with speech models."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, but for the files that go `TOGETHER`."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            folders, service = (files.match(file) for files in TOGETHER)
            return folders[0] if folders else "service" if service else file

    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """What the tests' modules imported stays: a million objects no garbage collection goes through.

    A collection took half a second with them, two came with each training, and the processes that
    are forked to read a corpus copied the memory that it marks.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """A test that leaves logging's lock with the main thread fails by name.

    The main thread does not notice, and every other thread of a later test waits for ever. A signal
    handler that raises in the wrong moment does it.
    """
    try:
        yield
    finally:
        lock = logging._lock  # type: ignore[attr-defined]
        left = 0
        while lock._is_owned():
            lock.release()
            left += 1
        assert not left, f"{item.nodeid} left logging's lock taken, {left} times"


@pytest.fixture(scope="session")
def demo_corpus() -> Path:
    """The synthetic corpus in the repository, in IEMOCAP's layout."""
    return ROOT / "components" / "corpus" / "demo"


@pytest.fixture(scope="session")
def talks_corpus() -> Path:
    """The synthetic conversations in the repository, a corpus with a manifest."""
    return ROOT / "components" / "corpus" / "talks"


@pytest.fixture(scope="session")
def small_corpus(demo_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight of the demo's dialogues: six to train on, one each to validate and to test."""
    folder = tmp_path_factory.mktemp("small") / "corpus"
    for session in sorted(demo_corpus.glob("Session*")):
        names = sorted(path.stem for path in (session / "dialog" / "wav").iterdir())
        for name in names[: 1 if session.name in ("Session4", "Session5") else 2]:
            for path in session.rglob(f"{name}.*"):
                target = folder / path.relative_to(demo_corpus)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    for name in ("about.json", "voices.json"):
        shutil.copy(demo_corpus / name, folder)
    return folder


@pytest.fixture(scope="session")
def models_home() -> Path:
    """The folder of the prepared demo models (`make setup` fills it)."""
    home = Path(os.environ.get("MOODLINE_HOME", ROOT / ".moodline"))
    return Path(os.environ.get("MOODLINE_MODELS", home / "models"))


@pytest.fixture(scope="session")
def database() -> Iterator[Callable[[str], str]]:
    """A real PostgreSQL server: makes an empty database of a name and gives its address."""
    from tests.components.register.stores import postgres

    with postgres() as make:
        yield make


@pytest.fixture(scope="session")
def sample_dir() -> Path:
    """Half a minute of a real telephone conversation, with its RTTM, as pyannote.audio ships it."""
    spec = importlib.util.find_spec("pyannote.audio")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "sample"
