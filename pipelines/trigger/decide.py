"""Whether a cause starts a run, by what came before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.trigger.ledger import Entry

CLAIM = timedelta(minutes=10)
"""How long a start may take; then whoever began it is taken for dead, and the cause is free."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """When a run may start.

    Attributes:
        cooldown: after the last one, whatever the cause.
        daily: runs in any 24 hours.
        dry_run: nothing is started; what would have been is written down, and counts only among
            its like.
    """

    cooldown: timedelta = timedelta(hours=6)
    daily: int = 2
    dry_run: bool = False


def decide(
    cause: str, entries: Sequence[Entry], policy: Policy, now: datetime
) -> tuple[str, str, str]:
    """What becomes of a cause.

    Args:
        cause: its key.
        entries: the ledger so far, in order.

    Returns:
        The outcome ("known", "cooldown", "budget", "rehearsed" or "starting"), why where it is a
        refusal, and, where it is known, the run it started.
    """
    runs = begun(entries, policy, now)
    mine = next((entry for entry in runs if entry.cause == cause), None)
    if mine is not None:
        return "known", f"it came before, on {mine.time:%d %B at %H:%M} UTC", mine.run
    if runs and now < (free := runs[-1].time + policy.cooldown):
        return "cooldown", f"the last run started for {runs[-1].name}; not before {_at(free)}", ""
    today = [entry for entry in runs if now < entry.time + _DAY]
    if len(today) >= policy.daily:
        after = (
            f"not before {_at(today[-policy.daily].time + _DAY)}"
            if policy.daily
            else "none is allowed"
        )
        return "budget", f"{len(today)} runs in 24 hours; {after}", ""
    return ("rehearsed" if policy.dry_run else "starting"), "", ""


def begun(entries: Sequence[Entry], policy: Policy, now: datetime) -> list[Entry]:
    """The runs that were started or are just being started, in order; the last word on each cause.

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


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
