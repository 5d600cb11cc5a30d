"""What can be seen of the running loop: the alert, its route, the run that the trigger starts."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx

from components.base import Unavailable
from components.config import Settings
from components.conversation import Seconds
from pipelines.definitions.code_version import MOODLINE, ROOT

T = TypeVar("T")

POLL_SECONDS: Seconds = 0.2
HTTP_SECONDS: Seconds = 10.0
RESULT = "result.json"
LOG = "retrain.log"


class FiringAlert(NamedTuple):
    """A firing alert: when it began to fire, and its summary."""

    since: datetime
    summary: str


class StartedRun(NamedTuple):
    """A run that the trigger started: when, its folder, and which feedback it trains on."""

    at: datetime
    folder: Path
    note: str


def wait_for(
    look: Callable[[], T | None], what: str, timeout: Seconds, check: Callable[[], None]
) -> T:
    """Call `look` until it returns something else than None; `what` names it in the error.

    Before each call, `check` raises where waiting is in vain.

    Raises:
        Unavailable: it did not come in time.
    """
    end = time.monotonic() + timeout
    while True:
        check()
        value = look()
        if value is not None:
            return value
        if time.monotonic() > end:
            raise Unavailable(f"{what} did not come within {timeout:g} s")
        time.sleep(POLL_SECONDS)


def run_drift(settings: Settings, name: str, since: datetime) -> dict[str, Any]:
    """Run `moodline drift` on the answers of production from then until now, as a schedule would.

    Its gauges go where the trigger shows them to Prometheus, its report to `drift-<name>.html`.

    Raises:
        Unavailable: the command failed.
    """
    window = f"{(datetime.now(UTC) - since).total_seconds() / 60:.3f}m"
    gauges, report = settings.metrics / "drift.prom", settings.home / f"drift-{name}.html"
    gauges.parent.mkdir(parents=True, exist_ok=True)
    files = ("-o", str(report), "--prom", str(gauges))
    command = [*MOODLINE, "drift", "--window", window, "--json", *files]
    environment = {**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise Unavailable(f"moodline drift: {done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def firing_alert(prometheus: str, name: str) -> FiringAlert | None:
    """The alert of a rule, if it fires in Prometheus."""
    alerts = httpx.get(f"{prometheus}/api/v1/alerts", timeout=HTTP_SECONDS).json()["data"]["alerts"]
    for alert in alerts:
        if alert["labels"]["alertname"] == name and alert["state"] == "firing":
            since = datetime.fromisoformat(alert["activeAt"][:26].rstrip("Z") + "+00:00")
            return FiringAlert(since, alert["annotations"].get("summary", ""))
    return None


def alert_receivers(alertmanager: str, name: str) -> list[str] | None:
    """The receivers to which Alertmanager routes an alert; None while it does not know it."""
    for alert in httpx.get(f"{alertmanager}/api/v2/alerts", timeout=HTTP_SECONDS).json():
        if alert["labels"]["alertname"] == name:
            return [receiver["name"] for receiver in alert["receivers"]]
    return None


def started_run(settings: Settings) -> StartedRun | None:
    """The run that the trigger started, by its ledger; None before it is started.

    Raises:
        Unavailable: the trigger could not start it.
    """
    from pipelines.trigger import Ledger

    with closing(Ledger(settings.trigger_url)) as ledger:
        entries = {entry.outcome: entry for entry in reversed(ledger.entries())}
    if failed := entries.get("failed"):
        raise Unavailable(f"the trigger could not start a run: {failed.why}")
    entry = entries.get("started")
    if entry is None:
        return None
    cause = json.loads((Path(entry.run) / "cause.json").read_text(encoding="utf-8"))
    return StartedRun(entry.time, Path(entry.run), cause["note"])


def run_result(folder: Path) -> dict[str, Any] | None:
    """The result of a run; None while it goes on.

    Raises:
        Unavailable: the run failed.
    """
    from pipelines.trigger import PID

    if (folder / PID).exists():
        return None
    text = (folder / RESULT).read_text(encoding="utf-8")
    if not text.strip():
        lines = (folder / LOG).read_text(encoding="utf-8").split("\n")
        reason = next((line for line in reversed(lines) if line.strip()), "its log is empty")
        raise Unavailable(f"the retraining failed: {reason.strip()} (log: {folder / LOG})")
    result: dict[str, Any] = json.loads(text)
    return result


class LogFollower:
    """Reads the log in a run's folder, line by line, while it is written."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._position = 0

    def new_lines(self) -> list[str]:
        """The whole lines that were written since the last call."""
        whole, _, _ = self._path.read_bytes()[self._position :].rpartition(b"\n")
        self._position += len(whole) + 1 if whole else 0
        return whole.decode(errors="replace").split("\n") if whole else []
