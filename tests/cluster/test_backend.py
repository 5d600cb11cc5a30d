"""The bench itself: it shows what a cluster shows, and one machine hides."""

import json
from typing import Any

import pytest

from tests.cluster.backend import Run
from tests.cluster.conftest import Cluster

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


def run(cluster: Cluster, toy: str, **arguments: Any) -> Run:
    return cluster.run(f"tests.cluster.toys:{toy}", cluster.profile(), **arguments)


def output(done: Run, task: str) -> Any:
    (execution,) = (e for e in done.executions if e.task == task)
    return execution.parameters["Output"]


def test_an_empty_folder_does_not_arrive(cluster: Cluster) -> None:
    assert output(run(cluster, "folders", files=2), "look") == "0.txt 1.txt"
    assert output(run(cluster, "folders", files=0), "look") == "nothing"


def test_a_cached_artifact_may_be_gone(cluster: Cluster) -> None:
    first = run(cluster, "folders", files=3)
    (made,) = (e.artifacts["folder"][0]["uri"] for e in first.executions if e.task == "make")
    again = run(cluster, "folders", files=3)
    assert set(again.states().values()) == {"CACHED"}
    assert cluster.store.delete(made.removeprefix(f"minio://{cluster.store.bucket}/")) == 3
    # The backend does not look; only who reads it finds out.
    assert run(cluster, "folders", files=3).states()["make"] == "CACHED"


def test_a_step_is_nobody_in_an_empty_place(cluster: Cluster) -> None:
    told = json.loads(output(run(cluster, "surroundings"), "describe"))
    assert told["uid"] == 10001
    assert told["name"] == "KeyError"
    assert (told["root"], told["app"]) == ("OSError", "OSError")
    assert (told["scratch"], told["place"], told["service"]) == ("done", "done", "done")
    assert told["network"] == "URLError"
    assert "MOODLINE_MLFLOW_URI" in told["variables"]
    assert not {"PIP_INDEX_URL", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST"} & set(told["variables"])


def test_a_volume_that_nobody_gave_to_the_pods(cluster: Cluster) -> None:
    with cluster.volume_of_somebody_else():
        told = json.loads(output(run(cluster, "surroundings"), "describe"))
    assert told["place"] == "PermissionError"


def test_a_step_that_takes_too_much_memory_is_killed(cluster: Cluster) -> None:
    assert run(cluster, "memory", megabytes=20).states()["hold"] == "COMPLETE"
    killed = run(cluster, "memory", megabytes=400)
    assert (killed.failed, killed.results["hold"].error) == ("hold", "OOMKilled")
    # Its launcher was killed with it and told nobody.
    assert output(killed, "end") == "RUNNING -"


def test_what_an_exit_handler_is_told(cluster: Cluster) -> None:
    assert output(run(cluster, "branches", megabytes=1, taken=True), "end") == "COMPLETE -"
    # From the cache, nobody updates the state of the DAG around it.
    assert output(run(cluster, "branches", megabytes=1, taken=True), "end") == "RUNNING -"
    assert output(run(cluster, "branches", megabytes=2, taken=False), "end") == "RUNNING -"
    failed = run(cluster, "branches", megabytes=-1, taken=True)
    assert (failed.failed, output(failed, "end")) == ("hold", "FAILED -")


def test_an_argument_has_an_end(cluster: Cluster) -> None:
    assert not run(cluster, "words", text="x" * 100_000).failed
    done = run(cluster, "words", text="x" * 140_000)
    assert done.results["describe"].error == "Argument list too long: the step's arguments"
