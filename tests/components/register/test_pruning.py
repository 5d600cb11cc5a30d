"""`prune` deletes versions that nobody needs, with their files, and nothing else."""

import shutil
import threading
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components.base import InputError, Refused
from components.config import Settings
from components.register import (
    Lineage,
    alias_version,
    history,
    list_versions,
    move_local_files,
    plan_prune,
    promote,
    prune,
    register,
    rollback,
)
from components.register.ledger import Stage
from tests.components.register.conftest import write_evidence, write_model
from tests.components.register.test_killed import kill

Add = Callable[..., int]


def numbers(settings: Settings) -> list[int]:
    return sorted(version.number for version in list_versions(settings))


def models(settings: Settings) -> int:
    """How many models lie in the folder of MLflow's files; the evidence lies there, too."""
    return len(list(Path(settings.mlflow_artifacts).rglob("model.onnx")))


def tracking(settings: Settings) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(settings.mlflow_uri, settings.mlflow_uri)


def live_runs(settings: Settings) -> int:
    client = tracking(settings)
    return len(client.search_runs([client.get_experiment_by_name("moodline").experiment_id]))


def prune_now(settings: Settings, served: Collection[int] = ()) -> list[int]:
    return prune(settings, days=0, keep=2, served=served)


def seven_versions(settings: Settings, add_version: Add) -> None:
    """1, 2, 3 and 4 were in production, 5 only in staging, 6 and 7 nowhere; the newest is 7."""
    for _ in range(7):
        add_version(settings)
    promote(5, settings, actor="ann", to="staging")
    for number in (1, 2, 3, 4):
        promote(number, settings, actor="ann")


def test_what_a_rollback_needs_stays(settings: Settings, add_version: Add) -> None:
    seven_versions(settings, add_version)
    add_version(settings)
    before = history(settings)
    plan = {fate.number: fate.kept for fate in plan_prune(settings, days=0, keep=2, served={6})}
    assert plan == {
        8: "is candidate", 7: "", 6: "is served, or has answered lately", 5: "is staging",
        4: "is production", 3: "is previous", 2: "one of the last 2 changes names it", 1: "",
    }  # fmt: skip
    assert (numbers(settings), models(settings)) == ([1, 2, 3, 4, 5, 6, 7, 8], 8)
    assert all(f.kept for f in plan_prune(settings, days=1, keep=2))
    assert prune_now(settings, {6}) == [1, 7]
    assert numbers(settings) == [2, 3, 4, 5, 6, 8]
    assert (models(settings), live_runs(settings)) == (6, 6)
    assert history(settings) == before  # it still says that 1 was in production
    assert rollback(settings, actor="ann").to_version == 3
    with pytest.raises(InputError, match="version 1 is gone: it has been deleted"):
        promote(1, settings, actor="ann")
    assert add_version(settings) == 9  # no number is given out again
    assert prune_now(settings, {6}) == [8]


def test_versions_that_others_made_stay(settings: Settings, add_version: Add) -> None:
    """Somebody's own version has no files that Moodline may delete; one that shares a run keeps
    that run's files."""
    for _ in range(4):
        add_version(settings)
    client = tracking(settings)
    first = client.get_model_version("moodline", "1")
    client.create_model_version("moodline", source=first.source, run_id=first.run_id)
    add_version(settings)
    promote(4, settings, actor="ann")
    kept = {f.number: f.kept for f in plan_prune(settings, days=0, keep=2) if f.kept}
    assert kept == {
        6: "is candidate", 5: "was not registered by Moodline", 4: "is production",
    }  # fmt: skip
    assert prune_now(settings) == [1, 2, 3]
    assert models(settings) == 3  # of 4 and 6, and that of 1, which 5 names


def test_files_that_another_registered_model_serves_stay(
    settings: Settings, add_version: Add
) -> None:
    """MLflow's copy of a version points at its files; so does what names its model or its place."""
    for _ in range(5):
        add_version(settings)
    promote(4, settings, actor="ann")
    client = tracking(settings)
    client.create_registered_model("theirs")
    client.copy_model_version("models:/moodline/1", "theirs")
    client.create_model_version("theirs", client.get_model_version("moodline", "2").source)
    promote(5, settings, actor="ann")
    plan = {fate.number: fate.kept for fate in plan_prune(settings, days=0, keep=2)}
    copies = {1: "theirs version 1 has its files", 2: "theirs version 2 has its files", 3: ""}
    assert {number: plan[number] for number in (1, 2, 3)} == copies
    assert (prune_now(settings), models(settings)) == ([3], 4)
    client.delete_registered_model("theirs")
    assert (prune_now(settings), models(settings)) == ([1, 2], 2)


def test_the_training_of_a_version_that_stays_is_kept_until_that_goes(
    settings: Settings, add_version: Add
) -> None:
    for _ in range(3):
        add_version(settings)
    client = tracking(settings)
    first, second = (client.get_model_version("moodline", n).run_id for n in ("1", "2"))
    client.set_tag(second, "training_run", first)
    assert prune_now(settings, served={2}) == [1]
    assert client.get_run(first).info.lifecycle_stage == "active"
    assert (models(settings), live_runs(settings)) == (2, 3)
    assert prune_now(settings) == [2]
    assert (models(settings), live_runs(settings)) == (1, 1)


