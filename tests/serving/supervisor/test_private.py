"""What other users of the host can do with a running service: send it requests."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from serving.supervisor.serve import Serving

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(180)]

STRANGER = Path(__file__).parents[1] / "stranger.py"


def processes(service: Serving) -> list[psutil.Process]:
    assert service._service and service.triton and service.triton.pid
    heads = [psutil.Process(pid) for pid in (service._service.pid, service.triton.pid)]
    return [*heads, *(child for head in heads for child in head.children(recursive=True))]


def facts(service: Serving) -> dict[str, Any]:
    """More than a stranger knows: the ports, and which sockets are ours."""
    family = processes(service)
    ports = {
        connection.laddr.port
        for process in family
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    links = [
        str(link.readlink()) for one in family for link in Path(f"/proc/{one.pid}/fd").glob("*")
        if link.is_symlink()
    ]  # fmt: skip
    inodes = [int(link[8:-1]) for link in links if link.startswith("socket:[")]
    return {"pids": [one.pid for one in family], "ports": sorted(ports), "inodes": inodes}


def possible(user: str, found: dict[str, Any]) -> list[str]:
    root = STRANGER.parents[2]
    told = subprocess.run(
        [sys.executable, STRANGER, user, json.dumps(found)],
        capture_output=True, text=True, check=True, cwd=root,
    )  # fmt: skip
    answer: list[str] = json.loads(told.stdout)
    return answer


def test_another_user_of_the_host_can_do_nothing(service: Serving) -> None:
    found = facts(service)
    ours = possible("", found)
    for what in (
        "grpc is_server_live",
        "grpc load_model",
        "shared memory",
        "circus",
        "process mem",
    ):
        assert any(one.startswith(what) for one in ours), "the attack itself works"
    assert not any(one.startswith("http") for one in ours), "Triton's HTTP API is off"
    assert httpx.get(f"{service.url}/readyz", timeout=10).status_code == 200
    metrics = int(service.triton.metrics_url.split(":")[2].split("/")[0]) if service.triton else 0
    assert found["ports"] == sorted([service.port, metrics])
    if os.getuid() == 0:
        assert possible("nobody", found) == []


def test_nothing_that_it_keeps_can_be_read_by_others(service: Serving) -> None:
    home = service.settings.home
    assert home.stat().st_mode & 0o777 == 0o700
    written = [home / "logs", home / "log", home / "serving" / "store", home / "feedback.db"]
    files = [one for path in written for one in (path, *path.rglob("*")) if one.is_file()]
    assert {"service.log", "tritonserver.log", "store.db", "feedback.db"} <= {f.name for f in files}
    assert [path for path in files if path.stat().st_mode & 0o077] == []
    for folder in (service._sockets, service.triton and service.triton._folder):
        assert folder and folder.path.stat().st_mode & 0o777 == 0o700


def test_triton_gets_nothing_of_the_environment(service: Serving) -> None:
    assert service.triton and service.triton.pid
    stub = psutil.Process(service.triton.pid).children()[0]
    for process in (psutil.Process(service.triton.pid), stub):  # the shell before it adds some
        own = process.environ().keys() - {"LC_CTYPE", "PWD", "OLDPWD", "SHLVL", "_"}
        assert own == {"PATH", "LD_LIBRARY_PATH"}
