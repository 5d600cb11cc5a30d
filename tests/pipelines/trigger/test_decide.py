"""Known, cooling down, budget spent: by what the ledger says, to the minute."""

import hashlib
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


RAN = (entry(30, "a", "starting"), entry(30, "a", "started"))


@pytest.mark.parametrize(
    ("after", "since", "outcome"),
    [
        ([], 1, "known"),  # nobody said that it was over
        ([entry(9, "a", "resolved")], 8.9, "known"),  # a pod that started anew
        ([entry(9, "a", "resolved")], 7.9, "starting"),
        ([entry(9, "a", "resolved"), entry(8.9, "a", "known")], 1, "known"),
        ([entry(20, "a", "resolved"), entry(19.9, "a", "known"), entry(9, "a", "resolved")], 8.9,
         "known"),
        ([entry(20, "a", "resolved"), entry(19.9, "a", "known"), entry(9, "a", "resolved")], 7,
         "starting"),
        ([entry(9, "a", "resolved"), entry(7, "a", "cooldown")], 7, "starting"),
        ([entry(9, "a", "resolved"), entry(7, "a", "starting"), entry(7, "a", "failed")], 7,
         "starting"),
        ([entry(9, "a", "resolved"), entry(7, "a", "starting"), entry(7, "a", "started")], 7,
         "known"),
        ([entry(9, "b", "resolved")], 7, "known"),
    ],
)  # fmt: skip
def test_an_alert_is_a_new_cause_once_it_had_been_over(
    after: list[Entry], since: float, outcome: str
) -> None:
    began = NOON - timedelta(hours=since)
    assert decide("a", [*RAN, *after], Policy(), NOON, began).outcome == outcome


def test_each_run_of_a_cause_counts_against_the_budget() -> None:
    twice = [
        entry(20, "a", "starting"), entry(20, "a", "started"), entry(15, "a", "resolved"),
        entry(10, "a", "starting"), entry(10, "a", "started"), entry(5, "a", "resolved"),
    ]  # fmt: skip
    began = NOON - timedelta(hours=1)
    assert decide("a", twice, Policy(), NOON, began).outcome == "budget"
    assert decide("b", twice, Policy(), NOON, began).outcome == "budget"


def alert(**labels: str) -> Alert:
    """MoodlineDrift, with a fingerprint that is Alertmanager's: of all labels."""
    every = {"alertname": "MoodlineDrift", "retrain": "true", "version": "3"} | labels
    digest = hashlib.sha256(repr(sorted(every.items())).encode()).hexdigest()
    return Alert(status="firing", labels=every, startsAt=NOON, fingerprint=digest[:16])


def test_a_pod_that_starts_anew_is_no_new_cause() -> None:
    one = alert(pod="trigger-7d9f-abcde", instance="10.0.0.7:3100")
    other = alert(pod="trigger-7d9f-fghij", instance="10.0.0.8:3100")
    assert one.fingerprint != other.fingerprint
    assert alert_cause(one).key == alert_cause(other).key


@pytest.mark.parametrize(
    "labels", [{"version": "4"}, {"alertname": "MoodlineLabelShift"}, {"customer": "a"}]
)
def test_another_version_or_alert_is_another_cause(labels: dict[str, str]) -> None:
    assert alert_cause(alert(**labels)).key != alert_cause(alert()).key


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
