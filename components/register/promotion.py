"""What goes into production, and back: by the ledger, with a name and a verdict on each step."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.conversation import InputError
from components.profile import Settings
from components.register.aliases import sync_aliases
from components.register.connection import exists, mlflow_client
from components.register.errors import Refused
from components.register.evidence import PASS
from components.register.ledger import (
    Action,
    Entry,
    append,
    production_stack,
    read_ledger,
    standing,
)
from components.register.runs import try_to
from components.register.versions import NO_VERDICT, fetch_model, get_version, version_verdict

if TYPE_CHECKING:
    from mlflow import MlflowClient


def promote(
    version: int | str,
    settings: Settings,
    *,
    actor: str,
    reason: str | None = None,
    force: bool = False,
) -> Entry:
    """Put a version into production.

    Its verdict must have passed, and its files must be those that were registered. Promoting what
    is in production already changes nothing.

    Args:
        version: a number, or "candidate".
        settings: where MLflow is.
        actor: who does it.
        reason: why; a must with `force`.
        force: promote whatever the verdict says.

    Returns:
        The ledger's entry that made it production.

    Raises:
        Refused: the verdict does not allow it, or someone else was faster.
        RegistryError: no such version, its files were changed, or MLflow failed.
        InputError: no actor, or force without a reason.
    """
    _check_request(actor, reason, force)
    with mlflow_client(settings) as client:
        entries = read_ledger(client)
        found = get_version(client, version)
        number = int(found.version)
        now = standing(entries)
        if now is not None and now.to_version == number:
            sync_aliases(client)
            return now
        if "verdict" not in found.tags and force:
            decision = NO_VERDICT
        else:
            verdict = version_verdict(client, found)
            decision = verdict.decision
            if decision != PASS and not force:
                raise Refused(f"version {number} is not promoted: its verdict is {verdict}")
        with tempfile.TemporaryDirectory(prefix="moodline-promote-") as room:
            fetch_model(client, found, Path(room))
        return _step(
            client,
            entries,
            actor=actor,
            action="promote",
            to_version=number,
            verdict=decision,
            reason=reason or "",
            forced=decision != PASS,
        )


def rollback(settings: Settings, *, actor: str, reason: str | None = None) -> Entry:
    """Put the version before the present one back into production.

    Again goes back one more: a version that was rolled back is never rolled back to.

    Args:
        settings: where MLflow is.
        actor: who does it.
        reason: why.

    Returns:
        The ledger's entry of it.

    Raises:
        Refused: there is nothing to go back to, or someone else was faster.
        RegistryError: the version is gone, its files were changed, or MLflow failed.
        InputError: no actor.
    """
    _check_request(actor, reason, force=False)
    with mlflow_client(settings) as client:
        entries = read_ledger(client)
        stack = production_stack(entries)
        if len(stack) < 2:
            raise Refused("nothing to roll back to: no earlier version was in production")
        found = get_version(client, stack[-2])
        with tempfile.TemporaryDirectory(prefix="moodline-rollback-") as room:
            fetch_model(client, found, Path(room))
        return _step(
            client,
            entries,
            actor=actor,
            action="rollback",
            to_version=stack[-2],
            verdict=found.tags.get("verdict", NO_VERDICT),
            reason=reason or "",
            forced=False,
        )


def history(settings: Settings) -> list[Entry]:
    """Every attempt to change what is in production, the first one first.

    Raises:
        RegistryError: MLflow failed.
    """
    if not exists(settings):
        return []
    with mlflow_client(settings) as client:
        return read_ledger(client)


def _step(
    client: "MlflowClient",
    entries: Sequence[Entry],
    *,
    actor: str,
    action: Action,
    to_version: int,
    verdict: str,
    reason: str,
    forced: bool,
) -> Entry:
    """Write the next step after the standing one; on success the aliases follow."""
    now = standing(entries)
    mine, ledger = append(
        client,
        actor=actor,
        action=action,
        from_version=now.to_version if now else None,
        to_version=to_version,
        verdict=verdict,
        reason=reason,
        forced=forced,
        follows=now.step if now else 0,
    )
    if not mine.won:
        winner = next(e for e in ledger if e.won and e.follows == mine.follows)
        raise Refused(
            f"version {to_version} is not in production: {winner.actor} put version "
            f"{winner.to_version} there meanwhile; look at the history and decide again"
        )
    # It is in production from here on; aliases that could not be set now, the next reader repairs.
    try_to(lambda: sync_aliases(client), "set the aliases")
    return mine


def _check_request(actor: str, reason: str | None, force: bool) -> None:
    """Who and, if forced, why."""
    if not actor.strip():
        raise InputError("a change of production needs the name of who makes it")
    if force and not (reason or "").strip():
        raise InputError("--force needs a --reason")
