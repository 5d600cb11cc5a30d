"""What goes into production or staging, and back: by the ledger, with a name and a verdict."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.base import InputError, Refused
from components.config import Settings
from components.register.aliases import sync_aliases
from components.register.files import check_files
from components.register.keys import private_key
from components.register.ledger import (
    PRODUCTION,
    STAGING,
    Action,
    Stage,
    StageChange,
    append,
    audited,
    last_change,
    production_stack,
    read_ledger,
    staged,
)
from components.register.pruning import why_gone
from components.register.runs import best_effort
from components.register.trust import check_signed, keys_here
from components.register.versions import NO_VERDICT, get_version
from components.register.words import check_actor, check_reason
from components.scoring import INCONCLUSIVE, PASS, Verdict
from components.tracking import exists, mlflow_client

if TYPE_CHECKING:
    from mlflow import MlflowClient


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
        actor: who does it.
        reason: why; a must with `force`, and where the verdict is inconclusive.
        force: promote whatever the verdict says.

    Returns:
        The ledger's entry that put it there.

    Raises:
        Refused: the verdict does not allow it, someone else was faster, it is being deleted, or it
            was to go back from production to staging.
        InputError: no such version, its files were changed, or nobody who is trusted has signed
            it; no actor, no such stage, force without a reason, or a reason too long.
        Unavailable: MLflow failed.
    """
    _check_request(actor, to, reason)
    if force and not (reason or "").strip():
        raise InputError("--force needs a --reason")
    with mlflow_client(settings) as client:
        entries = read_ledger(client)
        candidate = get_version(client, version)
        number = int(candidate.version)
        last = last_change(entries, to)
        if last is not None and _present(entries, to) == number:
            sync_aliases(client)
            return last
        if _present(entries, PRODUCTION) == number:
            raise Refused(f"version {number} is in production already")
        if "verdict" not in candidate.tags:
            _without_verdict(number, force)
        signed, judged = check_signed(client, candidate, settings)
        decision = _decision(number, judged, reason, force)
        check_files(client, candidate.version, signed.digest)
        change = StageChange(
            actor=actor,
            action="promote",
            stage=to,
            from_version=_present(entries, to),
            to_version=number,
            verdict=decision,
            reason=reason or "",
            forced=force and decision != PASS,
            follows=last.step if last else 0,
        )
        return _apply(client, change, settings)


def rollback(
    settings: Settings,
    *,
    actor: str,
    reason: str | None = None,
    stage: Stage = PRODUCTION,
    version: int | None = None,
) -> StageChange:
    """Put the version before the present one back into production, or empty staging.

    Doing it again goes back one more: no version that was rolled back comes back by this. From
    staging a version can only be taken out: what was tried there before was left for a reason.

    Args:
        version: the one that is to be taken back: if another one is there by now, nothing is done.

    Returns:
        The ledger's entry of it.

    Raises:
        Refused: there is nothing to go back to, someone else was faster, or that version is being
            deleted, or is not there.
        InputError: the version is gone, its files were changed, or nobody who is trusted has
            signed it; no actor, no such stage, or a reason too long.
        Unavailable: MLflow failed.
    """
    _check_request(actor, stage, reason)
    with mlflow_client(settings) as client:
        entries = read_ledger(client)
        present, target = _present(entries, stage), None
        if version not in (None, present):
            there = "nothing" if present is None else f"version {present}"
            raise Refused(f"version {version} is not in {stage} any more: there is {there}")
        if stage == STAGING:
            if present is None:
                raise Refused("nothing to take back: no version is in staging")
            verdict = _verdict_tag(client, present)
        else:
            stack = production_stack(entries)
            if len(stack) < 2:
                raise Refused("nothing to roll back to: no earlier version was in production")
            target = stack[-2]
            former = get_version(client, target)
            signed, judged = check_signed(client, former, settings)
            verdict = judged.decision if judged else NO_VERDICT
            check_files(client, former.version, signed.digest)
        last = last_change(entries, stage)
        change = StageChange(
            actor=actor,
            action="rollback",
            stage=stage,
            from_version=present,
            to_version=target,
            verdict=verdict,
            reason=reason or "",
            follows=last.step if last else 0,
        )
        return _apply(client, change, settings)


