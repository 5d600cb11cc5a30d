"""Which versions are trusted: those whose model and verdict a trusted key has signed together."""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError, migrated
from components.config import Settings
from components.config.cluster import TEMPORARY_HOME
from components.register.files import version_verdict
from components.register.keys import (
    keep_public,
    make_key,
    private_key,
    signing_folder,
    trusted_keys,
)
from components.register.signature import SIGNATURE_TAG, Signed, read_signature, sign
from components.scoring import Verdict
from components.tracking import MODEL, all_versions, faults, with_retries

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_OLDER = "it stood in this home's own registry before there were signatures"

logger = logging.getLogger(__name__)


class NotTrustedError(InputError):
    """A version is not signed, or not as it is, by anybody who is trusted here."""


def check_signed(
    client: "MlflowClient", version: "ModelVersion", settings: Settings
) -> tuple[Signed, Verdict | None]:
    """See that a trusted key has signed a version's model together with its verdict.

    Returns:
        What the signature says, and the verdict that it is of, if there is one. Tags and files can
        change at any moment: only these two were proven.

    Raises:
        NotTrustedError: it is not signed by anybody who is trusted here, or it is signed for
            another model or verdict.
    """
    trusted = keys_here(client, settings)
    # Just signed, where the home is an older one.
    version = client.get_model_version(MODEL, version.version)
    verdict, digest = verdict_if_any(client, version)
    signed = check_tags(version.version, version.tags, trusted)
    if signed.verdict != digest:
        raise NotTrustedError(
            f"version {version.version}: its signature is of another verdict, not of its own"
        )
    return signed, verdict


def check_tags(
    number: str, tags: Mapping[str, str], trusted: "Mapping[str, Ed25519PublicKey]"
) -> Signed:
    """As `check_signed`, but for the verdict's file, which is not looked at.

    Raises:
        InputError: as `check_signed`.
    """
    location = f"version {number}"
    if SIGNATURE_TAG not in tags:
        raise NotTrustedError(
            f"{location}: is not signed; if you know where it comes from: "
            f"moodline registry sign {number} --reason …"
        )
    try:
        signed = read_signature(tags[SIGNATURE_TAG], trusted, location)
    except InputError as error:
        raise NotTrustedError(str(error)) from None
    if signed.digest != tags.get("digest"):
        raise NotTrustedError(
            f"{location}: its signature is of model {signed.digest[:12]}, not of its own, "
            f"{tags.get('digest', 'none')[:12]}"
        )
    return signed


def check_envelope(number: int, digest: str, envelope: str, settings: Settings) -> None:
    """As `check_signed`, of a version that was fetched before: without asking the registry.

    Args:
        number: the version's.
        digest: of the model's folder.
        envelope: its signature.
        settings: where the trusted keys are.

    Raises:
        NotTrustedError: nobody who is trusted here has signed that model.
    """
    tags = {"digest": digest, **({SIGNATURE_TAG: envelope} if envelope else {})}
    check_tags(str(number), tags, trusted_keys(settings))


def verdict_if_any(client: "MlflowClient", version: "ModelVersion") -> tuple[Verdict | None, str]:
    """A version's verdict and the SHA-256 of its `verdict.json`; None and "" if it has none.

    Raises:
        InputError: as `version_verdict`.
    """
    return version_verdict(client, version) if "verdict" in version.tags else (None, "")


def signing_key(client: "MlflowClient", settings: Settings) -> "Ed25519PrivateKey":
    """The key that this machine signs with; it is made when there is none.

    Raises:
        InputError: the key that there is cannot be used, or one that was made here would be lost.
    """
    keys_here(client, settings)
    key = private_key(settings)
    if key is None:
        if settings.home == Path(TEMPORARY_HOME):
            raise InputError(
                "there is no signing key, and one that is made in this pod would be lost with it; "
                "put one into a secret and hand it to the steps as MOODLINE_SIGNING_KEY "
                "(cluster.secrets)"
            )
        return make_key(signing_folder(settings))
    if not settings.signing_key:
        keep_public(signing_folder(settings), key.public_key())
    return key


def keys_here(client: "MlflowClient", settings: Settings) -> "dict[str, Ed25519PublicKey]":
    """The public keys that are trusted here, by fingerprint.

    A home from before there were signatures signs what it registered itself, once: the versions in
    the database that lies in it. What lies on a server may come from anybody.
    """
    if _holds_the_registry(settings) and not signing_folder(settings).exists():
        with _alone(settings.home):
            if not signing_folder(settings).exists():
                _sign_older(client, settings)
    return trusted_keys(settings)


def _holds_the_registry(settings: Settings) -> bool:
    if not settings.mlflow_uri.startswith("sqlite:"):
        return False
    from sqlalchemy.engine import make_url

    path = make_url(settings.mlflow_uri).database
    return path is not None and Path(path).resolve().parent == settings.home.resolve()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sign_older(client: "MlflowClient", settings: Settings) -> None:
    """Sign all versions, then give the key its place. If this is killed, the next goes on."""
    older = [v for v in reversed(all_versions(client, MODEL)) if SIGNATURE_TAG not in v.tags]
    folder = signing_folder(settings)
    new = folder.with_name(f"{folder.name}.new")
    if not older and not new.exists():
        folder.mkdir(mode=0o700, exist_ok=True)  # so that nothing that comes later counts as older
        return
    key = private_key(settings)
    if key is None:
        key = make_key(new)
    else:
        new.mkdir(exist_ok=True)
        keep_public(new, key.public_key())
    numbers: list[str] = []
    damaged: tuple[type[Exception], ...] = (InputError, *faults())
    for version in older:
        try:
            _, verdict = verdict_if_any(client, version)
        except damaged as error:  # one of them must not keep the others
            logger.warning("version %s is not signed: %s", version.version, error)
            continue
        envelope = sign(key, version.tags.get("digest", ""), verdict, how=_OLDER)
        put_signature(client, version.version, envelope)
        numbers.append(str(version.version))
    new.rename(folder)
    migrated(folder, f"its key signed what was registered here before: {', '.join(numbers)}")


def put_signature(client: "MlflowClient", number: str, envelope: str) -> None:
    """Keep a version's signature with it."""
    with_retries(lambda: client.set_model_version_tag(MODEL, number, SIGNATURE_TAG, envelope))
