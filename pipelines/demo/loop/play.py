"""The loop itself: what happens, in order, and what is told of it."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from components.base import Refused
from components.config import Profile, Settings
from components.conversation import Recording, Seconds
from pipelines.cli.console import bar, err, out, title
from pipelines.demo.loop.signs import (
    Lines,
    await_sign,
    ended,
    firing,
    look_for_drift,
    routed,
    started,
)
from pipelines.demo.loop.stack import Stack
from pipelines.demo.loop.traffic import Answer, Caller, Calls, measured

ALERT = "MoodlineDrift"
ALERT_SECONDS: Seconds = 60.0
RUN_SECONDS: Seconds = 1800.0
FOLLOW_SECONDS: Seconds = 120.0


def play(stack: Stack, calls: Calls, own: Settings, profile: Profile) -> None:
    """Go through the loop, once all parts run.

    Args:
        stack: the parts.
        calls: the recordings to send.
        own: the loop's settings.
        profile: its seed is that of the intervals.

    Raises:
        InputError: something that should happen does not.
        Refused: no drift was found, or the gate said no.
    """
    caller = Caller(stack.service)
    try:
        title("3  Normal traffic: recordings of the corpus that nothing was trained on")
        began = datetime.now(UTC)
        normal = _send(caller, calls.normal)
        _show_drift(look_for_drift(own, "normal", began))
        title("4  Drifted traffic: other voices, noise, a telephone line (made of the corpus)")
        began = datetime.now(UTC)
        _show_corrections(caller, _send(caller, calls.corrected))
        drifted = _send(caller, calls.held_out)
        found = look_for_drift(own, "drifted", began)
        looked = datetime.fromisoformat(found["at"])
        _show_drift(found)
        if found["decision"] != "drift":
            raise Refused(f"no drift was found, and so nothing happens: {found['reason']}")
        title("5  The alert, and what it starts")
        version = _retrained(stack, own, looked)
        await_sign(
            lambda: caller.version() == version or None,
            f"version {version} in the answers",
            FOLLOW_SECONDS,
            stack.check,
        )
        _say(looked, datetime.now(UTC), f"version {version} was promoted, and answers")
        _show_cause(version, own)
        title("6  Some of both again, by the new version")
        began = datetime.now(UTC)
        both = {"normal": _tested(normal, calls), "drifted": _tested(drifted, calls)}
        rows = {
            name: (before, _send(caller, [answer.recording for answer in before]))
            for name, before in both.items()
        }
        _show_drift(look_for_drift(own, "after", began))
    finally:
        caller.close()
    title("Accuracy on the test part, through the service, before and after")
    _show_accuracy(rows, profile.seed)


def _tested(answers: Sequence[Answer], calls: Calls) -> list[Answer]:
    return [answer for answer in answers if answer.recording.name in calls.tested]


def _retrained(stack: Stack, own: Settings, looked: datetime) -> int:
    """Follow an alert to the version that a retraining made of it.

    Args:
        looked: when drift was found; times are told from then on.

    Returns:
        The version, which was promoted.
    """
    fired = await_sign(
        lambda: firing(stack.prometheus, ALERT), f"alert {ALERT}", ALERT_SECONDS, stack.check
    )
    _say(looked, fired.since, f"Prometheus: {fired.name} fires: {fired.summary}")
    receivers = await_sign(
        lambda: routed(stack.alertmanager, ALERT), "its route", ALERT_SECONDS, stack.check
    )
    _say(looked, datetime.now(UTC), f"Alertmanager routes it to: {', '.join(sorted(receivers))}")
    run = await_sign(lambda: started(own), "a started run", ALERT_SECONDS, stack.check)
    _say(looked, run.at, f"the trigger started a retraining: {run.folder.name}, on {run.note}")
    wait = (run.at - fired.since).total_seconds()
    out.print(f"Alert to started run: {wait:.1f} s", style="bold")
    lines = Lines(run.folder)

    def follow() -> None:
        stack.check()
        for line in lines.new():
            err.print(line, markup=False, soft_wrap=True)

    result = await_sign(lambda: ended(run.folder), "the run's end", RUN_SECONDS, follow)
    why = "; ".join(result["reasons"])
    said = result["decision"] + (f": {why}" if why else "")
    _say(looked, datetime.now(UTC), f"the gate says {said}")
    if not result["promoted"]:
        raise Refused(f"the new version is not promoted: the gate says {said}")
    return int(result["version"])


def _say(since: datetime, at: datetime, text: str) -> None:
    out.print(f"  {(at - since).total_seconds():+6.1f} s {text}", markup=False, soft_wrap=True)


def _send(caller: Caller, recordings: Sequence[Recording]) -> list[Answer]:
    """Send recordings, one after the other."""
    answers, began = [], time.monotonic()
    with bar("POST /v1/analyze") as progress:
        for done, recording in enumerate(recordings):
            progress(done, len(recordings))
            answers.append(caller.analyze(recording))
    turns = sum(len(answer.turns) for answer in answers)
    versions = sorted({answer.version for answer in answers})
    out.print(
        f"{len(answers)} recordings, {turns} turns, answered by version"
        f" {', '.join(map(str, versions))} in {time.monotonic() - began:.0f} s"
    )
    return answers


def _show_corrections(caller: Caller, answers: Sequence[Answer]) -> None:
    told = [caller.correct(answer) for answer in answers]
    right = sum(all_ for all_, _ in told) - sum(wrong for _, wrong in told)
    out.print(
        f"POST /v1/feedback: {sum(all_ for all_, _ in told)} turns; version"
        f" {answers[0].version} had {right} of them right"
    )


def _show_drift(found: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("feature", "reference", "window", "beyond chance", "p", ""):
        table.add_column(column, justify="left" if column in ("feature", "") else "right")
    for feature in found["features"]:
        sides = (feature["reference"].get("mean"), feature["window"].get("mean"))
        numbers = ["" if n is None else f"{n:.3g}" for n in sides]
        if feature["adjusted"] is None:
            table.add_row(feature["name"], *numbers, "", "", feature["why_not"] or "not judged")
            continue
        numbers += [f"{feature['effect']:.3f}", f"{feature['adjusted']:.4f}"]
        table.add_row(feature["name"], *numbers, "drifted" if feature["drifted"] else "as before")
    out.print(table)
    out.print(f"moodline drift: {found['decision']}: {found['reason']}", markup=False)


def _show_cause(version: int, own: Settings) -> None:
    from components.register import show

    lineage = show(version, own).lineage
    out.print(
        f"In MLflow, of version {version}: reason “{lineage['reason']}”; cause {lineage['cause']}",
        markup=False,
        soft_wrap=True,
    )


def _show_accuracy(rows: dict[str, tuple[list[Answer], list[Answer]]], seed: int) -> None:
    from components.evaluate import compare

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("test part", "utterances", "before", "after", "difference (95 %)"):
        table.add_column(column, justify="left" if column == "test part" else "right")
    for name, (before, after) in rows.items():
        first, second = measured(before, seed), measured(after, seed)
        found = compare(second, first, seed)["accuracy"]
        spread = found["interval"]
        shown = f" ({spread['low']:+.1%} to {spread['high']:+.1%})" if spread else ""
        table.add_row(
            name,
            str(len(first.right)),
            *(f"{m.metrics['accuracy']['rate']:.1%}" for m in (first, second)),
            f"{found['difference']:+.1%}{shown}",
        )
    out.print(table)
