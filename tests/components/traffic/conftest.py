"""Requests as the service answers them, without a service."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, event

from components.config import Settings
from components.conversation import DEFAULT_LABELS, Turn
from components.traffic import LoggedRequest, LoggedTurn, LogWriter, TurnLog

NOW = datetime.now(UTC)

MakeAnswer = Callable[..., LoggedRequest]
Write = Callable[..., None]


@pytest.fixture(scope="session")
def now() -> datetime:
    """When requests are answered, unless a test names another time."""
    return NOW


@pytest.fixture(scope="session")
def answer() -> MakeAnswer:
    """A request with some turns; `number` decides everything that is not given."""

    def make(
        number: int,
        *,
        turns: int = 2,
        time: datetime = NOW,
        recording: str | None = None,
        text: str | None = None,
        version: int = 3,
        audio: bool = False,
    ) -> LoggedRequest:
        rng = np.random.default_rng(number)
        logged = []
        for turn in range(turns):
            p = rng.dirichlet(np.ones(4)).astype("f4").astype(float)
            said = Turn(
                f"call-{number}",
                turn * 3.0,
                turn * 3.0 + 2.0,
                "AB"[turn % 2],
                "words that must not be logged",
                DEFAULT_LABELS[int(p.argmax())],
                float(p.max()),
                dict(zip(DEFAULT_LABELS, p.tolist(), strict=True)),
                None if turn % 2 else 0.875,
            )
            measures = {"duration": 2.0, "words_per_second": 2.5, "loudness_db": -20.0}
            vector = rng.normal(size=8).astype("f4")
            logged.append(LoggedTurn(said, vector, measures | {"snr_db": 30.0 + number}, text))
        return LoggedRequest(
            f"request-{number:04d}",
            recording or f"{number:032x}",
            time,
            "/v1/analyze",
            version,
            "production",
            audio,
            tuple(logged),
        )

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: a file, or one of a real PostgreSQL that keeps other hours than UTC."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/feedback.db"
    empty = request.getfixturevalue("database")(f"traffic-{uuid.uuid4().hex[:8]}")
    return Settings(feedback_url=f"{empty}&options=-ctimezone%3DAsia/Tokyo").feedback_url


def stored(log: TurnLog) -> bytes:
    """All files of the log, and of a database in SQLite."""
    files = [path for path in log.folder.parent.rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in files)


@contextmanager
def watched_statements(watch: Callable[[Connection, str], object]) -> Iterator[None]:
    """Call `watch` with every SQL statement and its connection, before it is executed."""

    def look(connection: Connection, _: object, statement: str, *__: object) -> None:
        watch(connection, statement.strip())

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", look)


@pytest.fixture
def log(tmp_path: Path, address: str) -> Iterator[TurnLog]:
    """An empty log on each kind of database."""
    with closing(TurnLog(tmp_path / "log", address)) as opened:
        yield opened


@pytest.fixture
def write(log: TurnLog) -> Iterator[Write]:
    """Writes requests into the log."""
    with closing(LogWriter(log)) as writer:

        def write_all(*requests: LoggedRequest) -> None:
            for request in requests:
                writer.write(request)

        yield write_all
