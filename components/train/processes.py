"""One training in several processes, which `torchrun` starts; without it there is one.

The environment tells each process its rank and how many there are. They exchange values with
`accelerate.utils`, which does nothing in a process alone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed, serialization

from components.base import InputError
from components.config import TrainSettings


def under_torchrun() -> bool:
    """Whether this process is one that `torchrun` started."""
    return "LOCAL_RANK" in os.environ


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if under_torchrun() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ["RANK"]) if under_torchrun() else 0


def processes_here() -> int:
    """How many of them are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if under_torchrun() else 1


def is_first_on_node() -> bool:
    """Whether no process on this machine comes before this one."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def node_name() -> str:
    """This machine's name among those that train together; empty: it is the only one."""
    several = int(os.environ.get("GROUP_WORLD_SIZE", "1")) > 1
    return f"node-{os.environ['GROUP_RANK']}" if under_torchrun() and several else ""


def process_count(settings: TrainSettings) -> int:
    """How many processes train together: those of `torchrun`, or as many as the settings want."""
    if under_torchrun():
        return world_size()
    if settings.processes == "auto":
        return max(torch.cuda.device_count(), 1)
    return settings.processes


def share_of_batch(settings: TrainSettings, processes: int) -> int:
    """How many examples of a step each process takes.

    Raises:
        InputError: the batch cannot be shared out evenly.
    """
    if settings.batch_size % processes:
        raise InputError(
            f"train.batch_size: {settings.batch_size} cannot be shared out among {processes}"
            " processes; make it a multiple of them"
        )
    return settings.batch_size // processes


def own_device() -> torch.device:
    """This process's GPU, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def precision(settings: TrainSettings) -> str:
    """The settings' precision as "float32", "bf16" or "fp16", chosen by the hardware if "auto".

    Raises:
        InputError: fp16 without a GPU.
    """
    gpu = torch.cuda.is_available()
    if settings.precision == "fp16" and not gpu:
        raise InputError("train.precision: fp16 needs a GPU; use bf16, float32 or auto")
    if settings.precision != "auto":
        return settings.precision
    if not gpu:
        return "float32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


@contextmanager
def process_group() -> Iterator[None]:
    """Connect the processes that `torchrun` started; a process alone needs nothing."""
    if not under_torchrun() or distributed.is_initialized():
        yield
        return
    device = own_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        # accelerate names a process's CPU "cpu:1", which torch.load does not know.
        serialization.register_package(
            11, lambda _: None, lambda storage, name: storage if name.startswith("cpu:") else None
        )
    backend = "nccl" if device.type == "cuda" else "gloo"
    # A long limit: the others wait while the first writes the version.
    distributed.init_process_group(backend, timeout=timedelta(hours=2))
    try:
        yield
    finally:
        distributed.destroy_process_group()
