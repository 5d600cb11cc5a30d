"""With MOODLINE_LOG_FORMAT=json each line that the service prints is a JSON object."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from components.base import LOG_FORMAT
from serving.processes import PrivateFolder, free_ports
from tests.serving.helpers import wait_until

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(180)]


def test_the_service_s_lines(tmp_path: Path, models_home: Path) -> None:
    """BentoML's own, a request's with its ids, and what is said at the end."""
    port = free_ports(1)[0]
    environment = os.environ | {
        LOG_FORMAT: "json",
        "MOODLINE_HOME": str(tmp_path / "home"),
        "MOODLINE_MODELS": str(models_home.resolve()),
        "MOODLINE_TRITON_URL": "127.0.0.1:9",
        "BENTOML_HOME": str(tmp_path / "bento"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "PYTHONPATH": str(ROOT),
    }
    sockets = PrivateFolder()
    command = [
        *(sys.executable, "-m", "serving.supervisor.host", str(sockets.path)),
        *("serving.api.service:MoodlineService", "--working-dir", str(ROOT)),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    said = tmp_path / "said"
    with said.open("wb") as file:
        process = subprocess.Popen(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT, cwd=tmp_path
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/healthz").is_success
        except httpx.HTTPError:
            return False

    try:
        assert wait_until(answers, 120), said.read_text()
        form = {"files": {"audio": b"no sound"}, "data": {"text": "a"}}
        traced = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
        answer = httpx.post(f"{url}/v1/classify", **form, headers=traced, timeout=60)  # type: ignore[arg-type]
        assert answer.status_code == 415
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        sockets.remove()
    lines = [json.loads(line) for line in said.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert {"bentoml.serve", "serving.api.app"} <= {line["logger"] for line in lines}
    (about,) = (line for line in lines if "/v1/classify 415" in line["message"])
    assert about["request_id"] == answer.headers["x-moodline-request-id"]
    assert about["trace_id"] == "ab" * 16
