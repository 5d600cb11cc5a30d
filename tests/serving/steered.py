"""Tritons that are steered, and what is asked of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from safetensors.numpy import load_file, save_file

from components.config import Settings
from serving.errors import NotReadyError
from serving.lineup import Lineup, Served
from serving.settings import HostSettings, TrafficSettings
from serving.triton.control import read_golden
from serving.triton.environment import TritonEnvironment
from serving.triton.server import TritonServer

GRACE = 0.2
TRAFFIC = TrafficSettings(follow_seconds=0.2, watch_seconds=0.001, grace_seconds=GRACE)
HOST = HostSettings(instances=1, threads=1)


@contextmanager
def triton(repository: Path, log: Path) -> Iterator[TritonServer]:
    """One that runs; killed in the end, as no test here is about how it stops."""
    environment = TritonEnvironment(Settings().triton_env.resolve())
    with TritonServer(environment, repository, log) as server:
        yield server
        server.stop(grace=0)


def wrong(folder: Path) -> Path:
    """The model with other golden answers than its own."""
    golden = load_file(folder / "golden.safetensors")
    golden["probabilities"] = golden["probabilities"][::-1].copy()
    save_file(golden, folder / "golden.safetensors")
    return folder


def stubs(server: TritonServer) -> list[psutil.Process]:
    """The processes that run its models."""
    return [p for p in psutil.Process(server.pid).children(recursive=True) if "stub" in p.name()]


def answers(server: TritonServer, folder: Path, version: int) -> bool:
    """Whether that version's right answers come from there."""
    try:
        return server.control.prove(version, read_golden(folder), timeout=5) < 1e-4
    except NotReadyError:
        return False


def lineup(models: dict[int, Path], version: int) -> Lineup[Served]:
    """That version alone in production."""
    return Lineup({"production": Served(version, models[version])})
