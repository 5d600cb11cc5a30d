"""A real Alertmanager with the routes of `infra/prometheus` and a real receiver."""

import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml

from components.config import Settings
from pipelines.demo.loop.stack import alertmanager_config

TOKEN = "a-token-that-nobody-guesses"

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]


@pytest.fixture
def alertmanager(tmp_path: Path, listening) -> Iterator[str]:
    """Its address; the receiver is where the test has it, people are nowhere."""
    (tmp_path / "token").write_text(TOKEN)
    trigger = listening().base_url.netloc.decode()
    routes = alertmanager_config(trigger, tmp_path / "token")
    (tmp_path / "alertmanager.yaml").write_text(yaml.safe_dump(routes))
    # Unpacked, it looks for its templates where it starts: see infra/setup/prometheus.sh.
    place = Settings().home.resolve() / "prometheus"
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (tmp_path / "alertmanager.log").open("w") as log:
        process = subprocess.Popen(
            [
                place / "usr" / "bin" / "prometheus-alertmanager",
                f"--config.file={tmp_path / 'alertmanager.yaml'}",
                f"--storage.path={tmp_path / 'state'}",
                f"--web.listen-address={address}",
                "--cluster.listen-address=",
            ],
            cwd=place,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    yield f"http://{address}"
    process.terminate()
    process.wait(30)


def until(done) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready").is_success
    except httpx.ConnectError:
        return False


def test_an_alert_becomes_a_run_and_one_without_the_mark_does_not(
    alertmanager: str, starts, entries
) -> None:
    until(lambda: is_ready(alertmanager))
    now = datetime.now(UTC).isoformat()
    drift = {"alertname": "MoodlineDrift", "severity": "ticket", "retrain": "true"}
    gate = {"alertname": "MoodlineGateFailing", "severity": "ticket"}
    fires = [
        {"labels": labels, "startsAt": now, "annotations": {"summary": "It drifted"}}
        for labels in (drift, gate)
    ]
    for _ in range(50):
        assert httpx.post(f"{alertmanager}/api/v2/alerts", json=fires).is_success
    until(lambda: ("MoodlineDrift", "started") in entries())
    (cause,) = starts.causes
    assert (cause.name, cause.reason) == ("MoodlineDrift", "It drifted")
    assert cause.key.startswith("alert:")
