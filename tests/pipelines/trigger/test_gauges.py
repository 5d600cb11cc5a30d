"""Gauges of jobs that lie in an object store: the trigger's metrics do not wait for it."""

import socket
import time
from collections.abc import Callable

import pytest

from components.base import Url
from pipelines.trigger import Gauges
from tests.components.base.objects import ENDPOINT, object_store
from tests.pipelines.trigger.conftest import Listen

DRIFT = b"moodline_drift_detected 1.0\n"


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


def test_a_scrape_does_not_wait_for_a_store_that_is_silent(
    listening: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "simulated")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "simulated")
        client = listening(metrics=Url("moodline", "metrics"))
        began = time.monotonic()
        answer = client.get("/metrics", timeout=20)
        assert time.monotonic() - began < 10, "Prometheus waits no longer"
    assert answer.status_code == 200
    assert "moodline_trigger_refused_total" in answer.text


def test_what_the_store_said_last_stays_while_it_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with object_store() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        place = Url("moodline", "metrics")
        gauges = Gauges(place, every=0.01)
        (place / "drift.prom").put_bytes(DRIFT)
        (place / "drift.html").put_bytes(b"<h1>no gauge</h1>")
        until(lambda: gauges.files() == [("drift.prom", DRIFT)])
        store.door.refuse(403, "ExpiredToken")
        until(lambda: "the gauges of drift cannot be read now: s3://moodline" in caplog.text)
        time.sleep(0.2)
        assert gauges.files() == [("drift.prom", DRIFT)]
        assert caplog.text.count("ExpiredToken: ") == 1, "a line each time would drown the log"
        gauges.close()
