"""The Bento is built, and runs by itself: its models are inside, and without Triton it aligns."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.processes import Child, free_ports
from tests.serving.helpers import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(400)]

ALIGN = {
    "words": {"segments": [{"start": 0, "end": 1, "text": "good morning"}]},
    "speakers": [{"start": 0, "end": 1, "speaker": "A"}],
}


def test_a_bento_runs_with_what_is_in_it(models_home: Path, tmp_path: Path, piece: bytes) -> None:
    environment = {
        **os.environ,
        "MOODLINE_MODELS": str(models_home.resolve()),
        "BENTOML_HOME": str(tmp_path / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    built = subprocess.run(
        [sys.executable, "-m", "serving.bento"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    tag = built.stdout.split()[-1]
    assert tag.startswith("moodline:")
    # Where it runs there is nothing else of ours: no prepared models, no registry.
    del environment["MOODLINE_MODELS"]
    environment["MOODLINE_HOME"] = str(tmp_path / "home")
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "bentoml", "serve", tag, "--host", "127.0.0.1"]
    log = tmp_path / "bento.log"
    command += ["--port", str(port)]
    bento = Child(command, environment, log, "the Bento")
    url = f"http://127.0.0.1:{port}"
    try:
        assert wait_until(lambda: _status(f"{url}/v1/align", json=ALIGN) == 200, 90), (
            log.read_text()
        )
        turns = httpx.post(f"{url}/v1/align", json=ALIGN, timeout=30).json()
        assert [turn["words"] for turn in turns] == ["good morning"]
        refused = httpx.post(f"{url}/v1/analyze", files={"audio": ("a.wav", piece)}, timeout=30)
        assert refused.status_code == 503, refused.text
        # A version says which models hear a job; until there is one, the job waits.
        queued = httpx.post(f"{url}/v1/jobs", files={"audio": ("a.wav", piece)}, timeout=30)
        job = url + queued.headers["location"]
        time.sleep(5)
        waiting = httpx.get(job, timeout=30).json()
        assert waiting["state"] == "queued", waiting
        assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200
        assert httpx.get(f"{url}/readyz", timeout=30).status_code == 503
    finally:
        bento.stop()


def _status(url: str, **request: Any) -> int:
    try:
        return httpx.post(url, timeout=30, **request).status_code
    except httpx.TransportError:
        return 0
