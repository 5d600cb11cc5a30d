"""What an operator looks at, gathered: what is served, the registry, drift, retrainings, feedback.

Each part is read by itself. Where one cannot be (MLflow is away, say), it says so in a line, and
the others are there.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Generic, TypeVar

from components.base import InputError, MoodlineError, masked
from components.config import Settings
from components.conversation import Seconds
from components.retrainings import Entry, read_entries, run_state
from components.traffic import Statements
from serving.lineup import halt_path, read_halt, read_pointer
from serving.settings import ServeSettings, TrafficSettings

FRESH: Seconds = 10.0
"""How long what the registry said is told again: who watches need not ask MLflow each time."""

MOST_ENTRIES = 50
"""Of the trigger's ledger, the newest."""

T = TypeVar("T")


class _Remembered(Generic[T]):
    """What a function returned, or that it failed, for a while; one thread at a time asks it."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._until = 0.0
        self._value: T
        self._fault: MoodlineError | None = None

    def __call__(self) -> T:
        with self._lock:
            if time.monotonic() >= self._until:
                self._fault = None
                try:
                    self._value = self._read()
                except MoodlineError as error:  # a registry that is away makes each reader wait
                    self._fault = error
                self._until = time.monotonic() + FRESH
            if self._fault is not None:
                raise self._fault
            return self._value

    def forget(self) -> None:
        with self._lock:
            self._until = 0.0


class Overview:
    """Reads the parts; safe to share between threads.

    Args:
        settings: where the registry, the log and the trigger's ledger are.
        serve: where the pointer is, and which pages to link to.
    """

    def __init__(self, settings: Settings, serve: ServeSettings, statements: Statements) -> None:
        self._settings, self._serve, self._statements = settings, serve, statements
        self._registry = _Remembered(self._read_registry)

    def read(self) -> dict[str, Any]:
        """All parts by name: each what it says, or `{"fault": …}`."""
        registry = _part(self._registry)
        return {
            "served": _part(self._served),
            "registry": registry,
            "drift": _part(self._drift),
            "retrainings": _part(self._retrainings),
            "feedback": _part(lambda: self._feedback(registry)),
            "links": self._links(),
        }

    def forget(self) -> None:
        """Ask the registry at the next call: something was changed there."""
        self._registry.forget()

    def _served(self) -> dict[str, Any]:
        pointer, traffic = self._serve.pointer, TrafficSettings()
        lineup, halt = read_pointer(pointer), read_halt(halt_path(pointer))
        roles = {
            role: {"version": served.version, "verdict": served.verdict}
            for role, served in lineup.roles.items()
        }
        return {
            "roles": roles,
            "refused": [{"version": n, "reason": why} for n, why in lineup.refused.items()],
            "canary_share": traffic.canary_share,
            "shadow_share": traffic.shadow_share,
            "halted": asdict(halt) if halt else None,
        }

    def _read_registry(self) -> dict[str, Any]:
        from components.register import alias_version, history, list_versions, show, verdict_of

        versions = list_versions(self._settings)
        number = alias_version("production", self._settings)
        gate: dict[str, Any] | None = None
        if number is not None:
            try:
                verdict = verdict_of(number, self._settings)
                checks = [check.to_json() for check in verdict.checks]
                gate = {"version": number, "decision": verdict.decision, "checks": checks}
            except InputError as error:  # it has none, or nobody who is trusted signed it
                decision = show(number, self._settings).verdict
                gate = {"version": number, "decision": decision, "checks": [], "fault": str(error)}
        return {
            "versions": [
                {
                    "version": version.number, "made": version.created, "aliases": version.aliases,
                    "verdict": version.verdict, "signed": version.signature == "valid",
                    "accuracy": version.metrics.get("accuracy"),
                    "why": version.lineage.get("reason", ""),
                }
                for version in versions
            ],
            "production": gate,
            "history": [
                {
                    "step": change.step, "at": change.at, "who": change.who, "stage": change.stage,
                    "action": change.action, "from": change.from_version,
                    "to": change.to_version, "verdict": change.verdict, "reason": change.reason,
                    "forced": change.forced, "won": change.won, "signed": change.signed,
                    "fault": change.fault,
                }
                for change in reversed(history(self._settings))
            ],
        }  # fmt: skip

    def _drift(self) -> dict[str, Any] | None:
        """The latest judgement, where `moodline drift` left it in the log's folder."""
        path = self._settings.log / "drift.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(f"{path.name}: cannot be read: {error}") from None
        names = ("version", "since", "until", "at", "decision", "reason", "turns", "recordings")
        try:
            told = {name: found.get(name) for name in (*names, "drifted")}
            rates = {of: scores["accuracy"]["rate"] for of, scores in found.get("live", {}).items()}
        except (AttributeError, KeyError, TypeError):
            raise InputError(f"{path.name}: is no judgement of moodline drift") from None
        return {**told, "accuracy": rates}

    def _retrainings(self) -> list[dict[str, Any]]:
        entries = read_entries(self._settings.trigger_url)
        return [_entry(entry) for entry in reversed(entries[-MOST_ENTRIES:])]

    def _feedback(self, registry: Any) -> dict[str, Any]:
        """What people said since the newest version was made; ever, where none is known."""
        made: datetime | None = None
        if registry and registry.get("versions"):
            made = registry["versions"][0]["made"]
        return {"since": made, **asdict(self._statements.count_since(made))}

    def _links(self) -> dict[str, str]:
        serve = self._serve
        pages = {"MLflow": serve.mlflow_page, "Kubeflow": serve.kfp_page}
        return {name: url for name, url in (pages | {"Grafana": serve.grafana_page}).items() if url}


def _part(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except MoodlineError as error:
        return {"fault": masked(str(error))}


def _entry(entry: Entry) -> dict[str, Any]:
    """An entry as it is told: a run's folder is of nobody's use elsewhere, its address is."""
    started = entry.outcome == "started"
    address = entry.run.partition(" ")[2]
    urls = [url if url.startswith(("http://", "https://")) else "" for url in (entry.url, address)]
    return {
        "number": entry.number, "at": entry.time, "kind": entry.kind, "name": entry.name,
        "outcome": entry.outcome, "why": entry.why, "cause": urls[0], "run": urls[1],
        "state": run_state(entry.run) if started else "",
    }  # fmt: skip
