"""Looking at what is registered, and fetching it."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError, atomic_path, tree_digest
from components.config import Settings
from components.register.aliases import ALIASES, CANDIDATE, aliases_by_ledger, sync_aliases
from components.register.connection import MODEL, all_versions, exists, ignored, mlflow_client
from components.register.evidence import LINEAGE_TAGS
from components.register.ledger import production_stack, read_ledger
from components.register.package import MODEL_FOLDER, VERDICT_FILE
from components.scoring import Verdict, read_verdict

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

NO_VERDICT = "none"
"""What stands for the verdict of a version that came into MLflow without one."""


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version.

    Attributes:
        number: its number; Triton's version is the same.
        aliases: production, previous, staging (by the ledger), candidate (the newest).
        digest: of the model's folder.
        verdict: "pass", "fail" or "inconclusive"; `NO_VERDICT` for none.
        lineage: git commit, corpus digest, configuration, profile, folds; why it was made.
        run_id: of the MLflow run with its parameters, metrics and evidence.
        metrics: its scores, flat: `accuracy`, `accuracy.correct` and so on.
        reasons: of a verdict that is not "pass"; only `show` fills them.
    """

    number: int
    created: datetime
    aliases: tuple[str, ...]
    digest: str
    verdict: str
    lineage: dict[str, str]
    run_id: str
    metrics: dict[str, float]
    reasons: tuple[str, ...] = ()


def list_versions(settings: Settings) -> list[Version]:
    """All versions, the newest first. Aliases that strayed from the ledger are put right.

    Raises:
        Unavailable: MLflow failed.
    """
    if not exists(settings):
        return []
    with mlflow_client(settings) as client:
        aliases = sync_aliases(client)
        return [_version(client, version, aliases) for version in all_versions(client, MODEL)]


def show(version: int | str, settings: Settings) -> Version:
    """One version, by number or alias, with its verdict's reasons.

    Raises:
        InputError: no such version.
        Unavailable: MLflow failed.
    """
    with mlflow_client(settings) as client:
        registered = get_version(client, version)
        brief = _version(client, registered, sync_aliases(client))
        if brief.verdict == NO_VERDICT:
            return brief
        return replace(brief, reasons=version_verdict(client, registered).reasons)


def download(version: int | str, target: Path, settings: Settings) -> Path:
    """Fetch a version's model folder.

    Args:
        version: a number or an alias, as the ledger has it, whatever MLflow's alias says.
        target: where the folder is to stand. One that already holds this version is kept.

    Raises:
        InputError: no such version, its files are not those that were registered.
        Unavailable: MLflow failed.
    """
    with mlflow_client(settings) as client:
        registered = get_version(client, version)
        if target.is_dir() and tree_digest(target) == registered.tags.get("digest"):
            return target
        with atomic_path(target) as path, tempfile.TemporaryDirectory(dir=path.parent) as folder:
            shutil.move(fetch_model(client, registered, Path(folder)), path)
        return target


def verdict_of(version: int | str, settings: Settings) -> Verdict:
    """The verdict that a version, by number or alias, was registered with.

    Raises:
        InputError: no such version, it has no verdict or another one's.
        Unavailable: MLflow failed.
    """
    if not exists(settings):
        raise InputError(f"{version}: no version of {MODEL} is registered yet")
    with mlflow_client(settings) as client:
        return version_verdict(client, get_version(client, version))


def alias_version(alias: str, settings: Settings) -> int | None:
    """The number of the version that an alias stands for; None if there is none.

    Args:
        alias: `candidate` (the newest), or by the ledger `staging`, `production`, `previous`.

    Raises:
        InputError: no such alias.
        Unavailable: MLflow failed.
    """
    if alias not in ALIASES:
        raise InputError(f"{alias}: no such alias; there are {', '.join(ALIASES)}")
    if not exists(settings):
        return None
    with mlflow_client(settings) as client:
        return _aliased(client, alias)


