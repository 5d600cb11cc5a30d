"""Whatever path is asked for: one kind of answer, and metrics that neither grow nor tell."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of ten thousand odd paths, some of them of 60 kB."""
    home = tmp_path_factory.mktemp("odd")
    (home / "metrics").mkdir()
    environment = {
        **os.environ,
        "MOODLINE_HOME": str(home),
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "PROMETHEUS_MULTIPROC_DIR": str(home / "metrics"),
    }
    command = [sys.executable, "-m", "tests.serving.odd_paths", "10000"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_metrics_stay_small(asked: dict[str, Any]) -> None:
    assert sum(asked["statuses"].values()) == 10_000
    assert asked["series"] <= 2_000
    assert asked["bytes"] < 1_000_000
    assert asked["file bytes"] < 4_000_000


def test_metrics_tell_no_name_and_no_job(asked: dict[str, Any]) -> None:
    assert not asked["told"]


def test_a_path_that_is_not_there_is_answered_and_counted_as_others_are(
    asked: dict[str, Any],
) -> None:
    assert asked["statuses"].keys() <= {"404", "405"}
    assert asked["odd"] == [404, "application/json", ["detail"]]
    assert asked["odd has an id"]
    assert asked["counted"] > 5_000


def test_bentoml_serves_by_our_connections(asked: dict[str, Any]) -> None:
    assert asked["connection"] == "Connection"


def test_head_of_the_page_is_that_of_get(asked: dict[str, Any]) -> None:
    assert len(set(asked["lengths"])) == 1
    # each answer's own nonce is all that differs
    assert len({re.sub(r"'nonce-[\w-]{22}'", "", policy) for policy in asked["policies"]}) == 1
    assert "frame-ancestors 'none'" in asked["policies"][0]
