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

from components.profile import Settings

PLACE = Path(__file__).resolve().parents[3] / "infra" / "prometheus"
TOKEN = "a-token-that-nobody-guesses"
URL = "http://127.0.0.1:3100"

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]


@pytest.fixture
def alertmanager(tmp_path: Path, listening) -> Iterator[str]:
    """Its address; the receiver is where the test has it, people are nowhere."""
    text = (PLACE / "alertmanager.yaml").read_text()
    assert URL in text
    (tmp_path / "token").write_text(TOKEN)
    text = text.replace(URL, str(listening().base_url).rstrip("/"))
    text = text.replace("/etc/alertmanager/trigger-token", str(tmp_path / "token"))
    routes = yaml.safe_load(text)
    for receiver in routes["receivers"]:
        if receiver["name"] != "trigger":
            receiver["webhook_configs"] = []
    (tmp_path / "alertmanager.yaml").write_text(yaml.safe_dump(routes))
    # Debian's looks for its templates where its package puts them; here it is only unpacked.
    place = Settings().home.resolve() / "prometheus"
    program = (place / "usr" / "bin" / "prometheus-alertmanager").read_bytes()
    own = tmp_path / "alertmanager"
    own.write_bytes(program.replace(b"/usr/share/prometheus/", b"usr//share/prometheus/"))
    own.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (tmp_path / "alertmanager.log").open("w") as log:
        process = subprocess.Popen(
            [
                own,
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