def champion_of(digest: str, settings: Settings) -> Version | None:
    """What a model is to be held against: the version in production, unless it is that model.

    Then it is the version before it that is another model: what it was held against when it was
    promoted. Held against itself, no model would ever be worse.

    Args:
        digest: of the model's folder.

    Raises:
        InputError: a version of production's is gone.
        Unavailable: MLflow failed.
    """
    if not exists(settings):
        return None
    with mlflow_client(settings) as client:
        for number in reversed(production_stack(read_ledger(client))):
            version = get_version(client, number)
            if version.tags.get("digest") != digest:
                return _version(client, version, sync_aliases(client))
    return None


def get_version(client: "MlflowClient", version: int | str) -> "ModelVersion":
    """Find a version by number or alias.

    Raises:
        InputError: there is none.
    """
    name = str(version)
    number = int(name) if name.isdecimal() else _aliased(client, name)
    if number is None:
        raise InputError(f"{name}: no version of {MODEL} has this alias; see `registry list`")
    with ignored("RESOURCE_DOES_NOT_EXIST"):
        return client.get_model_version(MODEL, str(number))
    raise InputError(f"{version}: there is no such version of {MODEL}")


def version_verdict(client: "MlflowClient", version: "ModelVersion") -> Verdict:
    """The verdict that was registered with a version.

    Raises:
        InputError: it has none, not the one that its tag says, or one of another model.
    """
    name, tag = f"version {version.version}", version.tags.get("verdict")
    digest = version.tags.get("digest", "none")
    if tag is None:
        raise InputError(f"{name}: has no verdict")
    with tempfile.TemporaryDirectory(prefix="moodline-verdict-") as folder:
        try:
            verdict = read_verdict(fetch(client, version, VERDICT_FILE, Path(folder)))
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    if verdict.decision != tag:
        raise InputError(
            f"{name}: its tag says {tag!r}, its verdict.json {verdict.decision!r}; "
            "someone has changed one of them"
        )
    if verdict.model != digest:
        raise InputError(
            f"{name}: its verdict is of model {verdict.model[:12]}, not of the model "
            f"that was registered, {digest[:12]}"
        )
    return verdict


def check_files(client: "MlflowClient", version: "ModelVersion") -> None:
    """Refuse a version whose files are not those that were registered; see `fetch_model`."""
    with tempfile.TemporaryDirectory(prefix="moodline-check-") as folder:
        fetch_model(client, version, Path(folder))


def fetch_model(client: "MlflowClient", version: "ModelVersion", into: Path) -> Path:
    """Download a version's model folder into `into` and compare it with what was registered.

    Raises:
        InputError: it is not the same.
    """
    folder = fetch(client, version, MODEL_FOLDER, into)
    registered, actual = version.tags.get("digest", "none"), tree_digest(folder)
    if actual != registered:
        raise InputError(
            f"version {version.version}: its files have digest {actual[:12]}, registered was "
            f"{registered[:12]}; they were changed or damaged, so nothing was done"
        )
    return folder


def fetch(client: "MlflowClient", version: "ModelVersion", path: str, into: Path) -> Path:
    """Download a file or folder of a version's package; where it is now."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    source = client.get_model_version_download_uri(MODEL, version.version)
    repository = get_artifact_repository(source, client.tracking_uri, client.tracking_uri)
    return Path(repository.download_artifacts(path, str(into)))


def _aliased(client: "MlflowClient", alias: str) -> int | None:
    """What an alias stands for, whatever MLflow's own says."""
    if alias == CANDIDATE:
        return next((int(version.version) for version in all_versions(client, MODEL)), None)
    return aliases_by_ledger(read_ledger(client)).get(alias)


def _version(
    client: "MlflowClient", version: "ModelVersion", aliases: Mapping[str, int]
) -> Version:
    """MLflow's record of a version as ours."""
    number, tags = int(version.version), version.tags
    metrics = client.get_run(version.run_id).data.metrics if version.run_id else {}
    return Version(
        number=number,
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        aliases=tuple(alias for alias, held in aliases.items() if held == number),
        digest=tags.get("digest", ""),
        verdict=tags.get("verdict", NO_VERDICT),
        lineage={key: tags[key] for key in LINEAGE_TAGS if key in tags},
        run_id=version.run_id or "",
        metrics=dict(metrics),
    )
