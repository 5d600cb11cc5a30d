"""With MOODLINE_LOG_FORMAT=json each line on standard error is a JSON object, whoever writes it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.base import LOG_FORMAT
from components.config import load_profile
from pipelines.definitions.code_version import MOODLINE
from pipelines.definitions.compiled import build_pipeline

ROOT = Path(__file__).resolve().parents[3]


def environment(home: Path, log_format: str = "json") -> dict[str, str]:
    own = {LOG_FORMAT: log_format, "MOODLINE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return os.environ | own


def lines(text: str) -> list[dict[str, Any]]:
    """The objects, one a line; each has what a collector asks for."""
    found = [json.loads(line) for line in text.splitlines()]
    assert found
    for line in found:
        assert {"time", "level", "logger", "message"} <= line.keys()
    return found


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        (["registry", "nonsense"], 2, "No such command"),
        (["drift", "--window", "yesterday"], 2, "name a length as 30m, 24h or 7d"),
        (["retrain", "--cron", "* * * * *"], 2, "need --runner kubeflow"),
    ],
)
def test_a_refusal_is_one_object(
    command: list[str], status: int, says: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [*MOODLINE, *command],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    (line,) = lines(done.stderr)
    assert (line["level"], says in line["message"]) == ("ERROR", True)


def test_another_format_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [*MOODLINE, "registry", "list"], env=environment(tmp_path, "xml"), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("moodline: MOODLINE_LOG_FORMAT=xml: ")
    assert done.stderr.count("\n") == 1


def test_the_trigger(tmp_path: Path) -> None:
    """What it notes, and what uvicorn says of a request that is none."""
    process = subprocess.Popen(
        [*MOODLINE, "trigger", "serve", "--dry-run", "--port", "0"],
        env=environment(tmp_path), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    first = process.stderr.readline()
    address = json.loads(first)["message"].rpartition("http://")[2].split(":")
    time.sleep(1)
    with socket.create_connection((address[0], int(address[1]))) as caller:
        caller.sendall(b"nonsense\r\n\r\n")
        caller.recv(1000)
    process.send_signal(signal.SIGTERM)
    said = lines(first + process.communicate(timeout=60)[1])
    assert "The trigger listens on" in said[0]["message"]
    assert any("Invalid HTTP request" in line["message"] for line in said)


def test_a_step_of_a_pipeline_as_its_pod_runs_it(tmp_path: Path) -> None:
    """KFP's own lines, ours and the traceback of the error that ends it."""
    executors = dict(build_pipeline("retrain", load_profile("tiny")).pipeline_spec.deployment_spec)[
        "executors"
    ]
    container = executors["exec-corpus"]["container"]
    task = {
        "inputs": {"parameterValues": {"source": "nowhere", "corpus": "nowhere"}},
        "outputs": {"outputFile": str(tmp_path / "out.json")},
    }
    command = [*container["command"], *container["args"]]
    given = [part.replace("{{$}}", json.dumps(task)) for part in command]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        given, env=environment(tmp_path) | {"PATH": programs}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    said = lines(done.stderr)
    assert done.stdout == ""
    assert any("executor_input" in line["message"] for line in said)
    assert said[-1]["level"] == "CRITICAL"
    assert said[-1]["exception"].startswith("Traceback")
