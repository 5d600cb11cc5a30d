"""Old versions go, with their files; what a rollback or a reader may still need stays.

The ledger keeps its entries, so the history of promotions stays whole. The files, which take the
room, go at once. MLflow's own record of a version's run (parameters, numbers, lineage) goes into
MLflow's trash, which `mlflow gc` empties: a server's API cannot.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from components.base import InputError
from components.config import Settings
from components.register.aliases import sync_aliases
from components.register.ledger import production_stack, read_ledger
from components.tracking import (
    MODEL,
    all_versions,
    exists,
    experiment_id,
    ignored,
    mlflow_client,
    with_retries,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

PRUNED = "pruned"
"""The tag of a run whose version is being removed: the version's number. A prune that was killed
finds by it what it has still to do."""


@dataclass(frozen=True, slots=True)
class Fate:
    """Whether a version stays.

    Attributes:
        kept: why; empty: it goes.
    """

    number: int
    created: datetime
    kept: str


def plan_prune(
    settings: Settings, *, days: float, keep: int, served: Collection[int] = ()
) -> list[Fate]:
    """What `prune` would do with each version, the newest first.

    A version stays that has an alias, was among the last in production, is named by one of the last
    changes, is served or has answered lately, is young, or was not registered by Moodline.

    Args:
        days: a version younger than that stays.
        keep: how many of the last versions in production stay, and of the last changes those that
            they name.
        served: versions that are served, or have answered lately.

    Raises:
        InputError: not even what `registry rollback` goes back to would stay.
        Unavailable: MLflow failed.
    """
    if keep < 2:
        raise InputError("keep at least 2: what is in production, and what a rollback goes back to")
    if not exists(settings):
        return []
    with mlflow_client(settings) as client:
        return _plan(client, days, keep, served)


def prune(
    settings: Settings,
    *,
    days: float,
    keep: int,
    served: Collection[int] = (),
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> list[int]:
    """Delete the versions that `plan_prune` does not keep, the oldest first, and their files.

    A version is deleted before its files are, so none is ever there without them. What a prune that
    was killed left is deleted, too.

    Args:
        on_progress: called with the versions that are gone, and all that go.

    Returns:
        The numbers of the versions that were deleted.

    Raises:
        InputError: as `plan_prune`.
        Unavailable: MLflow failed; what was not deleted, the next prune deletes.
    """
    planned = plan_prune(settings, days=days, keep=keep, served=served)
    gone = [fate.number for fate in reversed(planned) if not fate.kept]
    if not exists(settings):
        return []
    with mlflow_client(settings) as client:
        _finish(client, settings)
        deleted = []
        for done, number in enumerate(gone):
            on_progress(done, len(gone))
            # Somebody may have promoted it meanwhile.
            now = {fate.number: fate for fate in _plan(client, days, keep, served)}
            if number in now and not now[number].kept:
                _delete(client, client.get_model_version(MODEL, str(number)))
                deleted.append(number)
        on_progress(len(gone), len(gone))
    return deleted


def _plan(client: "MlflowClient", days: float, keep: int, served: Collection[int]) -> list[Fate]:
    entries, versions = read_ledger(client), all_versions(client, MODEL)
    aliases = sync_aliases(client)
    changed = [entry for entry in entries if entry.won][-keep:]
    named = {number for entry in changed for number in (entry.from_version, entry.to_version)}
    in_production = set(production_stack(entries)[-keep:])
    oldest = datetime.now(UTC) - timedelta(days=days)
    fates = []
    for version in versions:
        number = int(version.version)
        created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
        held = [alias for alias, holder in aliases.items() if holder == number]
        reasons = {
            f"is {', '.join(held)}": held,
            f"was among the last {keep} in production": number in in_production,
            f"one of the last {keep} changes names it": number in named,
            "is served, or has answered lately": number in served,
            f"is younger than {days:g} days": created > oldest,
            "was not registered by Moodline": not (version.run_id and "digest" in version.tags),
        }
        kept = next((reason for reason, holds in reasons.items() if holds), "")
        fates.append(Fate(number, created, kept))
    return fates


def _delete(client: "MlflowClient", version: "ModelVersion") -> None:
    number, run_id = str(version.version), str(version.run_id)
    with_retries(lambda: client.set_tag(run_id, PRUNED, number))
    with_retries(lambda: client.delete_model_version(MODEL, number))
    _delete_run(client, run_id)


def _finish(client: "MlflowClient", settings: Settings) -> None:
    """Delete what a prune that was killed left of versions that are gone."""
    marked = client.search_runs([experiment_id(client, settings)], f"tags.{PRUNED} LIKE '%'")
    for run in marked:
        with ignored("RESOURCE_DOES_NOT_EXIST"):
            version = client.get_model_version(MODEL, run.data.tags[PRUNED])
            if version.run_id == run.info.run_id:
                continue  # it was killed before the version was deleted, which now may have to stay
        _delete_run(client, run.info.run_id)


def _delete_run(client: "MlflowClient", run_id: str) -> None:
    """Delete a run's files and those of its models; the run itself last, by which it is found."""
    run = client.get_run(run_id)
    if client.search_model_versions(f"name='{MODEL}' and run_id='{run_id}'"):
        return  # somebody made another version of it by hand
    made = f"source_run_id = '{run_id}'"
    for model in client.search_logged_models([run.info.experiment_id], made):
        _delete_files(client, model.artifact_location)
        with_retries(partial(client.delete_logged_model, model.model_id))
    _delete_files(client, run.info.artifact_uri)
    with_retries(lambda: client.delete_run(run_id))


def _delete_files(client: "MlflowClient", uri: str) -> None:
    """Delete all files at a place that MLflow has given to one run or model alone."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(uri, client.tracking_uri, client.tracking_uri).delete_artifacts()
