"""A short recording beside a long one, against the short one alone."""

import io
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import soundfile
from pytest_benchmark.fixture import BenchmarkFixture

from components.conversation import SAMPLE_RATE, read_audio
from serving.supervisor.serve import Serving

ROOT = Path(__file__).resolve().parents[2]
SHORT, LONG = 10, 300
ROUNDS = 5


def recording(seconds: int) -> bytes:
    """Talk of the demo corpus, as WAV."""
    paths = sorted((ROOT / "components" / "corpus" / "demo").rglob("*.ogg"))
    talk, samples = np.zeros(0, np.float32), seconds * SAMPLE_RATE
    while len(talk) < samples:
        talk = np.concatenate([talk, read_audio(paths.pop(0))])
    file = io.BytesIO()
    soundfile.write(file, talk[:samples], SAMPLE_RATE, format="WAV")
    return file.getvalue()


def test_a_short_recording_beside_a_long_one(benchmark: BenchmarkFixture, service: Serving) -> None:
    """Median seconds of 10 s beside 300 s, over those of 10 s alone."""
    short, long = recording(SHORT), recording(LONG)

    def ask(sound: bytes) -> float:
        began = time.perf_counter()
        files = {"audio": ("a.wav", sound)}
        answer = httpx.post(f"{service.url}/v1/analyze", files=files, timeout=1_000)
        assert answer.status_code == 200, answer.text
        return time.perf_counter() - began

    ask(short)
    alone = [ask(short) for _ in range(ROUNDS)]
    beside: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(ask, long)
        time.sleep(1)  # it is received and begun
        while not other.done():
            took = ask(short)
            if not other.done():
                beside.append(took)
        whole = other.result()
    benchmark.pedantic(ask, (short,), rounds=1)
    ratio = statistics.median(beside) / statistics.median(alone)
    print(
        f"\n/v1/analyze, {SHORT} s: {statistics.median(alone):.1f} s alone at the median,"
        f" {statistics.median(beside):.1f} s beside {LONG} s (at most {max(beside):.1f},"
        f" {len(beside)} of them in {whole:.0f} s); ratio {ratio:.1f}"
    )
    assert ratio <= 3
