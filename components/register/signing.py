"""A person's signature under a version that has none, and the key that this machine signs with."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from components.base import InputError
from components.config import Settings
from components.register.files import fetch_model
from components.register.keys import (
    PRIVATE,
    make_key,
    private_key,
    public_line,
    signing_folder,
)
from components.register.signature import Signed, sign
from components.register.trust import (
    check_signed,
    check_tags,
    keys_here,
    put_signature,
    signing_key,
    verdict_if_any,
)
from components.register.versions import get_version
from components.register.words import check_actor, check_reason
from components.tracking import MODEL, exists, mlflow_client


def sign_version(
    version: int | str, settings: Settings, *, actor: str, reason: str
) -> tuple[int, Signed]:
    """Vouch for a version that nobody who is trusted here has signed.

    Its files and its verdict must be those that its tags name.

    Args:
        version: a number or an alias.
        settings: where MLflow is.
        actor: who vouches for it.
        reason: why; it is kept in the signature.

    Returns:
        Its number, and what its signature says; one that counts already is left as it is.

    Raises:
        InputError: no such version, its files or its verdict were changed, no reason, or one too
            long.
        Unavailable: MLflow failed.
    """
    check_actor(actor)
    check_reason(reason)
    if not reason.strip():
        raise InputError("a signature needs a --reason: how you know where the version comes from")
    if not exists(settings):
        raise InputError(f"{version}: no version of {MODEL} is registered yet")
    with mlflow_client(settings) as client:
        trusted = keys_here(client, settings)
        registered = get_version(client, version)
        try:
            check_tags(registered.version, registered.tags, trusted)
        except InputError:
            _, verdict = verdict_if_any(client, registered)
            with tempfile.TemporaryDirectory(prefix="moodline-sign-") as folder:
                fetch_model(client, registered.version, registered.tags["digest"], Path(folder))
            envelope = sign(
                signing_key(client, settings),
                registered.tags["digest"],
                verdict,
                how="by a person",
                actor=actor,
                reason=reason,
                at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            put_signature(client, registered.version, envelope)
        return int(registered.version), check_signed(client, registered, settings)[0]


def public_key(settings: Settings, *, new: bool = False) -> str:
    """The public half of the key that this machine signs with, in OpenSSH's form.

    Args:
        settings: where the key is, and MLflow: the first key of an older home signs what is there.
        new: sign with a new key from now on. What the old one signed counts until its `.pub` is
            removed from `<home>/signing`.

    Raises:
        InputError: the key cannot be used, or a new one was asked for where the environment brings
            the key.
        Unavailable: MLflow failed.
    """
    if exists(settings):
        with mlflow_client(settings) as client:
            keys_here(client, settings)
    key, folder = private_key(settings), signing_folder(settings)
    if new:
        if settings.signing_key:
            raise InputError("the key comes from MOODLINE_SIGNING_KEY; change it there")
        (folder / PRIVATE).unlink(missing_ok=True)
        key = None
    return public_line((key or make_key(folder)).public_key())
