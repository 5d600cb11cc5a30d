"""Killed in the middle, done again: one version, one entry of the ledger, nothing left open."""

import functools
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.config import Settings
from components.register import (
    Lineage,
    alias_version,
    history,
    list_versions,
    promote,
    record_refusal,
    register,
)
from tests.components.register.conftest import Evidence, Make


def die(method: str, when: str, work: Callable[[], object]) -> None:
    """Do some work; SIGKILL comes right before or right after a call to MLflow."""
    from mlflow import MlflowClient

    call = getattr(MlflowClient, method)

    def last(*arguments: Any, **named: Any) -> None:
        if when == "after":
            call(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(MlflowClient, method, last)
    work()


def kill(method: str, when: str, work: Callable[[], object]) -> None:
    """Have a process of its own die there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"]
    )
    process = context.Process(target=die, args=(method, when, work))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def runs(settings: Settings) -> list[str]:
    """The states of all runs in MLflow."""
    from mlflow import MlflowClient

    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    experiment = client.get_experiment_by_name("moodline")
    assert experiment is not None
    return sorted(run.info.status for run in client.search_runs([experiment.experiment_id]))


@pytest.mark.parametrize(
    ("method", "when", "states"),
    [
        ("create_run", "after", ["FINISHED", "KILLED"]),
        ("log_artifacts", "after", ["FINISHED", "KILLED"]),
        ("log_model_artifacts", "after", ["FINISHED", "KILLED"]),
        ("create_model_version", "before", ["FINISHED", "KILLED"]),
        ("create_model_version", "after", ["FINISHED"]),
        ("set_registered_model_alias", "after", ["FINISHED"]),
        ("set_terminated", "before", ["FINISHED"]),
    ],
)
def test_a_registration_killed_anywhere_is_one_version_when_done_again(
    method: str,
    when: str,
    states: list[str],
    tmp_path: Path,
    settings: Settings,
    lineage: Lineage,
    make_model: Make,
    make_evidence: Evidence,
) -> None:
    model = make_model(tmp_path / "model")
    evidence = make_evidence(tmp_path / "papers", model)
    work = functools.partial(register, model, **evidence, lineage=lineage, settings=settings)
    kill(method, when, work)
    assert (work(), work()) == (1, 1)
    (version,) = list_versions(settings)
    assert version.aliases == ("candidate",)
    assert runs(settings) == states


@pytest.mark.parametrize(
    ("method", "when"),
    [
        ("create_model_version", "before"),
        ("create_model_version", "after"),
        ("set_registered_model_alias", "after"),
    ],
)
def test_a_promotion_killed_anywhere_is_one_entry_when_done_again(
    method: str, when: str, settings: Settings, add_version: Callable[..., int]
) -> None:
    add_version(settings)
    two = add_version(settings)
    promote(1, settings, actor="ann")
    work = functools.partial(promote, two, settings, actor="ann", reason="better")
    kill(method, when, work)
    assert work() == work()
    assert [(e.from_version, e.to_version, e.won) for e in history(settings)] == [
        (None, 1, True), (1, two, True),
    ]  # fmt: skip
    assert (alias_version("production", settings), alias_version("previous", settings)) == (two, 1)


def test_a_refusal_is_kept_once(
    tmp_path: Path, settings: Settings, lineage: Lineage, make_evidence: Evidence
) -> None:
    evidence = make_evidence(tmp_path / "papers", None, "fail")
    work = functools.partial(record_refusal, **evidence, lineage=lineage, settings=settings)
    kill("log_artifacts", "after", work)
    assert work() == work()
    assert runs(settings) == ["FINISHED", "KILLED"]
