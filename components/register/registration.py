"""A model becomes a version in MLflow: whole, or not at all."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError, file_digest, tree_digest
from components.config import Settings
from components.register.aliases import CANDIDATE
from components.register.card import version_card
from components.register.evidence import Lineage, evidence_key, read_metrics
from components.register.ledger import LEDGER
from components.register.package import CARD, check_model_folder, model_package
from components.register.runs import best_effort, evidence_folder, evidence_run, note_pipeline_run
from components.register.signature import SIGNATURE_TAG, sign
from components.register.trust import check_tags, keys_here, signing_key
from components.scoring import read_verdict
from components.tracking import (
    MODEL,
    check_not_deleted,
    ensure_registered_model,
    mlflow_client,
    with_retries,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def register(
    model: Path, metrics: Path, report: Path, verdict: Path, lineage: Lineage, settings: Settings
) -> int:
    """Register a model's folder as a new version of `moodline`, and make it the candidate.

    One MLflow run holds the profile's entries as parameters, the metrics, the report, the verdict
    and the lineage; one logged model holds the folder and, again, the evidence. The version is
    created last, in one transaction, with its tags: before that there is no version, after it the
    version is whole.

    This machine's key signs the model's digest together with the verdict; what is not signed is
    neither promoted nor served. Any verdict may be registered, since a person may want to decide;
    `promote` asks for one that passed. What is registered with the very same evidence already
    stays the version that it is.

    Args:
        model: the model's folder; `metrics.json` and `verdict.json` must be of its digest.

    Returns:
        The version's number.

    Raises:
        InputError: a file is missing or not what it should be.
        Unavailable: MLflow failed; nothing was registered.
    """
    check_model_folder(model)
    decided, digest, measured = read_verdict(verdict), tree_digest(model), read_metrics(metrics)
    for file, relation, named in (
        (metrics, "was measured on", measured.get("model")),
        (verdict, "is about", decided.model),
    ):
        if named != digest:
            raise InputError(
                f"{file}: {relation} a model of digest {named}, but that of {model} is {digest}; "
                "nothing was registered"
            )
    tags = lineage.tags() | {"digest": digest, "verdict": decided.decision}
    tags["evidence"] = evidence_key(metrics, verdict, lineage)
    card = version_card((model / CARD).read_text(encoding="utf-8"), measured, decided)
    with mlflow_client(settings) as client, evidence_folder(metrics, report, verdict) as evidence:
        (evidence / CARD).write_text(card, encoding="utf-8")
        check_not_deleted(client, LEDGER)
        ensure_registered_model(
            client, MODEL, "Emotions of speaker turns, from their sound and words."
        )
        known = _find_version(client, tags, keys_here(client, settings))
        if known is not None:
            if known.run_id:
                note_pipeline_run(client, known.run_id, lineage, digest)
            return int(known.version)
        key = signing_key(client, settings)
        tags[SIGNATURE_TAG] = sign(key, digest, file_digest(verdict), how="moodline registered it")
        with (
            model_package(model, evidence) as package,
            evidence_run(client, settings, evidence, lineage, tags) as run_id,
        ):
            return _create_version(client, run_id, package, tags)


def _find_version(
    client: "MlflowClient", tags: dict[str, str], trusted: "Mapping[str, Ed25519PublicKey]"
) -> "ModelVersion | None":
    """The version that was made of the same evidence; its run is ended, if a kill kept it open."""
    found = client.search_model_versions(f"name='{MODEL}' and tags.evidence='{tags['evidence']}'")
    same = [version for version in found if _is_ours(version, tags["digest"], trusted)]
    first = min(same, key=lambda version: int(version.version), default=None)
    if first is None:
        return None
    if first.run_id and client.get_run(first.run_id).info.status == "RUNNING":
        best_effort(partial(client.set_terminated, first.run_id), f"end run {first.run_id}")
    return first


def _is_ours(
    version: "ModelVersion", digest: str, trusted: "Mapping[str, Ed25519PublicKey]"
) -> bool:
    """Anybody who may write MLflow can give a version the evidence's tag."""
    try:
        return check_tags(version.version, version.tags, trusted).digest == digest
    except InputError:
        return False


def _create_version(
    client: "MlflowClient", run_id: str, package: Path, tags: dict[str, str]
) -> int:
    """Upload the package, then create the version that points to it."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment, name=MODEL, source_run_id=run_id, tags=tags)
    try:
        client.log_model_artifacts(logged.model_id, str(package))
        client.finalize_logged_model(logged.model_id, "READY")
        try:
            version = with_retries(
                lambda: client.create_model_version(
                    MODEL,
                    source=logged.artifact_location,
                    run_id=run_id,
                    model_id=logged.model_id,
                    tags=tags,
                )
            )
        except MlflowException:
            # The answer may have been lost on the way back; then the version is there.
            created = client.search_model_versions(f"name='{MODEL}' and run_id='{run_id}'")
            if not created:
                raise
            version = created[0]
    except BaseException:
        name = f"delete model {logged.model_id}"
        best_effort(lambda: client.delete_logged_model(logged.model_id), name)
        raise
    # The alias only mirrors "the newest version": reading the registry repairs it.
    number = str(version.version)
    best_effort(
        lambda: client.set_registered_model_alias(MODEL, CANDIDATE, number), "set candidate"
    )
    return int(number)
