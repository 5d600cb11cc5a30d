"""What goes into production or staging, and back: by the ledger, with a name and a verdict."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError, Refused
from components.config import Settings
from components.register.aliases import sync_aliases
from components.register.connection import exists, mlflow_client
from components.register.ledger import (
    PRODUCTION,
    STAGING,
    Stage,
    StageChange,
    append,
    last_change,
    production_stack,
    read_ledger,
    staged,
)
from components.register.runs import try_to
from components.register.versions import NO_VERDICT, fetch_model, get_version, version_verdict
from components.scoring import INCONCLUSIVE, PASS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def promote(
    version: int | str,
    settings: Settings,
    *,
    actor: str,
    reason: str | None = None,
    force: bool = False,
    to: Stage = PRODUCTION,
) -> StageChange:
    """Put a version into production, or into staging.

    Its verdict must have passed; where it is inconclusive, a person has decided, who says why. Its
    files must be those that were registered. Promoting what is there already changes nothing. A
    version that goes from staging into production leaves staging.

    Args:
        version: a number, or an alias.
        settings: where MLflow is.
        actor: who does it.
        reason: why; a must with `force`, and where the verdict is inconclusive.
        force: promote whatever the verdict says.
        to: the stage.

    Returns:
        The ledger's entry that put it there.

    Raises:
        Refused: the verdict does not allow it, someone else was faster, or it was to go back from
            production to staging.
        InputError: no such version, its files were changed.
        Unavailable: MLflow failed.
        InputError: no actor, no such stage, or force without a reason.
    """
    _check_request(actor, to)
    if force and not (reason or "").strip():
        raise InputError("--force needs a --reason")
    with mlflow_client(settings) as client:
        entries = read_ledger(client)
        candidate = get_version(client, version)
        number = int(candidate.version)
        here, serving = _present(entries, to), _present(entries, PRODUCTION)
        last = last_change(entries, to)
        if last is not None and here == number:
            sync_aliases(client)
            return last
        if serving == number:
            raise Refused(f"version {number} is in production already")
        decision = _decision(client, candidate, reason, force)
        with tempfile.TemporaryDirectory(prefix="moodline-promote-") as folder:
            fetch_model(client, candidate, Path(folder))
        change = StageChange(
            actor=actor,
            action="promote",
            stage=to,
            from_version=here,
            to_version=number,
            verdict=decision,
            reason=reason or "",
            forced=force and decision != PASS,
            follows=last.step if last else 0,
        )
        return _apply(client, change)


def rollback(
    settings: Settings, *, actor: str, reason: str | None = None, stage: Stage = PRODUCTION
) -> StageChange:
    """Put the version before the present one back into production, or empty staging.

    Again goes back one more: a version that was rolled back is never rolled back to. Staging has
    no way back but out: what was tried there before was left for a reason.

    Args:
        settings: where MLflow is.
        actor: who does it.
        reason: why.
        stage: which one.

    Returns:
        The ledger's entry of it.

    Raises:
        Refused: there is nothing to go back to, or someone else was faster.
        InputError: the version is gone, its files were changed.
        Unavailable: MLflow failed.
        InputError: no actor, or no such stage.
    """
    _check_request(actor, stage)
    with mlflow_client(settings) as client:
        entries = read_ledger(client)
        target = None
        if stage == STAGING:
            present = staged(entries)
            if present is None:
                raise Refused("nothing to take back: no version is in staging")
            verdict = get_version(client, present).tags.get("verdict", NO_VERDICT)
        else:
            stack = production_stack(entries)
            if len(stack) < 2:
                raise Refused("nothing to roll back to: no earlier version was in production")
            target = stack[-2]
            previous = get_version(client, target)
            verdict = previous.tags.get("verdict", NO_VERDICT)
            with tempfile.TemporaryDirectory(prefix="moodline-rollback-") as folder:
                fetch_model(client, previous, Path(folder))
        last = last_change(entries, stage)
        change = StageChange(
            actor=actor,
            action="rollback",
            stage=stage,
            from_version=_present(entries, stage),
            to_version=target,
            verdict=verdict,
            reason=reason or "",
            follows=last.step if last else 0,
        )
        return _apply(client, change)


def history(settings: Settings) -> list[StageChange]:
    """Every attempt to change what is in production or staging, the first one first.

    Raises:
        Unavailable: MLflow failed.
    """
    if not exists(settings):
        return []
    with mlflow_client(settings) as client:
        return read_ledger(client)


def _decision(
    client: "MlflowClient", version: "ModelVersion", reason: str | None, force: bool
) -> str:
    """The decision of a version's verdict, if it may be promoted on it.

    Raises:
        Refused: it may not.
        InputError: it has no verdict, or not the one that was registered.
    """
    if "verdict" not in version.tags and force:
        return NO_VERDICT
    verdict, number = version_verdict(client, version), version.version
    if verdict.decision == PASS or force:
        return verdict.decision
    if verdict.decision != INCONCLUSIVE:
        raise Refused(f"version {number} is not promoted: its verdict is {verdict}")
    if not (reason or "").strip():
        raise Refused(
            f"version {number} is not promoted: its verdict is {verdict}; a person must decide, "
            "and say why with --reason"
        )
    return verdict.decision


def _present(entries: Sequence[StageChange], stage: Stage) -> int | None:
    """The version that is in a stage now."""
    if stage == STAGING:
        return staged(entries)
    return next(reversed(production_stack(entries)), None)


def _apply(client: "MlflowClient", change: StageChange) -> StageChange:
    """Write a change into the ledger; if it wins, the aliases follow."""
    change, ledger = append(client, change)
    if not change.won:
        position = (change.stage, change.follows)
        winner = next(e for e in ledger if e.won and (e.stage, e.follows) == position)
        did = (
            "emptied it" if winner.to_version is None else f"put version {winner.to_version} there"
        )
        result = (
            f"{change.stage} is not emptied"
            if change.to_version is None
            else f"version {change.to_version} is not in {change.stage}"
        )
        raise Refused(
            f"{result}: {winner.actor} {did} meanwhile; look at the history and decide again"
        )
    # It is there from here on; aliases that could not be set now, the next reader repairs.
    try_to(lambda: sync_aliases(client), "set the aliases")
    return change


def _check_request(actor: str, stage: str) -> None:
    if not actor.strip():
        raise InputError("a change of what is served needs the name of who makes it")
    if stage not in (STAGING, PRODUCTION):
        raise InputError(f"{stage}: no such stage; there are {STAGING} and {PRODUCTION}")
