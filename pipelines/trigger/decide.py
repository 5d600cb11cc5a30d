"""Whether a cause starts a run, by what came before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.trigger.ledger import Entry

CLAIM = timedelta(minutes=10)
"""How long a start may take; after that it counts as failed, and the cause may start again."""

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
        outcome: starting, then started or failed; known, cooldown, budget, rehearsed, resolved,
            unmarked.
        why: one line, where there is something to say.
        run: what was started for it, now or before.
    """

    outcome: str
    why: str = ""
    run: str = ""


def decide(cause: str, entries: Sequence[Entry], policy: Policy, now: datetime) -> Decision:
    """Decide on a cause, named by its key: known, cooldown, budget, rehearsed or starting.

    `entries` are those of the ledger so far, in order.
    """
    runs = started_runs(entries, policy, now)
    before = next((entry for entry in runs if entry.cause == cause), None)
    if before is not None:
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
    """The last entry of each cause whose run was started or is just being started, in order.

    A start that failed, or was cut short by the receiver's end, is none: its cause may come again.
    """
    last: dict[str, Entry] = {}
    for entry in entries:
        if entry.outcome in ("starting", "started", "failed", "rehearsed"):
            last.pop(entry.cause, None)
            last[entry.cause] = entry
    counted = {"started", "rehearsed"} if policy.dry_run else {"started"}
    return [
        entry
        for entry in last.values()
        if entry.outcome in counted or (entry.outcome == "starting" and now < entry.time + CLAIM)
    ]


def _not_before(time: datetime) -> str:
    return f"not before {time:%Y-%m-%d %H:%M} UTC"
