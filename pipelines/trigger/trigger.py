"""From a cause to a run: decided, written down, started, written down again."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from components.retrainings import Entry, Ledger
from pipelines.trigger import metrics
from pipelines.trigger.causes import Cause, Kind
from pipelines.trigger.decide import Decision, Policy, decide
from pipelines.trigger.start import CannotTell, Start

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trigger:
    """Starts a run once for each cause; threads, and several of these, may share a ledger."""

    ledger: Ledger
    start: Start
    policy: Policy
    nothing_new: Callable[[Cause], str] = lambda cause: ""
    """Why a run would find nothing that the last one had not; "": it would, or nobody can tell.

    Where it raises `CannotTell`, a run starts, and the ledger and the log say so.
    """

    def fire(self, cause: Cause) -> Decision:
        """Start a run for a cause, unless one was, none may be now, or nothing is new."""
        now = datetime.now(UTC)
        reason = cause.reason
        may = decide(cause.key, self.ledger.entries(), self.policy, now, cause.since)
        if may.outcome == "starting":
            try:
                why = self.nothing_new(cause)
            except CannotTell as unknown:
                logger.warning("%s: a run starts; %s", cause.name, unknown)
                reason, why = f"{reason}; {unknown}", ""
            except Exception as error:
                return self._failed(cause, error)
            if why:
                return self._end(cause, Decision("unchanged", why), once=True)
        decision = Decision("")

        def make(entries: Sequence[Entry]) -> Entry | None:
            nonlocal decision
            decision = decide(cause.key, entries, self.policy, datetime.now(UTC), cause.since)
            outcome = decision.outcome
            before = next((e.outcome for e in reversed(entries) if e.cause == cause.key), "")
            if outcome == "known" and before != "resolved":
                return None
            if outcome in ("cooldown", "budget") and outcome == before:
                return None
            return _entry(cause, outcome, decision.why or reason)

        entry = self.ledger.append(make)
        if decision.outcome != "starting" or entry is None:
            return _counted(cause.kind, decision)
        try:
            run = self.start(cause, entry.number)
        # Whatever it is, it must not leave the cause taken; whoever sent it gets the reason.
        except Exception as error:
            return self._failed(cause, error)
        metrics.STARTED.labels(cause.kind).set_to_current_time()
        return self._end(cause, Decision("started", reason, run))

    def _failed(self, cause: Cause, error: Exception) -> Decision:
        logger.error("no run could be started for %s", cause.name, exc_info=error)
        why = " ".join(str(error).split()) or type(error).__name__
        return self._end(cause, Decision("failed", why))

    def _end(self, cause: Cause, decision: Decision, *, once: bool = False) -> Decision:
        """Write down how it ended; once: not again while that is the last word on the cause."""

        def make(entries: Sequence[Entry]) -> Entry | None:
            before = next((e.outcome for e in reversed(entries) if e.cause == cause.key), "")
            if once and before == decision.outcome:
                return None
            return _entry(cause, decision.outcome, decision.why, decision.run)

        self.ledger.append(make)
        return _counted(cause.kind, decision)

    def resolve(self, cause: Cause) -> Decision:
        """Note, once, that what started or asked for a run is over."""

        def make(entries: Sequence[Entry]) -> Entry | None:
            outcomes = [entry.outcome for entry in entries if entry.cause == cause.key]
            if not outcomes or outcomes[-1] == "resolved":
                return None
            return _entry(cause, "resolved", "")

        self.ledger.append(make)
        return _counted(cause.kind, Decision("resolved"))

    def pass_over(self, kind: Kind) -> Decision:
        """Count an alert that no retraining can help."""
        return _counted(kind, Decision("unmarked", 'only alerts with retrain="true" start one'))


def _entry(cause: Cause, outcome: str, why: str, run: str = "") -> Entry:
    """An entry of now; the ledger gives it its number."""
    return Entry(
        number=0, time=datetime.now(UTC), cause=cause.key, kind=cause.kind, name=cause.name,
        outcome=outcome, why=why, url=cause.url, run=run,
    )  # fmt: skip


def _counted(kind: str, decision: Decision) -> Decision:
    metrics.CAUSES.labels(kind, decision.outcome).inc()
    return decision
