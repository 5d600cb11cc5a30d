"""How soon a turn of a live call is told, with the demo's models: one call, and four at once.

The sound comes as it is spoken: conversations of the synthetic corpus, session 5. The time counts
from the end of the turn's last word until the turn has arrived with its emotion.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from components.conversation import read_audio
from serving.supervisor.serve import Serving
from tests.benchmarks.conftest import serving
from tests.serving.live_client import Talk, talk

RECORDINGS = ("Talk5_two1", "Talk5_three1", "Talk5_two2", "Talk5_three2")


@pytest.fixture(scope="module")
def demo_service(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(model, tmp_path_factory.mktemp("live"), "demo") as running:
        yield running


def delays(call: Talk) -> list[float]:
    """Of each turn, seconds from its end."""
    assert call.code == 1000
    return [
        came - event["turn"]["end_time"] for came, event in call.events if event["type"] == "turn"
    ]


@pytest.mark.parametrize("count", [1, 4])
def test_live(
    benchmark: BenchmarkFixture, demo_service: Serving, talks_corpus: Path, count: int
) -> None:
    sounds = [read_audio(talks_corpus / "audio" / f"{name}.ogg") for name in RECORDINGS]
    talk(demo_service.url, sounds[0][: 16_000 * 5])  # the first call of a worker loads more

    def everything() -> list[Talk]:
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda sound: talk(demo_service.url, sound, speed=1.0), sounds))

    calls = benchmark.pedantic(everything, rounds=1)
    assert httpx.get(f"{demo_service.url}/readyz").status_code == 200
    late = np.array([delay for call in calls for delay in delays(call)])
    seconds = sum(map(len, sounds)) / 16_000
    median, most = np.quantile(late, [0.5, 0.95])
    print(
        f"\nlive, {count} at once, {seconds:.0f} s of sound, {len(late)} turns told:"
        f" median {median:.1f} s, 95 % within {most:.1f} s after their ends (wanted 3 and 6)"
    )
