"""From a cause to a run: decided, written down, started, written down again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipelines.trigger import metrics
from pipelines.trigger.causes import Cause, Kind
from pipelines.trigger.decide import Policy, decide
from pipelines.trigger.ledger import Entry, Ledger
from pipelines.trigger.start import Run, Start

logger = logging.getLogger(__name__)

_REFUSALS = ("cooldown", "budget")


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a cause.

    Attributes:
        outcome: started, known, cooldown, budget, failed, rehearsed, resolved, unmarked.
        why: one line, where there is something to say.
        run: what was started for it, now or before.
    """

    outcome: str
    why: str = ""
    run: str = ""


class Trigger:
    """Starts a run once for each cause; threads, and several of these, may share a ledger.

    Args:
        ledger: what came before.
        start: starts a run and comes back at once.
        policy: when one may start.
    """

    def __init__(self, ledger: Ledger, start: Start, policy: Policy) -> None:
        self._ledger = ledger
        self._start = start
        self._policy = policy

    def fire(self, cause: Cause) -> Told:
        """Start a run for a cause, unless one was, or none may be now."""
        outcome, why, run = "", "", ""

        def make(entries: Sequence[Entry]) -> Entry | None:
            nonlocal outcome, why, run
            now = datetime.now(UTC)
            outcome, why, run = decide(cause.key, entries, self._policy, now)
            said = next((e.outcome for e in reversed(entries) if e.cause == cause.key), "")
            if outcome == "known" or (outcome in _REFUSALS and outcome == said):
                return None
            return _entry(cause, outcome, why or cause.reason)

        entry = self._ledger.append(make)
        if outcome != "starting" or entry is None:
            return _counted(cause.kind, Told(outcome, why, run))
        try:
            made: Run = self._start(cause, entry.number)
        # Whatever it is, it must not leave the cause taken; the one who sent it is told.
        except Exception as error:
            logger.exception("no run could be started for %s", cause.name)
            failed = _entry(cause, "failed", " ".join(str(error).split()) or type(error).__name__)
            self._ledger.append(lambda _: failed)
            return _counted(cause.kind, Told("failed", failed.why))
        self._ledger.append(lambda _: _entry(cause, "started", cause.reason, made.where))
        metrics.STARTED.labels(cause.kind).set_to_current_time()
        return _counted(cause.kind, Told("started", cause.reason, made.where))

    def resolve(self, cause: Cause) -> Told:
        """Note, once, that what started or asked for a run is over."""

        def make(entries: Sequence[Entry]) -> Entry | None:
            mine = [entry.outcome for entry in entries if entry.cause == cause.key]
            return _entry(cause, "resolved", "") if mine and mine[-1] != "resolved" else None

        self._ledger.append(make)
        return _counted(cause.kind, Told("resolved"))

    def pass_over(self, kind: Kind) -> Told:
        """Count what a retraining cannot help."""
        return _counted(kind, Told("unmarked", 'only alerts with retrain="true" start one'))


def _entry(cause: Cause, outcome: str, why: str, run: str = "") -> Entry:
    return Entry(
        0, datetime.now(UTC), cause.key, cause.kind, cause.name, outcome, why, cause.url, run
    )


def _counted(kind: str, told: Told) -> Told:
    metrics.CAUSES.labels(kind, told.outcome).inc()
    return told
