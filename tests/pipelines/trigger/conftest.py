"""A trigger that listens on loopback, and a start that writes down what it was asked for."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from components.base import Location
from components.config import Settings
from pipelines.trigger import (
    Cause,
    Gauges,
    Ledger,
    Policy,
    Trigger,
    build_app,
    data_cause,
    listening_socket,
)

TOKEN = "a-token-that-nobody-guesses"


class Starts:
    """What was started, in order."""

    def __init__(self) -> None:
        self.causes: list[Cause] = []
        self.fault: Exception | None = None

    def __call__(self, cause: Cause, number: int) -> str:
        if self.fault is not None:
            raise self.fault
        time.sleep(0.05)  # a start takes a while: others come in meanwhile
        self.causes.append(cause)
        return f"runs/trigger-{number}"


Listen = Callable[..., httpx.Client]


@pytest.fixture
def starts() -> Starts:
    return Starts()


@pytest.fixture
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: a file; if asked for, one of a real PostgreSQL in another time zone."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'state' / 'trigger.db'}"
    empty = request.getfixturevalue("database")(f"trigger-{uuid.uuid4().hex[:8]}")
    return Settings(trigger_url=f"{empty}&options=-ctimezone%3DAsia/Tokyo").trigger_url


@pytest.fixture
def listening(tmp_path: Path, starts: Starts, ledger_url: str) -> Iterator[Listen]:
    """Start a receiver; a client that brings the token."""
    ends: list[Callable[[], Any]] = []

    def begin(
        token: str | None = TOKEN,
        outcomes: Callable[[], bytes] | None = None,
        nothing_new: Callable[[Cause], str] = lambda cause: "",
        metrics: Location | None = None,
        **policy: Any,
    ) -> httpx.Client:
        policy = {"cooldown": timedelta(0), "daily": 100} | policy
        ledger = Ledger(ledger_url)
        trigger = Trigger(ledger, starts, Policy(**policy), nothing_new)
        gauges = Gauges(metrics or tmp_path / "metrics")
        read = partial(data_cause, root=tmp_path)
        app = build_app(lambda: trigger, token, read, gauges.files, outcomes)
        address = listening_socket("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [address]})
        thread.start()
        client = httpx.Client(
            base_url=f"http://127.0.0.1:{address.getsockname()[1]}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=60,
        )

        def end() -> None:
            client.close()
            server.should_exit = True
            thread.join()
            gauges.close()
            ledger.close()

        ends.append(end)
        return client

    yield begin
    for end in ends:
        end()


@pytest.fixture
def entries(ledger_url: str) -> Callable[[], list[tuple[str, str]]]:
    """What the ledger says: name and outcome of each line."""

    def read() -> list[tuple[str, str]]:
        ledger = Ledger(ledger_url)
        lines = [(entry.name, entry.outcome) for entry in ledger.entries()]
        ledger.close()
        return lines

    return read
