"""infra/compose, really started: drifted traffic leads to a promoted version, all by itself."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import yaml

from components.config import load_profile
from pipelines.demo.loop.client import ANSWER_SECONDS, ServiceClient
from pipelines.demo.loop.observe import firing_alert
from pipelines.demo.loop.recordings import prepare_recordings
from tests.containers.compose import HOME, Composed
from tests.serving.helpers import wait_until

pytestmark = pytest.mark.timeout(3000)

RETRAINING_SECONDS = 1200
PROFILE = f"{HOME}/small.yaml"


@dataclass
class Loop:
    """The stack after the loop went round once, and what was seen on the way."""

    stack: Composed
    first: dict[str, Any]
    before_first: tuple[int, int, str]
    alert: str
    corrected: int


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """The stack, just started."""
    composed = Composed(tmp_path_factory.mktemp("compose"), MOODLINE_LOG_AUDIO="true")
    try:
        composed("up", "-d")
        yield composed
    finally:
        composed.down()


def comes(what: str, look: Callable[[], bool], seconds: float, stack: Composed, log: str) -> None:
    """Wait for it; if it does not come, the log of a service tells why."""
    began = time.monotonic()
    assert wait_until(look, seconds), f"{what} did not come:\n{stack.logs(log)[-4000:]}"
    print(f"{time.monotonic() - began:7.1f} s until {what}")


def status(url: str) -> int:
    """The status that an address answers; 0: nobody answers."""
    try:
        return httpx.get(url, timeout=30).status_code
    except httpx.TransportError:
        return 0


@pytest.fixture(scope="module")
def loop(stack: Composed, small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """The whole loop, with the commands of infra/README.md."""
    service = stack.urls["service"]
    comes("the service", lambda: status(f"{service}/livez") == 200, 180, stack, "moodline")
    ready = httpx.get(f"{service}/readyz", timeout=30)
    before = (200, ready.status_code, ready.text)
    # A first version, of a corpus in the volume. On one test conversation a gate tells little.
    place = tmp_path_factory.mktemp("profile") / "small.yaml"
    profile = load_profile("tiny").model_dump(mode="json")
    profile |= {"name": "small", "gate": {"min_accuracy": 0.3}}
    place.write_text(yaml.safe_dump(profile), encoding="utf-8")
    stack.put(place, "small.yaml")
    stack.put(small_corpus, "corpus")
    first = stack.moodline(f"retrain --profile {PROFILE} --corpus {HOME}/corpus --promote")
    comes("the first version", lambda: status(f"{service}/readyz") == 200, 180, stack, "moodline")
    # What the trigger trains with is the operator's to say; it is another container from now on.
    stack.set(TRIGGER_OPTIONS=f"--promote --profile {PROFILE}")
    stack("up", "-d")
    comes("all again", lambda: status(f"{service}/readyz") == 200, 180, stack, "moodline")
    traffic = prepare_recordings(
        small_corpus, load_profile("tiny"), tmp_path_factory.mktemp("traffic")
    )
    with ServiceClient(base_url=service, timeout=ANSWER_SECONDS) as client:
        assert client.version() == 1
        corrected = [client.correct(client.analyze(one)) for one in traffic.corrected]
        for one in traffic.held_out:
            client.analyze(one)
        # An hour is over.
        stack("restart", "-t", "2", "drift")

        def alert() -> str:
            firing = firing_alert(stack.urls["prometheus"], "MoodlineDrift")
            return firing.summary if firing else ""

        comes("the alert", lambda: bool(alert()), 180, stack, "drift")
        summary = alert()
        outcomes: list[str] = []

        def started() -> bool:
            outcomes[:] = [e["outcome"] for e in stack.moodline("trigger history")]
            assert not {"failed", "refused"} & set(outcomes), stack.logs("trigger")[-4000:]
            return "started" in outcomes

        comes("a started run", started, 120, stack, "alertmanager")
        # It runs in the trigger's container, and ends with it; then it goes on.
        stack("restart", "-t", "2", "trigger")

        def follows() -> bool:
            return client.version() == 2 or ended_badly(stack)

        comes("the second version", follows, RETRAINING_SECONDS, stack, "trigger")
        assert client.version() == 2
    return Loop(stack, first, before, summary, sum(labelled for labelled, _ in corrected))


def ended_badly(stack: Composed) -> bool:
    """Fails if the run that the trigger started ended without a promoted version; else False."""
    run = f"{HOME}/runs/trigger-000001"
    script = f"test -e {run}/pid || cat {run}/result.json {run}/retrain.log"
    said = stack("exec", "-T", "trigger", "sh", "-c", script)
    time.sleep(2)
    assert not said or '"promoted": true' in said, said[-4000:]
    return False


def test_it_comes_up_and_waits_for_a_first_version(loop: Loop) -> None:
    alive, ready, text = loop.before_first
    assert (alive, ready) == (200, 503)
    assert "no version is in production yet" in text


def test_the_first_version_is_trained_in_the_triggers_container(loop: Loop) -> None:
    assert (loop.first["version"], loop.first["promoted"]) == (1, True)


def test_the_second_is_the_alerts(loop: Loop) -> None:
    assert loop.alert == "The traffic has drifted from what version 1 was made on"
    entries = loop.stack.moodline("trigger history")
    assert [entry["outcome"] for entry in entries] == ["starting", "started"]
    versions = {v["number"]: v for v in loop.stack.moodline("registry list")}
    assert "production" in versions[2]["aliases"]
    assert versions[2]["lineage"]["reason"].startswith("trigger 1, alert MoodlineDrift: ")
    assert versions[2]["lineage"]["cause"] == f"{entries[1]['cause']} {entries[1]['url']}"
    assert entries[1]["url"].startswith(f"{loop.stack.urls['prometheus']}/graph?")
    assert versions[2]["signature"] == "valid"
    told = loop.stack("exec", "-T", "trigger", "cat", f"{entries[1]['run']}/cause.json")
    assert json.loads(told)["note"] == f"{loop.corrected} labelled turns of 6 recordings"


def test_mlflow_keeps_it_in_postgresql(loop: Loop) -> None:
    query = "select max(version) from model_versions where name = 'moodline'"
    asked = ("psql", "-U", "mlflow", "-h", "/var/run/postgresql", "-At", "-c", query)
    assert loop.stack("exec", "-T", "postgres", *asked).strip() == "2"
    assert status(f"{loop.stack.urls['mlflow']}/api/2.0/mlflow/experiments/search") == 401


def test_prometheus_reaches_everybody(loop: Loop) -> None:
    api = f"{loop.stack.urls['prometheus']}/api/v1"
    targets = httpx.get(f"{api}/targets", timeout=30).json()["data"]["activeTargets"]
    assert {t["labels"]["job"]: t["health"] for t in targets} == {
        "moodline": "up", "triton": "up", "trigger": "up",
    }  # fmt: skip
    rules = httpx.get(f"{api}/rules", timeout=30).json()["data"]["groups"]
    assert [r for group in rules for r in group["rules"] if r["health"] != "ok"] == []
    managers = httpx.get(f"{api}/alertmanagers", timeout=30).json()["data"]
    assert [m["url"] for m in managers["activeAlertmanagers"]] == [
        "http://alertmanager:9093/api/v2/alerts"
    ]


def test_no_container_had_to_be_started_again_and_none_may_do_more_than_it_should(
    loop: Loop,
) -> None:
    client = docker.from_env()
    mine = {"label": f"com.docker.compose.project={loop.stack.project}"}
    containers = {
        c.labels["com.docker.compose.service"]: c for c in client.containers.list(filters=mine)
    }
    assert len(containers) == 8
    for name, container in containers.items():
        container.reload()
        assert container.attrs["RestartCount"] == 0, f"{name}: {container.logs()[-2000:]!r}"
        state = container.attrs["State"]
        assert state["Status"] == "running", name
        assert state.get("Health", {"Status": "healthy"})["Status"] == "healthy", name
        host = container.attrs["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"]), name
        assert not container.attrs["Config"]["User"].startswith("0"), name


def test_taken_down_and_up_again_it_goes_on_with_the_same_version(loop: Loop) -> None:
    loop.stack("down", "-t", "20")
    loop.stack("up", "-d")
    service = loop.stack.urls["service"]
    comes("readiness", lambda: status(f"{service}/readyz") == 200, 240, loop.stack, "moodline")
    assert httpx.get(f"{service}/v1/model", timeout=30).json()["version"] == "2"
    assert len(loop.stack.moodline("trigger history")) == 2
