"""Metrics of several workers, one of them killed."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from serving.metrics import forget_dead_workers

WORKER = """
import sys
from serving import metrics
metrics.WAITING.inc()
metrics.SERVED.labels("production").set(int(sys.argv[1]))
metrics.AUDIO.inc(10)
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_killed_workers_gauges_go_and_its_counts_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, version],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).resolve().parents[2],
        )
        for version in ("4", "1")
    ]  # fmt: skip

    def values() -> tuple[float | None, ...]:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(tmp_path))
        served = registry.get_sample_value("moodline_served_version", {"role": "production"})
        waiting = registry.get_sample_value("moodline_waiting")
        return waiting, served, registry.get_sample_value("moodline_audio_seconds_total")

    try:
        for worker in workers:
            assert worker.stdout and worker.stdout.readline() == b"ready\n"
        assert values() == (2, 4, 20)
        forget_dead_workers()
        assert values() == (2, 4, 20)
        workers[0].kill()
        workers[0].wait()
        forget_dead_workers()
        assert values() == (1, 1, 20)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
    forget_dead_workers()
    assert [*tmp_path.iterdir()]
