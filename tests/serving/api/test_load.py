"""The load test itself, against a server whose answers are known."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from serving.processes import free_ports

ROOT = Path(__file__).resolve().parents[3]


class Answers(BaseHTTPRequestHandler):
    """Every fifth request finds a full house."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        Answers.asked += 1
        good = b'name="audio"' in body and b'name="text"' in body
        self._answer((429 if Answers.asked % 5 == 0 else 200) if good else 422)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def load(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.load", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_it_reports_throughput_times_and_refusals(url: str, tmp_path: Path) -> None:
    done = load("--url", url, "--clients", "1,4", "--seconds", "0.5", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "load.json").read_text())
    assert [row["clients"] for row in rows] == [1, 4]
    for row in rows:
        assert row["errors"] == 0
        assert 0 < row["p50"] <= row["p95"] <= row["p99"]
        assert row["requests"] == pytest.approx(4 * row["refused"], abs=5)
        assert row["throughput"] == pytest.approx(row["requests"] / 0.5, abs=0.1)
    assert done.stdout.startswith("| clients | requests | requests/s | p50 ms")
    assert (tmp_path / "load.md").read_text() == done.stdout


def test_without_a_service_it_says_so(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    done = load("--url", nobody, "--out", str(tmp_path))
    assert done.returncode == 2
    assert "is not ready" in done.stderr and "make serve" in done.stderr
    assert "Traceback" not in done.stderr
