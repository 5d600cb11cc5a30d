"""The trigger's metrics of runs on a cluster: how they ended, as MLflow knows."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.base import Unavailable
from components.config import Settings
from components.register import Outcomes
from components.scoring import Check
from pipelines.runners.outcome_metrics import FILE, record_outcome
from pipelines.trigger import ClusterOutcomes, cluster_outcomes
from tests.pipelines.trigger.conftest import Listen

CHECK = Check("min_accuracy", 0.7, "at least", 0.6, "pass", "accuracy is 0.7")


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


def test_gauges_follow_mlflow_and_outlive_its_absence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, listening: Listen,
    tmp_path: Path,
) -> None:  # fmt: skip
    answers = [Outcomes({"pass": 1.0}, (CHECK,), "a"), Outcomes({"pass": 1.0, "error": 2.0})]
    asked: list[Outcomes | None] = []

    def read(settings: Settings, known: Outcomes | None) -> Outcomes:
        asked.append(known)
        if len(asked) > len(answers):
            raise Unavailable("MLflow at http://mlflow: does not answer")
        return answers[len(asked) - 1]

    monkeypatch.setattr(cluster_outcomes, "read_outcomes", read)
    following = ClusterOutcomes(Settings(home=tmp_path), every=0.01)
    until(lambda: len(asked) > 5)
    following.close()
    assert asked[:3] == [None, *answers]
    assert caplog.text.count("how runs ended is not known now: MLflow at") == 1
    # What a run on this machine left beside it must not stand there twice.
    record_outcome(tmp_path / "metrics" / FILE, "pass", 5.0)
    client = listening(outcomes=following.exposition)
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [s for f in families if f.name.startswith("moodline_retrain") for s in f.samples]
    assert {s.labels["decision"]: s.value for s in samples} == {"pass": 1.0, "error": 2.0}
