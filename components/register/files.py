"""A version's files: fetched from MLflow, and held against what was registered."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError, file_digest, tree_digest
from components.register.package import MODEL_FOLDER, VERDICT_FILE
from components.scoring import Verdict, read_verdict
from components.tracking import MODEL

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def version_verdict(client: "MlflowClient", version: "ModelVersion") -> tuple[Verdict, str]:
    """The verdict that was registered with a version, and the SHA-256 of its file.

    Raises:
        InputError: it has none, not the one that its tag says, or one of another model.
    """
    name, tag = f"version {version.version}", version.tags.get("verdict")
    digest = version.tags.get("digest", "none")
    if tag is None:
        raise InputError(f"{name}: has no verdict")
    with tempfile.TemporaryDirectory(prefix="moodline-verdict-") as folder:
        path = fetch(client, version.version, VERDICT_FILE, Path(folder))
        try:
            verdict, file = read_verdict(path), file_digest(path)
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
    return verdict, file


def check_files(client: "MlflowClient", number: str, digest: str) -> None:
    """Refuse a version whose files are not those that were registered; see `fetch_model`."""
    with tempfile.TemporaryDirectory(prefix="moodline-check-") as folder:
        fetch_model(client, number, digest, Path(folder))


def fetch_model(client: "MlflowClient", number: str, digest: str, into: Path) -> Path:
    """Download a version's model folder into `into` and compare it with what was registered.

    Args:
        number: the version's.
        digest: of the folder that was registered; it must come from what was proven, as tags can
            change meanwhile.

    Raises:
        InputError: it is not the same.
    """
    folder = fetch(client, number, MODEL_FOLDER, into)
    actual = tree_digest(folder)
    if actual != digest:
        raise InputError(
            f"version {number}: its files have digest {actual[:12]}, registered was "
            f"{digest[:12]}; they were changed or damaged, so nothing was done"
        )
    return folder


def fetch(client: "MlflowClient", number: str, path: str, into: Path) -> Path:
    """Download a file or folder of a version's package; where it is now."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    source = client.get_model_version_download_uri(MODEL, number)
    repository = get_artifact_repository(source, client.tracking_uri, client.tracking_uri)
    return Path(repository.download_artifacts(path, str(into)))
