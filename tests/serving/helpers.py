"""What several tests of the service share."""

import io
import time
from collections.abc import Callable

import httpx
import numpy as np
import psutil
import soundfile

from serving.serve import Serving

MEGABYTES = 8
SECONDS = 60
SHORT = 20
LEASE = 3.0


def wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    """Samples as a WAV file of floats."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def metric(url: str, name: str) -> float:
    """The sum of a metric's series whose lines begin like that."""
    lines = httpx.get(f"{url}/metrics", timeout=10).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def worker(service: Serving) -> psutil.Process:
    """The process that answers; BentoML starts it."""
    assert service._service
    family = psutil.Process(service._service.pid).children(recursive=True)
    return next(one for one in family if "_bentoml_impl.worker.service" in one.cmdline())
