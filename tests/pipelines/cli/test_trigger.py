"""`moodline trigger` as people and scripts meet it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from pipelines.cli.main import run

ALERT = {
    "status": "firing",
    "labels": {"alertname": "MoodlineDrift", "retrain": "true"},
    "startsAt": "2026-11-24T20:00:00Z",
    "fingerprint": "ab12",
}


@pytest.mark.parametrize(
    ("token", "arguments", "says"),
    [
        (None, [], "set MOODLINE_TRIGGER_TOKEN, or anybody could start runs"),
        ("short", [], "take 16 ASCII characters or more"),
        ("long-enough-a-token", ["--runner", "docker"], "locally or on kubeflow"),
        ("long-enough-a-token", ["--runner", "kubeflow"], "name the corpus"),
        (
            "long-enough-a-token",
            ["--runner", "kubeflow", "--corpus", "/c", "--profile", "paper"],
            "profile paper: the cluster cannot pull the steps' images; name their registry",
        ),
        ("long-enough-a-token", ["--profile", "none"], "none"),
    ],
)
def test_it_does_not_start_wrongly_set(
    token: str | None,
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path))
    monkeypatch.delenv("MOODLINE_TRIGGER_TOKEN", raising=False)
    if token:
        monkeypatch.setenv("MOODLINE_TRIGGER_TOKEN", token)
    assert run(["trigger", "serve", "--port", "0", *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert says in line


def test_a_dry_run_from_start_to_history(tmp_path: Path) -> None:
    moodline = Path(sys.executable).with_name("moodline")
    environment = {**os.environ, "MOODLINE_HOME": str(tmp_path)}
    environment.pop("MOODLINE_TRIGGER_TOKEN", None)
    server = subprocess.Popen(
        [moodline, "trigger", "serve", "--dry-run", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert server.stderr is not None
    try:
        url = re.search(r"http://\S+", server.stderr.readline())
        assert url is not None
        sent = {"version": "4", "groupKey": "{}", "alerts": [ALERT]}
        answer = httpx.post(f"{url[0]}/v1/alerts", json=sent, timeout=60)
        assert answer.json()["alerts"][0]["outcome"] == "rehearsed"
    finally:
        server.send_signal(signal.SIGTERM)
        _, rest = server.communicate(timeout=60)
    assert "Traceback" not in rest
    done = subprocess.run(
        [moodline, "trigger", "history", "--json"],
        capture_output=True, text=True, check=True, env=environment, timeout=120,
    )  # fmt: skip
    (entry,) = json.loads(done.stdout)
    assert (entry["name"], entry["outcome"]) == ("MoodlineDrift", "rehearsed")
