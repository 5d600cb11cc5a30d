"""What was changed in the ledger by other hands than Moodline's shows."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.config import Settings
from components.register import Lineage, history, promote, public_key, register, rollback
from pipelines.cli.main import run
from tests.components.register.conftest import write_evidence, write_model

LEDGER = "moodline-ledger"


def client(settings: Settings) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(settings.mlflow_uri, settings.mlflow_uri)


@pytest.fixture(scope="module")
def three_steps(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, lineage: Lineage
) -> Path:
    """A home with a history of three steps."""
    folder = tmp_path_factory.mktemp("three")
    home = folder / "home"
    home.mkdir()
    shutil.copyfile(empty_database, home / "mlflow.db")
    settings = Settings(home=home)
    for seed, actor in enumerate(("ann", "bob")):
        model = write_model(folder / f"model-{seed}", seed)
        papers = write_evidence(folder / f"papers-{seed}", model)
        promote(
            register(model, **papers, lineage=lineage, settings=settings), settings, actor=actor
        )
    rollback(settings, actor="cy", reason="worse")
    return home


@pytest.fixture
def settings(three_steps: Path, tmp_path: Path) -> Settings:
    """A copy of that home; the files of its versions are those of the first one."""
    shutil.copytree(three_steps, tmp_path / "home", ignore=lambda *_: {"mlartifacts"})
    return Settings(home=tmp_path / "home")


def faults(settings: Settings) -> dict[int, str]:
    return {entry.step: entry.fault for entry in history(settings) if entry.fault}


def test_what_nobody_changed_is_told_as_it_is(settings: Settings) -> None:
    assert faults(settings) == {} and all(entry.signed for entry in history(settings))
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


def deleted_before_any_chain(mlflow: Any) -> None:
    for step in ("1", "2", "3"):
        for tag in ("seal", "after"):
            mlflow.delete_model_version_tag(LEDGER, step, tag)
    mlflow.delete_model_version(LEDGER, "1")


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
        (deleted_before_any_chain, {2: "comes after step 1, which somebody has deleted"}),
    ],
)  # fmt: skip
def test_a_change_by_hand_shows_in_one_line(
    change: Callable[[Any], None], found: dict[int, str], settings: Settings,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    change(client(settings))
    assert faults(settings) == found
    monkeypatch.setenv("MOODLINE_HOME", str(settings.home))
    capfd.readouterr()
    assert run(["registry", "history"]) == 0
    ((step, fault),) = found.items()
    lines = [s for s in capfd.readouterr().err.splitlines() if "not to be relied on" in s]
    assert lines == [f"moodline: the history is not to be relied on: step {step} {fault}"]


def test_a_key_that_is_not_trusted_here_shows(settings: Settings) -> None:
    other = settings.model_copy(update={"home": settings.home / "other"})
    assert all("is not trusted here" in fault for fault in faults(other).values())
    assert len(faults(other)) == 3


def test_an_entry_of_a_machine_without_a_key_is_not_signed(settings: Settings) -> None:
    """As anybody's is who can write MLflow: it is in the chain, and is told apart."""
    away = settings.model_copy(update={"home": settings.home / "other"})
    away = away.model_copy(update={"trusted_keys": public_key(settings)})
    promote(2, away, actor="dan", to="staging")
    assert faults(settings) == {}
    assert [entry.signed for entry in history(settings)] == [True, True, True, False]


def test_an_entry_that_none_names_leaves_a_gap(settings: Settings) -> None:
    """Two who wrote at once follow the same step: the number of one is missing all the same."""
    promote(2, settings, actor="dan", to="staging")
    mlflow = client(settings)
    tags = mlflow.get_model_version(LEDGER, "4").tags
    mlflow.create_model_version(LEDGER, "models:/moodline/2", tags={**tags, "key": "another"})
    mlflow.delete_model_version_tag(LEDGER, "5", "seal")
    assert faults(settings) == {}
    mlflow.delete_model_version(LEDGER, "4")
    assert faults(settings) == {5: "comes after step 4, which somebody has deleted"}


def test_entries_of_before_there_was_a_chain_count(settings: Settings) -> None:
    for step in ("1", "2", "3"):
        for tag in ("seal", "after", "account"):
            client(settings).delete_model_version_tag(LEDGER, step, tag)
    assert faults(settings) == {}
    promote(2, settings, actor="ann")
    assert faults(settings) == {}
    client(settings).set_model_version_tag(LEDGER, "3", "actor", "bob")
    assert faults(settings) == {3: "is not what step 4 followed: somebody has changed it"}
