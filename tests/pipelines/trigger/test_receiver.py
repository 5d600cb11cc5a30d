"""Webhooks and new data over HTTP: what starts a run, what does not, and what is said of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import prometheus_client
import pytest
import soundfile
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from components.base import InputError
from components.conversation import FEEDBACK, Recording, Utterance, write_manifest
from pipelines.runners.outcome_metrics import FINISHED, record_outcome
from pipelines.trigger import (
    Awaited,
    Gauges,
    Ledger,
    Policy,
    Trigger,
    build_app,
    data_cause,
    listening_socket,
)
from tests.pipelines.trigger.conftest import Starts

Entries = Callable[[], list[tuple[str, str]]]
ANYWHERE = pytest.mark.parametrize("ledger_url", ["sqlite", "postgresql"], indirect=True)


def webhook(
    *fingerprints: str,
    status: str = "firing",
    starts: str = "2026-11-24T20:00:00.123Z",
    retrain: str | None = "true",
) -> dict[str, Any]:
    """As Alertmanager 0.25 posts it."""
    labels = {"alertname": "MoodlineDrift", "severity": "ticket"}
    labels |= {} if retrain is None else {"retrain": retrain}
    return {
        "receiver": "trigger",
        "status": status,
        "alerts": [
            {
                "status": status,
                "labels": labels | {"version": fingerprint},
                "annotations": {"summary": "The traffic has drifted", "runbook": "Look."},
                "startsAt": starts,
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
                "fingerprint": fingerprint,
            }
            for fingerprint in fingerprints
        ],
        "groupLabels": {"alertname": "MoodlineDrift"},
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": '{}/{retrain="true"}:{alertname="MoodlineDrift"}',
        "truncatedAlerts": 0,
    }


def outcomes(answer: httpx.Response) -> list[str]:
    return [alert["outcome"] for alert in answer.json()["alerts"]]


def count(name: str, **labels: str) -> float:
    return prometheus_client.REGISTRY.get_sample_value(name, labels) or 0.0


@ANYWHERE
def test_the_same_alert_fifty_times_at_once_starts_one_run(listening, starts, entries) -> None:
    one, other = listening(), listening()  # two receivers that share a ledger

    def post(number: int) -> str:
        answer = (one, other)[number % 2].post("/v1/alerts", json=webhook("ab12"))
        assert answer.status_code == 200
        return outcomes(answer)[0]

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(post, range(50)))
    assert sorted(said) == ["known"] * 49 + ["started"]
    assert len(starts.causes) == 1
    assert entries() == [("MoodlineDrift", "starting"), ("MoodlineDrift", "started")]


def test_known_after_a_restart_and_linked_to_its_run(listening, starts) -> None:
    listening().post("/v1/alerts", json=webhook("ab12"))
    again = listening().post(
        "/v1/alerts", json=webhook("ab12", starts="2026-11-24T21:00:00.123+01:00")
    )
    (alert,) = again.json()["alerts"]
    assert (alert["outcome"], alert["run"]) == ("known", "runs/trigger-1")
    (cause,) = starts.causes
    assert (cause.name, cause.reason) == ("MoodlineDrift", "The traffic has drifted")
    assert cause.url.startswith("http://prometheus:9090")


def test_an_alert_that_fires_anew_is_a_new_cause(listening, starts, entries) -> None:
    client = listening()
    client.post("/v1/alerts", json=webhook("ab12"))
    for _ in range(2):
        done = client.post("/v1/alerts", json=webhook("ab12", status="resolved"))
        assert outcomes(done) == ["resolved"]
    later = datetime.now(UTC) + timedelta(hours=2)
    client.post("/v1/alerts", json=webhook("ab12", starts=later.isoformat()))
    assert len(starts.causes) == 2
    assert [outcome for _, outcome in entries()] == [
        "starting", "started", "resolved", "starting", "started",
    ]  # fmt: skip


def test_a_trigger_that_starts_anew_is_no_new_cause(listening, starts, entries) -> None:
    """For a minute nobody shows the gauges: the alert is over, then fires for a new pod."""
    client = listening()
    for pod in ("trigger-a", "trigger-b", "trigger-c"):
        fires = webhook("ab12", starts=datetime.now(UTC).isoformat())
        fires["alerts"][0]["labels"]["pod"] = pod
        fires["alerts"][0]["fingerprint"] = pod.encode().hex()
        (alert,) = client.post("/v1/alerts", json=fires).json()["alerts"]
        assert (alert["outcome"], alert["run"]) == (
            "started" if pod == "trigger-a" else "known",
            "runs/trigger-1",
        )
        over = fires["alerts"][0] | {"status": "resolved"}
        client.post("/v1/alerts", json=fires | {"alerts": [over]})
    assert len(starts.causes) == 1
    assert [outcome for _, outcome in entries()] == [
        "starting", "started", "resolved", "known", "resolved", "known", "resolved",
    ]  # fmt: skip


@pytest.mark.parametrize("retrain", [None, "false", "True"])
def test_only_marked_alerts_start_something(listening, starts, entries, retrain) -> None:
    answer = listening().post("/v1/alerts", json=webhook("ab12", retrain=retrain))
    assert (answer.status_code, outcomes(answer)) == (200, ["unmarked"])
    assert (starts.causes, entries()) == ([], [])


@ANYWHERE
def test_one_run_for_alerts_that_come_together(listening, starts) -> None:
    before = count("moodline_trigger_causes_total", kind="alert", outcome="cooldown")
    client = listening(cooldown=timedelta(hours=1))
    assert outcomes(client.post("/v1/alerts", json=webhook("a1", "b2"))) == ["started", "cooldown"]
    after = count("moodline_trigger_causes_total", kind="alert", outcome="cooldown")
    assert (len(starts.causes), after - before) == (1, 1)


@pytest.mark.parametrize("brought", ["", "Bearer", "Bearer wrong", "Basic eDp5", "Bearer \xe4"])
def test_forged(listening, starts, entries, brought) -> None:
    before = count("moodline_trigger_refused_total", reason="unauthorized")
    client = listening()
    headers = {"Authorization": brought.encode("latin-1")}
    for path, body in (("/v1/alerts", b"{not json"), ("/v1/data", b"{}")):
        answer = client.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert count("moodline_trigger_refused_total", reason="unauthorized") - before == 2
    assert 'moodline_trigger_refused_total{reason="unauthorized"}' in client.get("/metrics").text
    assert (starts.causes, entries()) == ([], [])


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"version": "3"}, "version"),
        ({"alerts": "none"}, "alerts"),
        ({"alerts": [{"status": "firing"}]}, "labels"),
        ({"alerts": [webhook("../x")["alerts"][0]]}, "fingerprint"),
        ({"alerts": [webhook("a1", starts="yesterday")["alerts"][0]]}, "startsAt"),
    ],
)
def test_malformed(listening, starts, change, place) -> None:
    answer = listening().post("/v1/alerts", json=webhook("a1") | change)
    assert answer.status_code == 422
    assert place in answer.json()["error"]
    assert starts.causes == []


def test_no_json_and_too_much(listening) -> None:
    client = listening()
    assert client.post("/v1/alerts", content=b"{not json").status_code == 422
    chunks = (b"x" * 100_000 for _ in range(11))  # without a length that could be looked at
    assert client.post("/v1/alerts", content=chunks).status_code == 413


def test_a_start_that_fails_is_told_and_comes_again(listening, starts, entries) -> None:
    client = listening(cooldown=timedelta(hours=1), daily=1)
    starts.fault = InputError("https://kfp: does not answer")
    answer = client.post("/v1/alerts", json=webhook("ab12"))
    assert (answer.status_code, outcomes(answer)) == (503, ["failed"])
    assert answer.json()["alerts"][0]["why"] == "https://kfp: does not answer"
    starts.fault = None
    assert outcomes(client.post("/v1/alerts", json=webhook("ab12"))) == ["started"]
    assert [outcome for _, outcome in entries()] == ["starting", "failed", "starting", "started"]


def test_a_dry_run_starts_nothing_and_counts_only_among_its_like(listening, starts) -> None:
    dry = listening(token=None, dry_run=True)
    del dry.headers["Authorization"]
    said = [outcomes(dry.post("/v1/alerts", json=webhook("ab12")))[0] for _ in range(2)]
    assert said == ["rehearsed", "known"]
    assert starts.causes == []
    assert outcomes(listening().post("/v1/alerts", json=webhook("ab12"))) == ["started"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The smallest corpus: a recording with one labelled turn."""
    sound = tmp_path / "call.wav"
    soundfile.write(sound, np.zeros(32_000), 16_000)
    turn = Utterance("call_0", "call", 0.0, 1.0, "call_A", None, "yes", "sad")
    recordings = [Recording("call", sound, FEEDBACK, None, (turn,))]
    write_manifest(tmp_path / "came-back", recordings, take_audio=True)
    return tmp_path / "came-back"


