"""No library reports home: a process that only imports Moodline looks no host up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORK = """
import json, sys, time
from pathlib import Path

asked = set()

def watch(event, arguments):
    if event == "socket.getaddrinfo":
        asked.add(str(arguments[0]))

sys.addaudithook(watch)
if sys.argv[2] == "pyannote first":
    import pyannote.audio
from components.config import DiarizeSettings, Settings
from components.diarize import Diarizer
import mlflow, numpy, transformers
from bentoml._internal.utils.analytics.usage_stats import do_not_track
from huggingface_hub import constants
from mlflow.telemetry import get_telemetry_client

diarizer = Diarizer(DiarizeSettings(pipeline="diarization-demo"), Settings())
diarizer.diarize(numpy.random.default_rng(0).normal(0, 0.1, 80_000).astype("f4"))
store = sys.argv[1]
mlflow.set_tracking_uri(f"sqlite:///{store}")
with mlflow.start_run():
    mlflow.log_metric("one", 1.0)
time.sleep(3)  # those that report do so in the background, twice a second
told = {"asked": sorted(asked), "bentoml": not do_not_track(),
        "hub": not constants.HF_HUB_DISABLE_TELEMETRY, "mlflow": get_telemetry_client() is not None}
print(json.dumps(told))
"""


def reports(store: Path, models: Path, order: str = "", **environment: str) -> dict[str, object]:
    """What a process that hears a recording and tracks a run looks up, without our Makefile's
    environment."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORK, str(store / "runs.db"), order],
        cwd=Path(__file__).parents[2],
        env=kept | {"MOODLINE_MODELS": str(models)} | environment,
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.models
@pytest.mark.parametrize("order", ["Moodline first", "pyannote first"])
def test_nothing_is_sent_home(tmp_path: Path, models_home: Path, order: str) -> None:
    told = reports(tmp_path, models_home, order)
    assert told["asked"] == []
    assert not told["bentoml"]
    assert not told["mlflow"]
    if order == "Moodline first":  # pyannote.audio imports huggingface_hub, which asks then
        assert not told["hub"]


@pytest.mark.models
def test_whoever_wants_to_report_may(tmp_path: Path, models_home: Path) -> None:
    """It also shows that the test above would see it."""
    told = reports(tmp_path, models_home, PYANNOTE_METRICS_ENABLED="1")
    assert told["asked"] == ["otel.pyannote.ai"]
