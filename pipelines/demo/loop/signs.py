"""What the parts say of themselves: an alert, what the trigger made of it, the run it started."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from components.base import InputError
from components.config import Settings
from components.conversation import Seconds
from pipelines.definitions.code_version import MOODLINE, ROOT

T = TypeVar("T")

LOOK: Seconds = 0.2
RESULT = "result.json"
LOG = "retrain.log"


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fires.

    Attributes:
        name: the rule's.
        since: when it began.
        summary: its annotation.
    """

    name: str
    since: datetime
    summary: str


@dataclass(frozen=True, slots=True)
class Started:
    """A run that the trigger started.

    Attributes:
        at: when.
        folder: the run's.
        note: what came back that it trains on.
    """

    at: datetime
    folder: Path
    note: str


def await_sign(
    look: Callable[[], T | None], what: str, longest: Seconds, check: Callable[[], None]
) -> T:
    """Look again and again until there is something to see.

    Args:
        look: gives it, or None.
        what: is waited for, in words.
        longest: seconds to wait.
        check: raises where waiting is in vain.

    Raises:
        InputError: it did not come.
    """
    end = time.monotonic() + longest
    while True:
        check()
        seen = look()
        if seen is not None:
            return seen
        if time.monotonic() > end:
            raise InputError(f"{what} did not come within {longest:g} s")
        time.sleep(LOOK)


def look_for_drift(settings: Settings, name: str, since: datetime) -> dict[str, Any]:
    """Run `moodline drift` over what the version in production answered, as a schedule would.

    Its gauges go where the trigger shows them to Prometheus, its report to `drift-<name>.html`.

    Args:
        name: of the window.
        since: where it begins; it ends now.

    Raises:
        InputError: it cannot look.
    """
    window = f"{(datetime.now(UTC) - since).total_seconds() / 60:.3f}m"
    gauges, report = settings.metrics / "drift.prom", settings.home / f"drift-{name}.html"
    gauges.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [*MOODLINE, "drift", "--window", window, "--json", "-o", report, "--prom", gauges],
        env={**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise InputError(f"moodline drift: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def firing(prometheus: str, name: str) -> Fired | None:
    """An alert, if it fires in Prometheus."""
    alerts = httpx.get(f"{prometheus}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
    for alert in alerts:
        if alert["labels"]["alertname"] == name and alert["state"] == "firing":
            since = datetime.fromisoformat(alert["activeAt"][:26].rstrip("Z") + "+00:00")
            return Fired(name, since, alert["annotations"].get("summary", ""))
    return None


def routed(alertmanager: str, name: str) -> list[str] | None:
    """Whom Alertmanager tells of an alert, once it knows of it."""
    alerts = httpx.get(f"{alertmanager}/api/v2/alerts", timeout=10).json()
    for alert in alerts:
        if alert["labels"]["alertname"] == name:
            return [receiver["name"] for receiver in alert["receivers"]]
    return None


def started(settings: Settings) -> Started | None:
    """The last run that the trigger started, by its ledger."""
    from pipelines.trigger import Ledger

    ledger = Ledger(settings.trigger_url)
    entries = ledger.entries()
    ledger.close()
    failed = next((entry for entry in entries if entry.outcome == "failed"), None)
    if failed is not None:
        raise InputError(f"the trigger could not start a run: {failed.why}")
    entry = next((entry for entry in entries if entry.outcome == "started"), None)
    if entry is None:
        return None
    cause = json.loads((Path(entry.run) / "cause.json").read_text(encoding="utf-8"))
    return Started(entry.time, Path(entry.run), cause["note"])


def ended(folder: Path) -> dict[str, Any] | None:
    """What a run came to, once it has ended.

    Raises:
        InputError: it failed.
    """
    from pipelines.trigger import PID

    if (folder / PID).exists():
        return None
    text = (folder / RESULT).read_text(encoding="utf-8")
    if not text.strip():
        lines = (folder / LOG).read_text(encoding="utf-8").split("\n")
        says = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        raise InputError(f"the retraining failed: {says.strip()} (log: {folder / LOG})")
    result: dict[str, Any] = json.loads(text)
    return result


class Lines:
    """What a run tells of its steps, line by line as it comes.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._read = 0

    def new(self) -> list[str]:
        """The whole lines that came since it was asked last."""
        whole, _, _ = self._path.read_bytes()[self._read :].rpartition(b"\n")
        self._read += len(whole) + 1 if whole else 0
        return whole.decode(errors="replace").split("\n") if whole else []
