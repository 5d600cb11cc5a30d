"""The ledger of promotions: append-only, kept in MLflow, one entry winning each step.

MLflow sets an alias without compare-and-set: of two people who promote at once, the later write
silently wins. Creating a model version, on the other hand, is atomic: its number is the highest so
far plus one, held unique by the database, and its tags are written in the same transaction. So an
entry of the ledger is a version of a second registered model, `moodline-ledger`, its number is its
place, and its fields are its tags. An entry names the step it follows. Entries are in one total
order that all readers see alike, so all agree on who won: the first entry that follows the
standing one. A later entry that follows the same step came too late; it stays in the ledger as
refused. Numbers of deleted versions are never given out again, so a deleted entry leaves a gap
that shows.

The alternative, an entity with a unique name for each step (an experiment `ledger-000017`), is as
atomic, but leaves no trace of the attempts that lost and fills a list that people read.
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from components.register.connection import MODEL, ensure_registered_model, in_turn
from components.register.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

LEDGER = f"{MODEL}-ledger"

Action = Literal["promote", "rollback"]

_PAGE = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt to change what is in production.

    Attributes:
        step: its place in the ledger, from 1.
        at: when, by the clock of MLflow's server.
        actor: who.
        action: what they did.
        from_version: the version in production when they looked; None for the first.
        to_version: the version they put there.
        verdict: of `to_version`'s gate at that time.
        reason: why, in their words; empty if not given.
        forced: whether it was done against the verdict.
        follows: the standing step that they knew of; 0 for none.
        key: names the attempt, so that one sent twice counts once.
        won: whether it took effect; otherwise someone else was faster.
    """

    step: int
    at: datetime
    actor: str
    action: Action
    from_version: int | None
    to_version: int
    verdict: str
    reason: str
    forced: bool
    follows: int
    key: str
    won: bool


def read_ledger(client: "MlflowClient") -> list[Entry]:
    """All entries in order, each with whether it won."""
    versions: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(f"name='{LEDGER}'", max_results=_PAGE, page_token=token)
        versions += page
        token = page.token
        if not token:
            break
    return judge([_entry(version) for version in versions])


def judge(entries: Sequence[Entry]) -> list[Entry]:
    """Put entries in order and find which of them won.

    An entry wins if it follows the standing step. Where the step it follows has been deleted from
    MLflow, the ledger goes on from there, with a warning.
    """
    known = {entry.step for entry in entries}
    judged: list[Entry] = []
    standing, keys = 0, set()
    for entry in sorted(entries, key=lambda entry: entry.step):
        torn = entry.follows > standing and entry.follows not in known
        if torn:
            logger.warning("the ledger's step %d has been deleted from MLflow", entry.follows)
        won = (torn or entry.follows == standing) and entry.key not in keys
        keys.add(entry.key)
        standing = entry.step if won else standing
        judged.append(replace(entry, won=won))
    return judged


def append(
    client: "MlflowClient",
    *,
    actor: str,
    action: Action,
    from_version: int | None,
    to_version: int,
    verdict: str,
    reason: str,
    forced: bool,
    follows: int,
) -> tuple[Entry, list[Entry]]:
    """Write an entry, then see whether it won.

    Returns:
        The entry, and the whole ledger as it stands now.
    """
    ensure_registered_model(
        client,
        LEDGER,
        "Who put which version of Moodline into production, when and why. Each version here is one "
        "entry; nothing here is a model. Do not edit or delete.",
    )
    key = uuid.uuid4().hex
    tags = {
        "actor": actor,
        "action": action,
        "from": "" if from_version is None else str(from_version),
        "to": str(to_version),
        "verdict": verdict,
        "reason": reason,
        "forced": str(forced).lower(),
        "follows": str(follows),
        "key": key,
    }
    arrow = f"{from_version or 'nothing'} → {to_version}"
    in_turn(
        lambda: client.create_model_version(
            LEDGER,
            source=f"models:/{MODEL}/{to_version}",
            tags=tags,
            description=f"{actor}: {action} {arrow}" + (f" ({reason})" if reason else ""),
        )
    )
    ledger = read_ledger(client)
    mine = [entry for entry in ledger if entry.key == key]
    if not mine:
        raise RegistryError("the ledger lost an entry right after it was written; try again")
    return next((entry for entry in mine if entry.won), mine[0]), ledger


def standing(entries: Sequence[Entry]) -> Entry | None:
    """The last entry that won: what it put into production is in production."""
    return next((entry for entry in reversed(entries) if entry.won), None)


def production_stack(entries: Sequence[Entry]) -> list[int]:
    """Versions that were in production and not rolled back, the present one last.

    A promotion puts a version on top, a rollback takes the top one off. So rolling back twice goes
    back two versions, and never forward to one that was rolled back.

        promote 1 · promote 2 · promote 3 · rollback    → [1, 2]
    """
    stack: list[int] = []
    for entry in entries:
        if not entry.won:
            continue
        if entry.action == "rollback" and len(stack) > 1:
            stack.pop()
        if not stack or stack[-1] != entry.to_version:
            stack.append(entry.to_version)
    return stack


def _entry(version: "ModelVersion") -> Entry:
    """A version of the ledger's registered model as an entry; `judge` decides whether it won."""
    tags = version.tags
    try:
        return Entry(
            step=int(version.version),
            at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
            actor=tags["actor"],
            action="rollback" if tags["action"] == "rollback" else "promote",
            from_version=int(tags["from"]) if tags.get("from") else None,
            to_version=int(tags["to"]),
            verdict=tags["verdict"],
            reason=tags.get("reason", ""),
            forced=tags["forced"] == "true",
            follows=int(tags["follows"]),
            key=tags["key"],
            won=False,
        )
    except (KeyError, ValueError) as error:
        raise RegistryError(
            f"{LEDGER} version {version.version}: is not an entry of the ledger ({error!r}); "
            "someone has edited it in MLflow"
        ) from None
