"""What an operator sees, and who may change what is served; by a real registry."""

import fcntl
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from components.base import InputError
from components.config import Settings
from components.register import alias_version, history
from components.retrainings import PID, RESULT, Entry, Ledger
from components.traffic import Correction, DoubtfulTurns, FeedbackStore, Statements
from serving.api.app import create_app
from serving.api.live_metrics import live_metrics
from serving.api.overview import Overview
from serving.keys import Keys, add_key
from serving.lineup import Halt, Lineup, Served, halt_path, write_halt, write_pointer
from serving.metrics import CANARY, CONFIDENCE, REQUESTS
from serving.processes import free_ports
from serving.settings import ServeSettings
from tests.serving.page import made
from tests.serving.registry import make_registry

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Version 1 is in production; 2 passed, 3 failed, 4 was inconclusive."""
    home = tmp_path_factory.mktemp("operations")
    return make_registry(home, "pass", "pass", "fail", "inconclusive")


def client_of(settings: Settings, keys: Path | None = None, **serve: Any) -> TestClient:
    app = create_app(1_000_000, 1)
    state = app.state
    pointer = settings.home / "serving" / "served.json"
    state.settings, state.hosts = settings, frozenset({"testserver"})
    state.keys = Keys(keys) if keys else None
    state.statements = Statements(settings.feedback_url)
    about = (settings, ServeSettings(pointer=pointer, **serve), state.statements)
    state.overview = Overview(*about)
    return TestClient(app)


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str], dict[str, str]]]:
    """The file, and the headers of an operator and of somebody else."""
    file = tmp_path / "keys.txt"
    kim, web = add_key(file, "kim", operator=True), add_key(file, "web", reviewer=True)
    yield file, *({"Authorization": f"Bearer {key}"} for key in (kim, web))


def test_without_keys_everybody_looks_and_nobody_changes(settings: Settings) -> None:
    client = client_of(settings)
    seen = client.get("/v1/operations").json()
    assert not seen["may_change"]
    assert "without API keys" in seen["why_not"]
    verdicts = [one["verdict"] for one in seen["registry"]["versions"]]
    assert verdicts == ["inconclusive", "fail", "pass", "pass"]
    assert seen["registry"]["production"]["decision"] == "pass"
    assert [check["name"] for check in seen["registry"]["production"]["checks"]] == [
        "min_accuracy", "min_macro_f1"
    ]  # fmt: skip
    first = seen["registry"]["history"][-1]
    assert (first["who"], first["to"], first["reason"]) == ("ann", 1, "the first one")
    assert seen["drift"] is None and seen["retrainings"] == [] and seen["links"] == {}
    assert "no version" in seen["served"]["fault"], "nothing is served here yet"
    for act, body in (("promote", {"version": 2, "reason": "x"}), ("rollback", {"reason": "x"})):
        refused = client.post(f"/v1/operations/{act}", json=body)
        assert refused.status_code == 403
        assert refused.json()["detail"].startswith("without API keys")
    assert len(history(settings)) == 1


def test_without_keys_nobody_lists_what_others_were_answered(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    made.keep(tmp_path, made.answer(4, 20.0))
    with closing(DoubtfulTurns(settings.feedback_url, settings.log_location)) as turns:
        assert len(turns.least_sure("", "")) == 4
        client = client_of(settings)
        client.app.state.doubtful = turns  # type: ignore[attr-defined]
        client.app.state.runtime = SimpleNamespace(log=None)  # type: ignore[attr-defined]
        refused = client.get("/v1/operations/review")
    assert refused.status_code == 403 and "without API keys" in refused.json()["detail"]


def test_a_key_needs_the_role_and_a_version_its_gate(settings: Settings, keys: Any) -> None:
    file, kim, web = keys
    client = client_of(settings, file)
    assert client.get("/v1/operations").status_code == 401
    seen = client.get("/v1/operations", headers=web).json()
    assert not seen["may_change"] and "role operator" in seen["why_not"]
    assert client.get("/v1/operations", headers=kim).json()["may_change"]

    def promote(version: int, who: dict[str, str], **more: Any) -> Any:
        body = {"version": version, "reason": "it is better", **more}
        return client.post("/v1/operations/promote", json=body, headers=who)

    assert promote(2, web).status_code == 403
    failed = promote(3, kim)
    assert failed.status_code == 409
    assert "its verdict is fail; macro F1 is 0.43" in failed.json()["detail"]
    assert alias_version("production", settings) == 1
    done = promote(2, kim)
    assert (done.status_code, done.json()["said"]) == (200, "version 2 is in production")
    assert alias_version("production", settings) == 2
    newest = client.get("/v1/operations", headers=web).json()["registry"]["history"][0]
    told = (newest["who"], newest["from"], newest["to"], newest["reason"], newest["signed"])
    assert told == ("kim", 1, 2, "it is better", True)
    assert promote(4, kim, to="staging").json()["said"] == "version 4 is in staging"
    body = {"stage": "staging", "reason": "enough seen"}
    back = client.post("/v1/operations/rollback", json=body, headers=kim)
    assert back.json()["said"] == "version 4 is not in staging any more"
    body = {"version": 2, "reason": "complaints"}
    assert client.post("/v1/operations/rollback", json=body, headers=web).status_code == 403
    back = client.post("/v1/operations/rollback", json=body, headers=kim)
    assert back.json()["said"] == "version 1 is in production again"
    twice = client.post("/v1/operations/rollback", json=body, headers=kim)
    assert twice.status_code == 409 and "there is version 1" in twice.json()["detail"]
    body = {"reason": "complaints"}
    nothing = client.post("/v1/operations/rollback", json=body, headers=kim)
    assert nothing.status_code == 409 and "nothing to roll back to" in nothing.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"version": 2}, 422, "“reason” is wrong"),
        ({"version": 2, "reason": "  "}, 422, "say why"),
        ({"version": 2, "reason": "x\0y"}, 422, "control characters"),
        ({"version": 2, "reason": "x" * 4001}, 422, "4000"),
        ({"version": 2, "reason": "x" * 30_000}, 413, "20 kilobytes"),
        ({"version": 0, "reason": "x"}, 422, "“version” is wrong"),
        ({"version": "candidate", "reason": "x"}, 422, "“version” is wrong"),
        ({"version": 2, "reason": "x", "force": True}, 422, "“force” is wrong"),
        ({"version": 2, "reason": "x", "to": "candidate"}, 422, "“to” is wrong"),
        ({"version": 99, "reason": "x"}, 422, "no such version"),
    ],
)
def test_a_wrong_change_is_one_line(
    body: dict[str, Any], status: int, words: str, settings: Settings, keys: Any
) -> None:
    file, kim, _ = keys
    before = len(history(settings))
    answer = client_of(settings, file).post("/v1/operations/promote", json=body, headers=kim)
    assert answer.status_code == status
    assert words in answer.json()["detail"] and "\n" not in answer.json()["detail"]
    assert len(history(settings)) == before


def test_no_page_of_another_site_changes_anything(settings: Settings, keys: Any) -> None:
    file, kim, _ = keys
    headers = kim | {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    body = {"version": 2, "reason": "x"}
    answer = client_of(settings, file).post("/v1/operations/promote", json=body, headers=headers)
    assert answer.status_code == 403 and "other sites" in answer.json()["detail"]
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    page = client_of(settings).get("/operations", headers=followed)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_part_that_is_away_says_so_and_the_others_are_there(
    models: dict[int, Path], tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    settings = Settings(home=tmp_path, mlflow_uri=f"http://ann:secret@127.0.0.1:{port}")
    pointer = tmp_path / "serving" / "served.json"
    pointer.parent.mkdir()
    roles = {"production": Served(3, models[3]), "staging": Served(4, models[4], verdict="pass")}
    write_pointer(pointer, Lineup(roles, {5: "its golden clips are answered wrongly"}))  # type: ignore[arg-type]
    write_halt(halt_path(pointer), Halt(4, "9 of 50 requests failed"))
    (tmp_path / "log").mkdir()
    judged = {"version": 3, "decision": "drift", "reason": "loudness", "at": "2026-11-30T01:02:03"}
    judged |= {"turns": 40, "recordings": 9, "drifted": ["loudness_db"], "live": {}}
    (tmp_path / "log" / "drift.json").write_text(json.dumps(judged))
    page = "https://grafana.example/d/moodline"
    seen = client_of(settings, grafana_page=page).get("/v1/operations").json()
    assert "does not answer" in seen["registry"]["fault"] and "secret" not in json.dumps(seen)
    assert seen["served"]["roles"]["staging"] == {"version": 4, "verdict": "pass"}
    assert seen["served"]["refused"][0]["version"] == 5
    assert seen["served"]["halted"] == {"version": 4, "reason": "9 of 50 requests failed"}
    assert seen["drift"]["decision"] == "drift" and seen["drift"]["drifted"] == ["loudness_db"]
    assert seen["links"] == {"Grafana": page}
    (tmp_path / "log" / "drift.json").write_text("{")
    seen = client_of(settings).get("/v1/operations").json()
    assert seen["drift"]["fault"].startswith("drift.json: cannot be read")
    for odd in ("[]", '{"decision": "none", "live": {"3": {}}}', '{"live": []}'):
        (tmp_path / "log" / "drift.json").write_text(odd)
        seen = client_of(settings).get("/v1/operations").json()
        assert seen["drift"] == {"fault": "drift.json: is no judgement of moodline drift"}
    (tmp_path / "log" / "drift.json").write_text(
        json.dumps(judged | {"live": {"3": {"accuracy": {"rate": float("nan")}}}})
    )
    assert client_of(settings).get("/v1/operations").json()["drift"]["accuracy"] == {"3": None}


def test_retrainings_with_how_far_they_are_and_why_not(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert client_of(settings).get("/v1/operations").json()["retrainings"] == []
    assert not (tmp_path / "trigger.db").exists(), "who looks makes no database"
    folders = [tmp_path / name for name in ("going", "done", "broken")]
    for folder in folders:
        folder.mkdir()
    (folders[1] / RESULT).write_text("{}")
    (folders[2] / RESULT).touch()
    told = [("started", "drift", str(folder)) for folder in folders]
    told += [("started", "drift", "run-7 http://kfp.example/runs/7"), ("cooldown", "not now", "")]
    with closing(Ledger(settings.trigger_url)) as ledger:
        for outcome, why, run in told:
            about = ("key", "alert", "MoodlineDrift", outcome, why, "http://prometheus/1", run)
            ledger.append(lambda _, about=about: Entry(0, datetime.now(UTC), *about))  # type: ignore[misc]
    with (folders[0] / PID).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        seen = client_of(settings).get("/v1/operations").json()["retrainings"]
    assert [entry["state"] for entry in seen] == ["", "elsewhere", "broken off", "ended", "running"]
    assert (seen[0]["outcome"], seen[0]["why"]) == ("cooldown", "not now")
    assert (seen[1]["run"], seen[1]["cause"]) == (
        "http://kfp.example/runs/7",
        "http://prometheus/1",
    )
    assert str(tmp_path) not in json.dumps(seen)


def test_feedback_is_counted_since_a_time_whoever_gave_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    request = made.keep(tmp_path, made.answer(4, 20.0))
    predicted = [entry["emotion"] for entry in made.answer(4, 20.0)["turns"]]
    other = next(label for label in ("sad", "angry") if label != predicted[0])
    said = ((0, other, "kim"), (0, other, "lee"), (1, predicted[1], "lee"))
    with closing(FeedbackStore(settings.feedback_url)) as store:
        for turn, emotion, author in said:
            correction = Correction(
                request_id=request, turn=turn, emotion=emotion, source="agent", author=author,
                voter=author,
            )  # fmt: skip
            store.record(correction)
    client = client_of(settings)
    seen = client.get("/v1/operations").json()["feedback"]
    assert seen == {"since": None, "corrected": 1, "confirmed": 1, "speakers": 0}
    with closing(Statements(settings.feedback_url)) as statements:
        assert statements.count_since(datetime.now(UTC) - timedelta(hours=1)).corrected == 1
        assert statements.count_since(datetime.now(UTC)).corrected == 0


def test_the_numbers_are_those_that_prometheus_gets() -> None:
    before = live_metrics()
    REQUESTS.labels("/v1/analyze", 200).inc(3)
    REQUESTS.labels("/v1/analyze", 503).inc()
    REQUESTS.labels("/v1/operations/live", 200).inc()
    REQUESTS.labels("/", 200).inc()
    CONFIDENCE.labels("3").observe(0.5)
    CANARY.labels("failed", "4").inc(2)
    after = live_metrics()
    assert after["requests"] - before["requests"] == 4
    assert after["failed"] - before["failed"] == 1
    assert after["canary"]["failed"] - before["canary"].get("failed", 0) == 2
    assert 0 < after["mean_confidence"] <= 1


def test_the_numbers_come_while_the_registry_hangs(settings: Settings) -> None:
    client, answers = client_of(settings), threading.Event()
    read = client.app.state.overview.read  # type: ignore[attr-defined]
    hanging = SimpleNamespace(read=lambda: answers.wait(30) and read())
    client.app.state.overview = hanging  # type: ignore[attr-defined]
    with ThreadPoolExecutor(1) as other:
        asked = other.submit(client.get, "/v1/operations")
        assert client.get("/v1/operations/live").status_code == 200
        assert not asked.done()
        answers.set()
        assert asked.result().status_code == 200


def test_a_link_holds_no_account() -> None:
    with pytest.raises(InputError, match="holds an account"):
        ServeSettings(mlflow_page="https://ann:secret@mlflow.example")
    with pytest.raises(InputError, match="is no address"):
        ServeSettings(kfp_page="javascript:alert(1)")
