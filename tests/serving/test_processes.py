"""Children end, the stubborn ones too."""

import os
import socket
import time
from pathlib import Path

import psutil
import pytest

from serving.processes import Child, free_ports, port_is_free

STUBBORN = "trap '' TERM; sleep 300 & echo ready; while :; do sleep 0.1; done"


def test_what_does_not_want_to_end_is_killed_with_its_children(tmp_path: Path) -> None:
    child = Child(["sh", "-c", STUBBORN], os.environ, tmp_path / "log", "stubborn")
    while "ready" not in child.last_output():
        assert child.running
        time.sleep(0.05)
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children()]
    assert len(family) >= 2
    child.stop(grace=0.3)
    assert not child.running
    _, left = psutil.wait_procs(family, timeout=5)
    assert not left


def test_its_last_words_are_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("somebody was here before\n")
    child = Child(["sh", "-c", "echo one; echo two >&2; exit 3"], os.environ, log, "talker")
    psutil.wait_procs([psutil.Process(child.pid)], timeout=5)
    assert child.last_output() == "one\ntwo"
    assert not child.running
    child.stop()


def test_without_a_file_it_speaks_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    child = Child(["sh", "-c", "echo one; echo two >&2"], os.environ, None, "talker")
    psutil.wait_procs([psutil.Process(child.pid)], timeout=5)
    child.stop()
    assert capfd.readouterr().err == "one\ntwo\n"
    assert "above" in child.last_output()


def test_free_ports_are_all_different_and_no_connection_is_given_them() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert max(ports) < int(given[0])


def test_a_port_that_is_listened_to_is_not_free() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert not port_is_free("127.0.0.1", listening.getsockname()[1])
