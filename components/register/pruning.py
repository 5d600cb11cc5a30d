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
from components.register.ledger import LEDGER, production_stack, read_ledger
from components.register.trainings import TRAINING_RUN
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

PRUNED = "pruned"
"""The tag of a run whose version is being removed: the version's number. A prune that was killed
finds by it what it has still to do, and `promote` sees by it that a version is about to go."""


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
    changes, is served or has answered lately, whose files another registered model serves, too,
    that is young, or was not registered by Moodline.

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
        _finish(client, settings, {fate.number for fate in planned if fate.kept})
        deleted = []
        for done, number in enumerate(gone):
            on_progress(done, len(gone))
            if _delete(client, number, lambda: _plan(client, days, keep, served)):
                deleted.append(number)
        on_progress(len(gone), len(gone))
        if deleted:  # a training's run that none but a version that is gone now has named
            _finish(client, settings, ())
    return deleted


def why_gone(client: "MlflowClient", number: int) -> str:
    """How it shows that a version is gone, or that a prune is about to delete it; else empty.

    A prune marks a version before it looks a last time whether it may go. A promotion looks here
    after it is in the ledger. So one of the two sees the other.
    """
    with ignored("RESOURCE_DOES_NOT_EXIST"):
        version = client.get_model_version(MODEL, str(number))
        with ignored("RESOURCE_DOES_NOT_EXIST"):
            tags = client.get_run(version.run_id).data.tags if version.run_id else {}
            if tags.get(PRUNED) == str(number):
                return "`registry prune` is deleting it, or was killed while it did"
        return ""
    return "it has been deleted from MLflow"


def _plan(client: "MlflowClient", days: float, keep: int, served: Collection[int]) -> list[Fate]:
    entries, versions = read_ledger(client), all_versions(client, MODEL)
    aliases = sync_aliases(client)
    changed = [entry for entry in entries if entry.won][-keep:]
    named = {number for entry in changed for number in (entry.from_version, entry.to_version)}
    in_production = set(production_stack(entries)[-keep:])
    oldest = datetime.now(UTC) - timedelta(days=days)
    claims = _claims(client, (MODEL, LEDGER))
    fates = []
    for version in versions:
        number = int(version.version)
        created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
        held = [alias for alias, holder in aliases.items() if holder == number]
        asked = (version.run_id, version.model_id, version.source, f"models:/{MODEL}/{number}")
        claim = next((claims[key] for key in asked if key and key in claims), "")
        reasons = {
            f"is {', '.join(held)}": held,
            f"was among the last {keep} in production": number in in_production,
            f"one of the last {keep} changes names it": number in named,
            "is served, or has answered lately": number in served,
            f"{claim} has its files": claim,
            f"is younger than {days:g} days": created > oldest,
            "was not registered by Moodline": not (version.run_id and "digest" in version.tags),
        }
        kept = next((reason for reason, holds in reasons.items() if holds), "")
        fates.append(Fate(number, created, kept))
    return fates


def _claims(client: "MlflowClient", apart: Collection[str]) -> dict[str, str]:
    """Which registered version has whose files: by the run, model, version or place it names.

    A copy that MLflow makes of a version has no files of its own. Its source is a version, a model,
    a run or a place, each with the number of what it is of among its parts.

    Args:
        apart: registered models that do not count.
    """
    claims: dict[str, str] = {}
    for version in all_versions(client):
        if version.name in apart:
            continue
        source = str(version.source)
        for key in (version.run_id, version.model_id, source, *source.split("/")):
            claims.setdefault(str(key), f"{version.name} version {version.version}")
    return claims


def _delete(client: "MlflowClient", number: int, plan: Callable[[], list[Fate]]) -> bool:
    """Delete a version, unless somebody has promoted or deleted it meanwhile; whether we did."""
    run_id = None
    with ignored("RESOURCE_DOES_NOT_EXIST"):
        run_id = client.get_model_version(MODEL, str(number)).run_id
    if run_id is None:
        return False
    with_retries(lambda: client.set_tag(run_id, PRUNED, str(number)))
    if not any(fate.number == number and not fate.kept for fate in plan()):
        with_retries(lambda: client.delete_tag(run_id, PRUNED))
        return False
    with_retries(lambda: client.delete_model_version(MODEL, str(number)))
    _delete_run(client, run_id)
    return True


def _finish(client: "MlflowClient", settings: Settings, kept: Collection[int]) -> None:
    """Delete what a prune that was killed left of versions that are gone.

    Args:
        kept: versions that stay: what such a prune has marked of them may be promoted again.
    """
    marked = client.search_runs([experiment_id(client, settings)], f"tags.{PRUNED} LIKE '%'")
    for run in marked:
        number = run.data.tags[PRUNED]
        with ignored("RESOURCE_DOES_NOT_EXIST"):
            version = client.get_model_version(MODEL, number)
            if version.run_id == run.info.run_id:
                # It was killed before the version was deleted, which now may have to stay.
                if int(number) in kept:
                    with_retries(partial(client.delete_tag, run.info.run_id, PRUNED))
                continue
        _delete_run(client, run.info.run_id)


def _delete_run(client: "MlflowClient", run_id: str) -> None:
    """Delete a run's files and those of its models; the run itself last, by which it is found.

    A run in which another version's model was trained stays, with its curves and its data, until
    that version is gone: only the files of its models go.
    """
    run = client.get_run(run_id)
    experiment = run.info.experiment_id
    models = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
    claims = _claims(client, (LEDGER,))
    if {run_id, *(model.model_id for model in models)} & claims.keys():
        return  # somebody made another version of it by hand
    for model in models:
        _delete_files(client, model.artifact_location)
        with_retries(partial(client.delete_logged_model, model.model_id))
    if client.search_runs([experiment], f"tags.{TRAINING_RUN} = '{run_id}'", max_results=1):
        return
    _delete_files(client, run.info.artifact_uri)
    with_retries(lambda: client.delete_run(run_id))


def _delete_files(client: "MlflowClient", uri: str) -> None:
    """Delete all files at a place that MLflow has given to one run or model alone."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(uri, client.tracking_uri, client.tracking_uri).delete_artifacts()
