"""What KEDA is told of Triton's queue, and on GPUs of the service's, by Prometheus' own tool."""

import json
from pathlib import Path

import pytest
import yaml

from tests.infra.manifests import Documents, named, of_kind
from tests.infra.test_prometheus import tool

BASE = Path(__file__).resolve().parents[2] / "infra" / "kubernetes" / "base"

# Cumulative counters, by the minute: microseconds in the queue, answered, turned away, bad clips.
Minute = tuple[int, int, int, int]


def trigger() -> dict[str, str]:
    documents = yaml.safe_load_all((BASE / "autoscaling.yaml").read_text(encoding="utf-8"))
    (scaler,) = (one for one in documents if one["kind"] == "ScaledObject")
    metadata: dict[str, str] = scaler["spec"]["triggers"][0]["metadata"]
    return metadata


@pytest.mark.parametrize(
    ("minute", "expected"),
    [
        ((0, 0, 0, 0), 0.0),  # 0/0 is nothing to do
        ((60_000_000, 600, 0, 0), 100_000.0),
        ((0, 0, 600, 0), 1_000_000.0),  # all are turned away: not idle
        ((30_000_000, 300, 300, 0), 550_000.0),
        ((6_000_000, 600, 0, 300), 10_000.0),  # clips that nobody can answer are no load
    ],
    ids=["idle", "busy", "all turned away", "half turned away", "bad clips"],
)
def test_triton_grows_with_the_wait_and_with_what_is_turned_away(
    minute: Minute, expected: float, tmp_path: Path
) -> None:
    names = (
        'nv_inference_queue_duration_us{model="moodline",version="3"}',
        'nv_inference_request_success{model="moodline",version="3"}',
        'nv_inference_request_failure{model="moodline",reason="REJECTED",version="3"}',
        'nv_inference_request_failure{model="moodline",reason="BACKEND",version="3"}',
    )
    series = [
        {"series": name, "values": f"0+{count}x10"}
        for name, count in zip(names, minute, strict=True)
    ]
    asked = {
        "expr": trigger()["query"],
        "eval_time": "10m",
        "exp_samples": [{"labels": "{}", "value": expected}],
    }
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [asked]}
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps({"evaluation_interval": "1m", "tests": [test]}))
    assert "SUCCESS" in tool("promtool", "test", "rules", str(path))


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ({'moodline_waiting{pod="a"}': 5, 'moodline_waiting{pod="b"}': 2}, [7, None]),
        ({'moodline_waiting{pod="a"}': 0, 'moodline_oldest_job_seconds{pod="a"}': 0}, [0, 0]),
        ({'moodline_oldest_job_seconds{pod="a"}': 900,
          'moodline_oldest_job_seconds{pod="b"}': 890}, [None, 900]),
        ({}, [None, None]),  # nothing is known, so the fallback holds
    ],
    ids=["recordings", "idle", "jobs", "nobody answers"],
)  # fmt: skip
def test_on_gpus_the_service_grows_with_what_waits(
    series: dict[str, float], expected: list[float | None], tmp_path: Path
) -> None:
    overlay = BASE.parent / "overlays" / "gpu" / "autoscaling.yaml"
    (scaler,) = yaml.safe_load_all(overlay.read_text(encoding="utf-8"))
    asked = [
        {
            "expr": one["metadata"]["query"],
            "eval_time": "5m",
            "exp_samples": [] if value is None else [{"labels": "{}", "value": value}],
        }
        for one, value in zip(scaler["spec"]["triggers"], expected, strict=True)
    ]
    given = [{"series": name, "values": f"{value}x10"} for name, value in series.items()]
    test = {"interval": "1m", "input_series": given, "promql_expr_test": asked}
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps({"evaluation_interval": "1m", "tests": [test]}))
    assert "SUCCESS" in tool("promtool", "test", "rules", str(path))


def test_without_any_counters_the_fallback_holds(tmp_path: Path) -> None:
    asked = {"expr": trigger()["query"], "eval_time": "10m", "exp_samples": []}
    path = tmp_path / "test.yaml"
    test = {"interval": "1m", "input_series": [], "promql_expr_test": [asked]}
    path.write_text(json.dumps({"evaluation_interval": "1m", "tests": [test]}))
    assert "SUCCESS" in tool("promtool", "test", "rules", str(path))
    assert trigger()["ignoreNullValues"] == "false"


def test_on_gpus_the_service_grows_with_its_queue_only(overlays: dict[str, Documents]) -> None:
    """Processors idle while a GPU listens, so their load says nothing."""
    documents = overlays["gpu"]
    assert of_kind(documents, "HorizontalPodAutoscaler") == []
    scaled = named(documents, "ScaledObject", "moodline")["spec"]
    target = scaled["scaleTargetRef"]
    assert named(documents, target["kind"], target["name"])
    waiting, oldest = scaled["triggers"]
    assert (waiting["metricType"], oldest["metricType"]) == ("AverageValue", "Value")
    least, most = scaled["minReplicaCount"], scaled["maxReplicaCount"]
    assert 2 <= least <= scaled["fallback"]["replicas"] <= most
    assert {one["metadata"]["ignoreNullValues"] for one in scaled["triggers"]} == {"false"}
    (cpu,) = of_kind(overlays["cpu"], "HorizontalPodAutoscaler")
    assert cpu["spec"]["scaleTargetRef"]["name"] == "moodline"
