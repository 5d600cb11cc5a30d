"""Whether a cause starts a run, by what came before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from components.retrainings import Entry

CLAIM = timedelta(minutes=10)
"""How long a start may take; after that it counts as failed, and the cause may start again."""

PAUSE = timedelta(hours=1)
"""How long an alert must have been over before it is a new cause: while a pod starts anew, its
gauges are missing, and the alert is over for a minute."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """When a run may start.

    Attributes:
        cooldown: after the last one, whatever the cause.
        daily: runs in any 24 hours.
        dry_run: nothing is started. Runs that would have started are recorded, and count only
            against other dry runs.
    """

    cooldown: timedelta = timedelta(hours=6)
    daily: int = 2
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a cause.

    Attributes:
        outcome: starting, then started or failed; known, cooldown, budget, unchanged, rehearsed,
            resolved, unmarked.
        why: one line, where there is something to say.
        run: what was started for it, now or before.
    """

    outcome: str
    why: str = ""
    run: str = ""


def decide(
    cause: str,
    entries: Sequence[Entry],
    policy: Policy,
    now: datetime,
    since: datetime | None = None,
) -> Decision:
    """Decide on a cause, named by its key: known, cooldown, budget, rehearsed or starting.

    Args:
        entries: of the ledger so far, in order.
        since: when the alert began to fire; None for what comes once. An alert that had been over
            for `PAUSE` before is a new cause.
    """
    runs = started_runs(entries, policy, now)
    before = next((entry for entry in reversed(runs) if entry.cause == cause), None)
    if before is not None and not _was_over(before, entries, since):
        why = f"it came before, on {before.time:%d %B at %H:%M} UTC"
        return Decision("known", why, before.run)
    if runs and now < (free := runs[-1].time + policy.cooldown):
        why = f"the last run started for {runs[-1].name}; {_not_before(free)}"
        return Decision("cooldown", why)
    today = [entry for entry in runs if now < entry.time + _DAY]
    if len(today) >= policy.daily:
        after = "none is allowed"
        if policy.daily:
            after = _not_before(today[-policy.daily].time + _DAY)
        return Decision("budget", f"{len(today)} runs in 24 hours; {after}")
    return Decision("rehearsed" if policy.dry_run else "starting")


def started_runs(entries: Sequence[Entry], policy: Policy, now: datetime) -> list[Entry]:
    """An entry for each run that was started or is just being started, in order.

    A start that failed, or was cut short by the receiver's end, is none: its cause may come again.
    """
    runs: list[Entry] = []
    for entry in entries:
        if entry.outcome in ("starting", "started", "failed"):  # it takes the place of its start
            runs = [run for run in runs if (run.cause, run.outcome) != (entry.cause, "starting")]
        if entry.outcome in ("starting", "started", "rehearsed"):
            runs.append(entry)
    counted = {"started", "rehearsed"} if policy.dry_run else {"started"}
    return [
        run
        for run in runs
        if run.outcome in counted or (run.outcome == "starting" and now < run.time + CLAIM)
    ]


def _was_over(run: Entry, entries: Sequence[Entry], since: datetime | None) -> bool:
    """Whether the alert that a run was started for had been over, and for how long."""
    fired = [
        entry
        for entry in entries
        if entry.cause == run.cause
        and (entry is run or (entry.time >= run.time and entry.outcome in ("known", "resolved")))
    ]
    last = fired[-1]
    return last.outcome == "resolved" and since is not None and since > last.time + PAUSE


def _not_before(time: datetime) -> str:
    return f"not before {time:%Y-%m-%d %H:%M} UTC"