def between(monkeypatch: pytest.MonkeyPatch, method: str, work: Callable[[], object]) -> None:
    """Let somebody else do something right before a call to MLflow, the first time."""
    from mlflow import MlflowClient

    call = getattr(MlflowClient, method)

    def first(self: Any, *arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(MlflowClient, method, call)
        work()
        return call(self, *arguments, **named)

    monkeypatch.setattr(MlflowClient, method, first)


def promote_first(settings: Settings) -> None:
    promote(1, settings, actor="bob")


def refused(settings: Settings, words: str) -> None:
    with pytest.raises(Refused, match=words):
        promote_first(settings)


def test_a_promotion_and_a_prune_never_pass_each_other(
    settings: Settings, add_version: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        add_version(settings)
    promote(2, settings, actor="ann")
    promote(3, settings, actor="ann")
    with monkeypatch.context() as patch:  # the promotion comes before the prune's last look
        between(patch, "set_tag", partial(promote_first, settings))
        assert prune_now(settings) == []
    assert rollback(settings, actor="ann").to_version == 3
    with monkeypatch.context() as patch:
        # …and the prune's last look before the promotion: once 1 is out of sight of a rollback.
        promote(4, settings, actor="ann")
        promote(3, settings, actor="ann")
        between(patch, "delete_model_version", partial(refused, settings, "is deleting it"))
        assert prune_now(settings) == [1, 2]
    assert (numbers(settings), models(settings)) == ([3, 4], 2)


@pytest.mark.parametrize("to", ["production", "staging"])
def test_what_a_prune_deletes_while_it_is_promoted_does_not_stay_there(
    to: Stage, settings: Settings, add_version: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prune has looked a last time, and deletes once the promotion is in the ledger."""
    for _ in range(4):
        add_version(settings)
    promote(2, settings, actor="ann")
    promote(3, settings, actor="ann")
    looked, promoted = threading.Event(), threading.Event()
    pruned: list[int] = []

    def wait() -> None:
        looked.set()
        assert promoted.wait(60)

    between(monkeypatch, "delete_model_version", wait)
    prunes = threading.Thread(target=lambda: pruned.extend(prune_now(settings)))

    def start() -> None:
        prunes.start()
        assert looked.wait(60)

    between(monkeypatch, "create_model_version", start)
    with pytest.raises(Refused, match=f"version 1 is not in {to}: `registry prune` is deleting it"):
        promote(1, settings, actor="bob", to=to)
    promoted.set()
    prunes.join()
    assert (pruned, numbers(settings)) == ([1], [2, 3, 4])
    assert alias_version("production", settings) == 3
    assert alias_version("staging", settings) is None
    assert [e.action for e in history(settings) if e.won][-2:] == ["promote", "rollback"]


def test_what_a_killed_prune_has_marked_can_be_promoted_after_the_next(
    three_versions: Path, tmp_path: Path
) -> None:
    settings = copy_of(three_versions, tmp_path)
    client = tracking(settings)
    client.set_tag(client.get_model_version("moodline", "1").run_id, "pruned", "1")
    refused(settings, "was killed while it did")
    assert prune_now(settings, served={1}) == []
    promote_first(settings)


def test_a_prune_that_would_keep_no_way_back_is_refused(settings: Settings) -> None:
    with pytest.raises(InputError, match="keep at least 2"):
        prune(settings, days=0, keep=1)


@pytest.fixture(scope="module")
def three_versions(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, lineage: Lineage
) -> Path:
    """A home of three versions, the second in production."""
    folder = tmp_path_factory.mktemp("three")
    home = folder / "home"
    home.mkdir()
    shutil.copyfile(empty_database, home / "mlflow.db")
    settings = Settings(home=home)
    for seed in (1, 2, 3):
        model = write_model(folder / f"model-{seed}", seed)
        papers = write_evidence(folder / f"papers-{seed}", model)
        register(model, **papers, lineage=lineage, settings=settings)
    promote(2, settings, actor="ann")
    return home


def copy_of(three_versions: Path, tmp_path: Path) -> Settings:
    shutil.copytree(three_versions, tmp_path / "home")
    settings = Settings(home=tmp_path / "home")
    old, new = (home / "mlartifacts" for home in (three_versions, settings.home))
    move_local_files(settings.home / "mlflow.db", old.as_uri(), new.as_uri())
    return settings


@pytest.mark.parametrize(
    ("method", "when", "left"),
    [
        ("delete_model_version", "before", [1, 2, 3]),
        ("delete_model_version", "after", [2, 3]),
        ("delete_logged_model", "before", [2, 3]),
        ("delete_run", "before", [2, 3]),
    ],
)
def test_a_killed_prune_goes_on_where_it_stopped(
    three_versions: Path, tmp_path: Path, method: str, when: str, left: list[int]
) -> None:
    settings = copy_of(three_versions, tmp_path)
    kill(method, when, partial(prune_now, settings))
    assert numbers(settings) == left
    for number in (2, 3):
        assert tracking(settings).get_model_version("moodline", str(number))
    assert prune_now(settings) == [1] * (len(left) - 2)
    assert (numbers(settings), models(settings), live_runs(settings)) == ([2, 3], 2, 2)
    assert prune_now(settings) == []
