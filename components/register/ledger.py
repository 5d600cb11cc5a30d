"""The ledger of promotions: append-only, kept in MLflow, one entry winning each step.

MLflow sets an alias without compare-and-set: of two people who promote at once, the later write
silently wins. Creating a model version, on the other hand, is atomic: its number is the highest so
far plus one, held unique by the database, and its tags are written in the same transaction. So an
entry of the ledger is a version of a second registered model, `moodline-ledger`, its number is its
place, and its fields are its tags. An entry names the stage it changes and the step it follows
there. Entries are in one total order that all readers see alike, so all agree on who won: the first
entry that follows the stage's standing one. A later entry that follows the same step came too late;
it stays in the ledger as refused. Numbers of deleted versions are never given out again, so a
deleted entry leaves a gap that shows.

The alternative, an entity with a unique name for each step (an experiment `ledger-000017`), is as
atomic, but leaves no trace of the attempts that lost and fills a list that people read.
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from components.base import InputError, Unavailable
from components.register.connection import MODEL, ensure_registered_model, in_turn

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

LEDGER = f"{MODEL}-ledger"

Action = Literal["promote", "rollback"]

Stage = Literal["staging", "production"]

STAGING: Stage = "staging"
"""What is tried out on a part of the traffic."""

PRODUCTION: Stage = "production"
"""What is served."""

_PAGE = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StageChange:
    """One attempt to change what is in production or staging.

    Attributes:
        step: its place in the ledger, from 1.
        at: when, by the clock of MLflow's server.
        actor: who.
        action: what they did.
        stage: where.
        from_version: the version there when they looked; None for none.
        to_version: the version they put there; None: it was emptied (staging only).
        verdict: of `to_version`'s gate at that time.
        reason: why, in their words; empty if not given.
        forced: whether it was done against the verdict.
        follows: the step of the stage's last change that they knew of; 0 for none.
        key: names the attempt, so that one sent twice counts once.
        won: whether it took effect; otherwise someone else was faster.
    """

    step: int
    at: datetime
    actor: str
    action: Action
    stage: Stage
    from_version: int | None
    to_version: int | None
    verdict: str
    reason: str
    forced: bool
    follows: int
    key: str
    won: bool


def read_ledger(client: "MlflowClient") -> list[StageChange]:
    """All entries in order, each with whether it won."""
    versions: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(f"name='{LEDGER}'", max_results=_PAGE, page_token=token)
        versions += page
        token = page.token
        if not token:
            break
    return mark_winners([_stage_change(version) for version in versions])


def mark_winners(entries: Sequence[StageChange]) -> list[StageChange]:
    """Put entries in order and find which of them won.

    An entry wins if it follows its stage's last change. Where the step it follows has been
    deleted from MLflow, the ledger goes on from there, with a warning.
    """
    known = {entry.step for entry in entries}
    marked: list[StageChange] = []
    last: dict[Stage, int] = {STAGING: 0, PRODUCTION: 0}
    keys = set()
    for entry in sorted(entries, key=lambda entry: entry.step):
        before = last[entry.stage]
        deleted = entry.follows > before and entry.follows not in known
        if deleted:
            logger.warning("the ledger's step %d has been deleted from MLflow", entry.follows)
        won = (deleted or entry.follows == before) and entry.key not in keys
        keys.add(entry.key)
        last[entry.stage] = entry.step if won else before
        marked.append(replace(entry, won=won))
    return marked


def append(
    client: "MlflowClient",
    *,
    actor: str,
    action: Action,
    stage: Stage,
    from_version: int | None,
    to_version: int | None,
    verdict: str,
    reason: str,
    forced: bool,
    follows: int,
) -> tuple[StageChange, list[StageChange]]:
    """Write an entry, then see whether it won.

    Returns:
        The entry, and the whole ledger as it stands now.
    """
    ensure_registered_model(
        client,
        LEDGER,
        "Who put which version of Moodline into which stage, when and why. Each version here is "
        "one entry; nothing here is a model. Do not edit or delete.",
    )
    key = uuid.uuid4().hex
    tags = {
        "actor": actor,
        "action": action,
        "stage": stage,
        "from": str(from_version or ""),
        "to": str(to_version or ""),
        "verdict": verdict,
        "reason": reason,
        "forced": str(forced).lower(),
        "follows": str(follows),
        "key": key,
    }
    arrow = f"{stage} {from_version or 'nothing'} → {to_version or 'nothing'}"
    in_turn(
        lambda: client.create_model_version(
            LEDGER,
            source=f"models:/{MODEL}/{to_version or from_version}",
            tags=tags,
            description=f"{actor}: {action} {arrow}" + (f" ({reason})" if reason else ""),
        )
    )
    ledger = read_ledger(client)
    mine = [entry for entry in ledger if entry.key == key]
    if not mine:
        raise Unavailable("the ledger lost an entry right after it was written; try again")
    return next((entry for entry in mine if entry.won), mine[0]), ledger


def last_change(entries: Sequence[StageChange], stage: Stage) -> StageChange | None:
    """The last entry of a stage that won."""
    return next((entry for entry in reversed(entries) if entry.won and entry.stage == stage), None)


def staged(entries: Sequence[StageChange]) -> int | None:
    """The version in staging. It leaves when it is taken out or goes on into production."""
    version = None
    for entry in entries:
        if entry.won and entry.stage == STAGING:
            version = entry.to_version
        elif entry.won and entry.to_version == version:
            version = None
    return version


def production_stack(entries: Sequence[StageChange]) -> list[int]:
    """Versions that were in production and not rolled back, the present one last.

    A promotion puts a version on top, a rollback takes the top one off. So rolling back twice goes
    back two versions, and never forward to one that was rolled back.

        promote 1 · promote 2 · promote 3 · rollback    → [1, 2]
    """
    stack: list[int] = []
    for entry in entries:
        if not entry.won or entry.stage != PRODUCTION or entry.to_version is None:
            continue
        if entry.action == "rollback" and len(stack) > 1:
            stack.pop()
        if not stack or stack[-1] != entry.to_version:
            stack.append(entry.to_version)
    return stack


def _stage_change(version: "ModelVersion") -> StageChange:
    """A version of the ledger's registered model as an entry; `mark_winners` says if it won."""
    tags = version.tags
    try:
        return StageChange(
            step=int(version.version),
            at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
            actor=tags["actor"],
            action="rollback" if tags["action"] == "rollback" else "promote",
            # An entry from before there was staging names no stage.
            stage=STAGING if tags.get("stage") == STAGING else PRODUCTION,
            from_version=int(tags["from"]) if tags.get("from") else None,
            to_version=int(tags["to"]) if tags["to"] else None,
            verdict=tags["verdict"],
            reason=tags.get("reason", ""),
            forced=tags["forced"] == "true",
            follows=int(tags["follows"]),
            key=tags["key"],
            won=False,
        )
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{LEDGER} version {version.version}: is not an entry of the ledger ({error!r}); "
            "someone has edited it in MLflow"
        ) from None
