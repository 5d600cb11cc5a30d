"""The service at saturation: what it needs stays what it needed.

Half a minute in the ordinary tests; `make test-soak` makes it ten minutes.
"""

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from serving.supervisor.serve import Serving
from tests.serving.helpers import wait_until, wav

SECONDS = float(os.environ.get("MOODLINE_SOAK_SECONDS", "25"))
CLIENTS = 8

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(SECONDS + 300)]


@dataclass(frozen=True)
class Needs:
    """What the service and Triton need together.

    Attributes:
        megabytes: of memory: each process' own, and the pieces that they share.
        handles: open files and sockets.
        shared: pieces of shared memory. Triton makes one longer under load, and maps it
            once more without letting the first mapping go: so by name, not by mapping.
    """

    megabytes: int
    handles: int
    shared: int


def needs(service: Serving) -> Needs:
    """Of the service's whole family, and of Triton's."""
    assert service.triton and service._service
    heads = [psutil.Process(service._service.pid), psutil.Process(service.triton.pid)]
    memory = handles = 0
    pieces: set[str] = set()
    for one in [*heads, *(child for head in heads for child in head.children(recursive=True))]:
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            memory += one.memory_full_info().uss
            handles += one.num_fds()
            maps = Path(f"/proc/{one.pid}/maps").read_text()
            pieces |= set(re.findall(r"/dev/shm/\S+", maps))
    for piece in pieces:
        with suppress(FileNotFoundError):
            memory += Path(piece).stat().st_size
    return Needs(memory >> 20, handles, len(pieces))


def test_what_it_needs_stays_flat(service: Serving, piece: bytes) -> None:
    done, outcomes = threading.Event(), Counter[int]()
    dice = np.random.default_rng(3)
    lengths = dice.integers(3_200, 80_000, size=20).tolist()
    clips = [wav((dice.normal(size=length) * 0.2).astype("f4")) for length in lengths]
    speech: dict[str, Any] = {"files": {"audio": ("a.wav", piece)}, "data": {"num_speakers": "1"}}

    def classify(client: httpx.Client, turn: int) -> httpx.Response:
        files = {"audio": ("a.wav", clips[turn % len(clips)])}
        return client.post("/v1/classify", files=files, data={"text": "yes hello"})

    def listen(client: httpx.Client, turn: int) -> httpx.Response:
        return client.post(("/v1/analyze", "/v1/jobs")[turn % 2], **speech)

    def load(ask: Callable[[httpx.Client, int], httpx.Response], pause: float) -> None:
        turn = 0
        with httpx.Client(base_url=service.url, timeout=120) as client:
            while not done.is_set():
                outcomes[ask(client, turn).status_code] += 1
                turn += 1
                done.wait(pause)

    threads = [threading.Thread(target=load, args=(classify, 0.0)) for _ in range(CLIENTS)]
    threads.append(threading.Thread(target=load, args=(listen, 2.0)))
    for thread in threads:
        thread.start()
    began = time.monotonic()
    seen: list[Needs] = []
    while time.monotonic() < began + SECONDS:
        time.sleep(SECONDS / 25)
        seen.append(needs(service))
    done.set()
    for thread in threads:
        thread.join(150)
    uploads = service.settings.home / "serving" / "store" / "uploads"
    assert wait_until(lambda: not any(uploads.iterdir()), 120)

    def least(part: list[Needs], of: str) -> int:
        return min(getattr(one, of) for one in part)

    # The least of a stretch leaves out what requests need while they are answered.
    early, late = seen[len(seen) // 4 : len(seen) // 2], seen[-len(seen) // 4 :]
    told = f"{SECONDS:g} s, {dict(outcomes)}: {seen[len(seen) // 4]} → {seen[-1]}"
    print(told)
    assert set(outcomes) <= {200, 202, 429}, told
    assert outcomes[200] > SECONDS, told
    assert least(late, "megabytes") < 1.03 * least(early, "megabytes") + 20, told
    assert least(late, "handles") <= least(early, "handles") + 8, told
    assert least(late, "shared") <= least(early, "shared"), told