def test_new_data_starts_a_run_once_for_its_content(listening, starts, corpus) -> None:
    client = listening(cooldown=timedelta(hours=1))
    first = client.post("/v1/data", json={"feedback": "came-back", "reason": "reviewed"})
    assert (first.status_code, first.json()["outcome"]) == (202, "started")
    again = client.post("/v1/data", json={"feedback": str(corpus)})
    assert (again.status_code, again.json()["outcome"]) == (200, "known")
    assert (starts.causes[0].feedback, starts.causes[0].reason) == (corpus, "reviewed")
    other = client.post("/v1/data", json={"feedback": "came-back", "id": "v2"})
    assert (other.status_code, other.json()["outcome"]) == (429, "cooldown")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "name a corpus or feedback"),
        ({"corpus": "/etc"}, "/etc: no folder in the one that new data lies in"),
        ({"corpus": "../"}, "no folder in the one"),
        ({"feedback": "not-there"}, "no folder in the one"),
        ({"corpus": "state"}, "state"),  # a folder, and no corpus
        ({"korpus": "x"}, "korpus"),
        ({"corpus": "x", "reason": "a\nb"}, "reason"),
    ],
)
def test_wrong_data_is_one_line(listening, starts, body, says) -> None:
    answer = listening().post("/v1/data", json=body)
    assert answer.status_code == 422
    assert says in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert starts.causes == []


