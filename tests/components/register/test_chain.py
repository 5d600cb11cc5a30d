"""What was changed in the ledger by other hands than Moodline's shows."""

from collections.abc import Callable
from typing import Any

import pytest

from components.config import Settings
from components.register import history, promote, rollback
from pipelines.cli.main import run

LEDGER = "moodline-ledger"
Add = Callable[..., int]


def client(settings: Settings) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(settings.mlflow_uri, settings.mlflow_uri)


def three_steps(settings: Settings, add_version: Add) -> None:
    for actor in ("ann", "bob"):
        promote(add_version(settings), settings, actor=actor)
    rollback(settings, actor="cy", reason="worse")


def faults(settings: Settings) -> dict[int, str]:
    return {entry.step: entry.fault for entry in history(settings) if entry.fault}


def test_what_nobody_changed_is_told_as_it_is(settings: Settings, add_version: Add) -> None:
    three_steps(settings, add_version)
    assert faults(settings) == {}
    tags = client(settings).get_model_version(LEDGER, "3").tags
    assert tags["after"].startswith("2:") and "seal" in tags and tags["account"] == ""


def other_actor(mlflow: Any) -> None:
    mlflow.set_model_version_tag(LEDGER, "2", "actor", "somebody else")


def other_reason_of_the_last(mlflow: Any) -> None:
    mlflow.set_model_version_tag(LEDGER, "3", "reason", "a better one")


def without_its_signature(mlflow: Any) -> None:
    other_actor(mlflow)
    mlflow.delete_model_version_tag(LEDGER, "2", "seal")


def as_if_of_before(mlflow: Any) -> None:
    mlflow.set_model_version_tag(LEDGER, "3", "actor", "somebody else")
    for tag in ("seal", "after"):
        mlflow.delete_model_version_tag(LEDGER, "3", tag)


def with_another_s_signature(mlflow: Any) -> None:
    tags = mlflow.get_model_version(LEDGER, "1").tags
    mlflow.set_model_version_tag(LEDGER, "3", "seal", tags["seal"])


def deleted(mlflow: Any) -> None:
    mlflow.delete_model_version(LEDGER, "2")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (other_actor, {2: "is not what was signed: somebody has changed it"}),
        (other_reason_of_the_last, {3: "is not what was signed: somebody has changed it"}),
        (without_its_signature, {2: "is not what step 3 followed: somebody has changed it"}),
        (as_if_of_before, {3: "names no entry before it: somebody has changed it, or a Moodline "
                              "of before has written it"}),
        (with_another_s_signature, {3: "is not what was signed: somebody has changed it"}),
        (deleted, {3: "follows step 2, which somebody has deleted"}),
    ],
)  # fmt: skip
def test_a_change_by_hand_shows_in_one_line(
    change: Callable[[Any], None], found: dict[int, str], settings: Settings, add_version: Add,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    three_steps(settings, add_version)
    change(client(settings))
    assert faults(settings) == found
    monkeypatch.setenv("MOODLINE_HOME", str(settings.home))
    capfd.readouterr()
    assert run(["registry", "history"]) == 0
    ((step, fault),) = found.items()
    lines = [s for s in capfd.readouterr().err.splitlines() if "not to be relied on" in s]
    assert lines == [f"moodline: the history is not to be relied on: step {step} {fault}"]


def test_a_key_that_is_not_trusted_here_shows(settings: Settings, add_version: Add) -> None:
    three_steps(settings, add_version)
    other = settings.model_copy(update={"home": settings.home / "other"})
    assert all("is not trusted here" in fault for fault in faults(other).values())
    assert len(faults(other)) == 3


def test_entries_of_before_there_was_a_chain_count(settings: Settings, add_version: Add) -> None:
    for _ in range(2):
        promote(add_version(settings), settings, actor="ann")
    for step in ("1", "2"):
        for tag in ("seal", "after", "account"):
            client(settings).delete_model_version_tag(LEDGER, step, tag)
    assert faults(settings) == {}
    rollback(settings, actor="ann")
    assert faults(settings) == {}
    client(settings).set_model_version_tag(LEDGER, "2", "actor", "bob")
    assert faults(settings) == {2: "is not what step 3 followed: somebody has changed it"}
