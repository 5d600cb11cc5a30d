"""Known, cooling down, budget spent: by what the ledger says, to the minute."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.runners.request import RetrainRequest
from pipelines.trigger import Entry, Policy, decide
from pipelines.trigger.causes import Alert, alert_cause
from pipelines.trigger.start import request_for

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def entry(hours: float, cause: str, outcome: str) -> Entry:
    """A line of so many hours before noon."""
    return Entry(0, NOON - timedelta(hours=hours), cause, "alert", cause, outcome, "")


@pytest.mark.parametrize(
    ("before", "outcome"),
    [
        ([], "starting"),
        ([entry(6.01, "b", "started")], "starting"),
        ([entry(5.99, "b", "started")], "cooldown"),
        ([entry(0.1, "b", "failed")], "starting"),
        ([entry(0.1, "b", "cooldown")], "starting"),
        ([entry(0.1, "b", "rehearsed")], "starting"),
        ([entry(0.1, "b", "starting")], "cooldown"),
        ([entry(0.2, "b", "starting")], "starting"),  # whoever began it did not live to its end
        ([entry(900, "a", "started")], "known"),
        ([entry(900, "a", "started"), entry(800, "a", "resolved")], "known"),
        ([entry(0.1, "a", "starting")], "known"),
        ([entry(0.2, "a", "starting")], "starting"),
        ([entry(1, "a", "cooldown")], "starting"),
        ([entry(23.9, "b", "started"), entry(7, "c", "started")], "budget"),
        ([entry(24.1, "b", "started"), entry(7, "c", "started")], "starting"),
    ],
)
def test_decide(before: list[Entry], outcome: str) -> None:
    assert decide("a", before, Policy(), NOON).outcome == outcome


def test_a_refusal_says_until_when() -> None:
    why = decide("a", [entry(1, "b", "started")], Policy(), NOON).why
    assert why == "the last run started for b; not before 2026-11-24 17:00 UTC"
    spent = [entry(23, "b", "started"), entry(7, "c", "started")]
    why = decide("a", spent, Policy(), NOON).why
    assert why == "2 runs in 24 hours; not before 2026-11-24 13:00 UTC"
    assert decide("a", [], Policy(daily=0), NOON).why == "0 runs in 24 hours; none is allowed"


def test_a_dry_run_counts_its_own() -> None:
    before = [entry(1, "b", "rehearsed")]
    assert decide("a", before, Policy(dry_run=True), NOON).outcome == "cooldown"
    assert decide("a", [], Policy(dry_run=True), NOON).outcome == "rehearsed"


def test_an_alert_s_words_are_cut_and_always_make_a_reason() -> None:
    """Nobody can be asked for fewer; the registry must take what comes of them."""
    summary = "the traffic\n  has\0 drifted \ud800 " + "x" * 20_000
    alert = Alert(
        status="firing",
        labels={"alertname": "n" * 5000, "retrain": "true"},
        annotations={"summary": summary},
        startsAt=NOON,
        fingerprint="ab12",
    )
    cause = alert_cause(alert)
    assert (len(cause.name), cause.name[-1]) == (200, "…")
    assert cause.reason.startswith("the traffic has drifted ? x")
    assert (len(cause.reason), cause.reason[-1]) == (300, "…")
    request = request_for(cause, 7, RetrainRequest(Path("corpus"), actor="trigger"))
    assert request.reason.startswith("trigger 7, alert nnn")