def test_it_shows_the_gauges_of_what_ends_before_it_is_asked(listening, tmp_path: Path) -> None:
    record_outcome(tmp_path / "metrics" / "retrain.prom", "pass", 1000.0)
    families = text_string_to_metric_families(listening().get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    names = [sample.name for sample in samples]
    assert "moodline_trigger_refused_total" in names
    (finished,) = (sample for sample in samples if sample.name == FINISHED)
    assert (finished.labels, finished.value) == ({"decision": "pass"}, 1000.0)


def test_an_address_that_is_taken_is_one_line() -> None:
    with listening_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port}: .*another --host or --port"):
            listening_socket("127.0.0.1", port)


def test_it_is_up_before_it_can_start_runs_and_goes_on_once_it_can(
    starts: Starts, ledger_url: str, tmp_path: Path
) -> None:
    missing: list[Exception] = [InputError("no registry is named")] * 3
    told: list[str] = []

    def make() -> Trigger:
        if missing:
            raise missing.pop()
        return Trigger(Ledger(ledger_url), starts, Policy(timedelta(0), 100))

    awaited = Awaited(make, told.append)
    read = partial(data_cause, root=tmp_path)
    client = TestClient(build_app(awaited, None, read, Gauges(tmp_path).files))
    waits = {"error": "the trigger waits: no registry is named"}
    assert client.get("/healthz").status_code == 200
    for answer in (client.get("/readyz"), client.post("/v1/alerts", json=webhook("a"))):
        assert (answer.status_code, answer.json()) == (503, waits)
    assert client.get("/readyz").status_code == 503
    assert told == [waits["error"]], "a line a probe would drown the log"
    assert client.get("/readyz").status_code == 200
    assert outcomes(client.post("/v1/alerts", json=webhook("a"))) == ["started"]
    assert told[1:] == ["the trigger waits no longer: runs can start"]
    awaited.close()
