"""Twenty people who promote at the same time, and what must be true afterwards."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from components.base import Refused
from components.config import Settings
from components.register import alias_version, history, promote

Add = Callable[..., int]


def aliases(settings: Settings) -> dict[str, int]:
    """The aliases as MLflow has them, with nobody repairing them."""
    from mlflow import MlflowClient

    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    return {name: int(v) for name, v in client.get_registered_model("moodline").aliases.items()}


def attempts(settings: Settings, versions: list[int]) -> dict[int, str]:
    """Some of the twenty, in threads of a process of its own."""

    def attempt(version: int) -> str:
        try:
            return str(promote(version, settings, actor=f"actor-{version}").step)
        except Refused as refusal:
            return str(refusal)

    with ThreadPoolExecutor(len(versions)) as pool:
        return dict(zip(versions, pool.map(attempt, versions), strict=True))


def twenty_versions(settings: Settings, add_version: Add) -> list[int]:
    """One model registered, and nineteen more versions of the very same files."""
    from mlflow import MlflowClient

    first = add_version(settings)
    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    version = client.get_model_version("moodline", str(first))
    (logged,) = client.search_logged_models([client.get_run(version.run_id).info.experiment_id])
    same = (version.source, version.run_id, version.tags)
    return [first] + [
        int(client.create_model_version("moodline", *same, model_id=logged.model_id).version)
        for _ in range(19)
    ]


def check_twenty_at_once(settings: Settings, versions: list[int]) -> None:
    """Promote them all at the same time, in four processes of five threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"]
    )
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        jobs = [(settings, versions[start::4]) for start in range(4)]
        told_apart = list(pool.map(attempts, *zip(*jobs, strict=True), timeout=300))
    answers = {version: text for part in told_apart for version, text in part.items()}

    entries = history(settings)
    won = [entry for entry in entries if entry.won]
    # Every attempt is in the ledger; those that won follow each other without a gap.
    assert sorted(entry.to_version for entry in entries) == versions
    assert [entry.follows for entry in won] == [0, *(entry.step for entry in won[:-1])]
    assert [entry.from_version for entry in won] == [None, *(e.to_version for e in won[:-1])]
    # Each was told the truth.
    for version, answer in answers.items():
        entry = next(entry for entry in entries if entry.to_version == version)
        assert answer == str(entry.step) if entry.won else "there meanwhile" in answer
    assert len(won) < 20, "nobody was in anybody's way: the test did not test"
    # And there is one production.
    assert (
        aliases(settings)["production"]
        == won[-1].to_version
        == alias_version("production", settings)
    )
    if len(won) > 1:
        assert aliases(settings)["previous"] == won[-2].to_version