def history(settings: Settings) -> list[StageChange]:
    """Every attempt to change what is in production or staging, the first one first.

    An entry that is not as it was written has a `fault`.

    Raises:
        Unavailable: MLflow failed.
    """
    if not exists(settings):
        return []
    with mlflow_client(settings) as client:
        return audited(client, keys_here(client, settings))


def _decision(number: int, verdict: Verdict | None, reason: str | None, force: bool) -> str:
    """The decision of a version's verdict, if it may be promoted on it.

    Raises:
        Refused: it may not.
        InputError: it has no verdict.
    """
    if verdict is None:
        return _without_verdict(number, force)
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


def _without_verdict(number: int, force: bool) -> str:
    if not force:
        raise InputError(f"version {number}: has no verdict")
    return NO_VERDICT


def _present(entries: Sequence[StageChange], stage: Stage) -> int | None:
    """The version that is in a stage now."""
    if stage == STAGING:
        return staged(entries)
    return next(reversed(production_stack(entries)), None)


def _apply(client: "MlflowClient", change: StageChange, settings: Settings) -> StageChange:
    """Write a change into the ledger; if it wins, the aliases follow.

    A version that is deleted meanwhile does not stay there: what was there before comes back.
    """
    number = change.to_version
    if number is not None and (why := why_gone(client, number)):
        raise Refused(f"version {number} is not in {change.stage}: {why}; look at `registry list`")
    change, ledger = append(client, change, private_key(settings))
    if not change.won:
        position = (change.stage, change.follows)
        winner = next(e for e in ledger if e.won and (e.stage, e.follows) == position)
        did = f"put version {winner.to_version} there" if winner.to_version else "emptied it"
        result = f"version {change.to_version} is not in {change.stage}"
        if change.to_version is None:
            result = f"{change.stage} is not emptied"
        raise Refused(
            f"{result}: {winner.who} {did} meanwhile; look at the history and decide again"
        )
    if number is not None and (why := why_gone(client, number)):
        back = _take_back(client, change, ledger, settings, why)
        best_effort(lambda: sync_aliases(client), "set the aliases")
        raise Refused(f"version {number} is not in {change.stage}: {why}; {back}")
    # It is there from here on; aliases that could not be set now, the next reader repairs.
    best_effort(lambda: sync_aliases(client), "set the aliases")
    return change


def _take_back(
    client: "MlflowClient",
    change: StageChange,
    ledger: Sequence[StageChange],
    settings: Settings,
    why: str,
) -> str:
    """Undo a change that has won; what was done."""
    action: Action = "promote" if change.action == "rollback" else "rollback"
    back = change.from_version if change.action == "rollback" else None
    if change.stage == PRODUCTION and back is None:
        back = next(iter(production_stack(ledger)[-2:-1]), None)
        if back is None:
            return "no version was in production before it: promote another one"
    verdict = _verdict_tag(client, back or change.to_version or 0)
    undone = StageChange(
        actor=change.actor,
        action=action,
        stage=change.stage,
        from_version=change.to_version,
        to_version=back,
        verdict=verdict,
        reason=f"{why} meanwhile",
        forced=action == "promote" and verdict != PASS,
        follows=change.step,
    )
    append(client, undone, private_key(settings))
    return f"version {back} is there again" if back else f"{change.stage} is empty"


def _verdict_tag(client: "MlflowClient", number: int) -> str:
    """The verdict of a version as its tag has it; of one that was deleted nothing is known."""
    try:
        return get_version(client, number).tags.get("verdict", NO_VERDICT)
    except InputError:
        return NO_VERDICT


def _check_request(actor: str, stage: str, reason: str | None) -> None:
    check_actor(actor)
    check_reason(reason or "")
    if stage not in (STAGING, PRODUCTION):
        raise InputError(f"{stage}: no such stage; there are {STAGING} and {PRODUCTION}")
