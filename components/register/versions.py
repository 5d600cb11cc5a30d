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
from components.register.evidence import LINEAGE_TAGS
from components.register.files import fetch_model, version_verdict
from components.register.ledger import LEDGER, production_stack, read_ledger
from components.register.signature import SIGNATURE_TAG, Signed
from components.register.trust import check_signed, check_tags, keys_here
from components.scoring import Verdict
from components.tracking import (
    MODEL,
    all_versions,
    check_not_deleted,
    exists,
    ignored,
    mlflow_client,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
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
        signature: of model and verdict: "valid", "none", or in a line what is wrong with it.
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
    signature: str = "none"


def list_versions(settings: Settings) -> list[Version]:
    """All versions, the newest first. Aliases that strayed from the ledger are put right.

    Raises:
        Unavailable: MLflow failed.
    """
    if not exists(settings):
        return []
    with mlflow_client(settings) as client:
        aliases, trusted = sync_aliases(client), keys_here(client, settings)
        versions = all_versions(client, MODEL)
        return [_version(client, version, aliases, trusted) for version in versions]


def gone_versions(settings: Settings) -> dict[str, int]:
    """The versions that have a stage by the ledger, but have been deleted from MLflow; by alias.

    Raises:
        Unavailable: MLflow failed.
    """
    if not exists(settings):
        return {}
    with mlflow_client(settings) as client:
        there = {int(version.version) for version in all_versions(client, MODEL)}
        staged = aliases_by_ledger(read_ledger(client))
        return {alias: number for alias, number in staged.items() if number not in there}


def show(version: int | str, settings: Settings) -> Version:
    """One version, by number or alias, with its verdict's reasons.

    Raises:
        InputError: no such version.
        Unavailable: MLflow failed.
    """
    with mlflow_client(settings) as client:
        trusted = keys_here(client, settings)
        registered = get_version(client, version)
        brief = _version(client, registered, sync_aliases(client), trusted)
        if brief.verdict == NO_VERDICT:
            return brief
        return replace(brief, reasons=version_verdict(client, registered)[0].reasons)


def download(version: int | str, target: Path, settings: Settings) -> Path:
    """Fetch a version's model folder.

    Args:
        version: a number or an alias, as the ledger has it, whatever MLflow's alias says.
        target: where the folder is to stand. One that already holds this version is kept.

    Raises:
        InputError: no such version, its files are not those that were registered, or nobody who is
            trusted here has signed it.
        Unavailable: MLflow failed.
    """
    download_signed(version, target, settings)
    return target


def download_signed(version: int | str, target: Path, settings: Settings) -> Signed:
    """As `download`; what the signature says of what is in `target` now."""
    with mlflow_client(settings) as client:
        registered = get_version(client, version)
        signed, _ = check_signed(client, registered, settings)
        if target.is_dir() and tree_digest(target) == signed.digest:
            return signed
        with atomic_path(target) as path, tempfile.TemporaryDirectory(dir=path.parent) as folder:
            shutil.move(fetch_model(client, registered.version, signed.digest, Path(folder)), path)
        return signed


def verdict_of(version: int | str, settings: Settings) -> Verdict:
    """The verdict that a version, by number or alias, was registered with.

    Raises:
        InputError: no such version, it has no verdict or another one's, or nobody who is trusted
            here has signed it.
        Unavailable: MLflow failed.
    """
    if not exists(settings):
        raise InputError(f"{version}: no version of {MODEL} is registered yet")
    with mlflow_client(settings) as client:
        registered = get_version(client, version)
        _, verdict = check_signed(client, registered, settings)
        if verdict is None:
            raise InputError(f"version {registered.version}: has no verdict")
        return verdict


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
                trusted = keys_here(client, settings)
                return _version(client, version, sync_aliases(client), trusted)
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
    check_not_deleted(client, LEDGER)
    if number in {entry.to_version for entry in read_ledger(client)}:
        raise InputError(
            f"version {number} is gone: it has been deleted from MLflow, by `registry prune` or by "
            "someone; promote another one"
        )
    raise InputError(f"{version}: there is no such version of {MODEL}")


def _aliased(client: "MlflowClient", alias: str) -> int | None:
    """What an alias stands for, whatever MLflow's own says."""
    if alias == CANDIDATE:
        return next((int(version.version) for version in all_versions(client, MODEL)), None)
    return aliases_by_ledger(read_ledger(client)).get(alias)


def _version(
    client: "MlflowClient",
    version: "ModelVersion",
    aliases: Mapping[str, int],
    trusted: "Mapping[str, Ed25519PublicKey]",
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
        signature=_signature(version, trusted),
    )


def _signature(version: "ModelVersion", trusted: "Mapping[str, Ed25519PublicKey]") -> str:
    if SIGNATURE_TAG not in version.tags:
        return "none"
    try:
        check_tags(version.version, version.tags, trusted)
    except InputError as error:
        return str(error).removeprefix(f"version {version.version}: ")
    return "valid"
