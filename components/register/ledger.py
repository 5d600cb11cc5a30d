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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from components.base import InputError, Unavailable
from components.register.chain import SEAL, faults_in, linked, sealed
from components.tracking import (
    MODEL,
    account_name,
    all_versions,
    ensure_registered_model,
    ignored,
    with_retries,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

LEDGER = f"{MODEL}-ledger"

Action = Literal["promote", "rollback"]

Stage = Literal["staging", "production"]

STAGING: Stage = "staging"
"""What is tried out on a part of the traffic."""

PRODUCTION: Stage = "production"
"""What is served."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChange:
    """One attempt to change what is in production or staging.

    Attributes:
        step: its place in the ledger, from 1; 0 until it is written.
        at: when, by the clock of MLflow's server.
        actor: who did it, as they said.
        account: as whom MLflow let them in; empty: it has no accounts.
        from_version: the version there when the actor looked; None for none.
        to_version: the version they put there; None: it was emptied (staging only).
        verdict: of `to_version`'s gate at that time.
        reason: why, in their words; empty if not given.
        forced: whether it was done against the verdict.
        follows: the step of the stage's last change that they knew of; 0 for none.
        key: names the attempt, so that one sent twice counts once.
        won: whether it took effect; otherwise someone else was faster.
        signed: whether a key that is trusted here has signed it; only `history` looks.
        fault: how it shows that it is not as it was written (see `chain.py`); likewise.
    """

    step: int = 0
    at: datetime = datetime.min
    actor: str
    account: str = ""
    action: Action
    stage: Stage
    from_version: int | None
    to_version: int | None
    verdict: str
    reason: str = ""
    forced: bool = False
    follows: int = 0
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    won: bool = False
    signed: bool = False
    fault: str = ""

    @property
    def who(self) -> str:
        """As whom MLflow let them in, if it has accounts, and what they said; or that alone."""
        if self.account in ("", self.actor):
            return self.actor
        return f"{self.account} (“{self.actor}”)"


def read_ledger(client: "MlflowClient") -> list[StageChange]:
    """All entries in order, each with whether it won."""
    versions = all_versions(client, LEDGER)
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
    client: "MlflowClient", change: StageChange, key: "Ed25519PrivateKey | None" = None
) -> tuple[StageChange, list[StageChange]]:
    """Write a change, then see whether it won.

    Args:
        key: signs the entry.

    Returns:
        The change as it was written, and the whole ledger as it stands now.
    """
    ensure_registered_model(
        client,
        LEDGER,
        "Who put which version of Moodline into which stage, when and why. Each version here is "
        "one entry; nothing here is a model. Do not edit or delete.",
    )
    change = replace(change, account=account_name(client))
    names = ("account", "actor", "action", "stage", "verdict", "reason", "follows", "key")
    tags = {name: str(getattr(change, name)) for name in names}
    tags |= {"from": str(change.from_version or ""), "to": str(change.to_version or "")}
    tags["forced"] = str(change.forced).lower()
    tags = sealed(linked(tags, next(iter(all_versions(client, LEDGER)), None)), key)
    arrow = f"{change.stage} {change.from_version or 'nothing'} → {change.to_version or 'nothing'}"
    why = f" ({change.reason})" if change.reason else ""
    source = _source(client, change.to_version or change.from_version)
    with_retries(
        lambda: client.create_model_version(
            LEDGER,
            source=source,
            tags=tags,
            description=f"{change.who}: {change.action} {arrow}{why}",
        )
    )
    ledger = read_ledger(client)
    written = [entry for entry in ledger if entry.key == change.key]
    if not written:
        raise Unavailable("the ledger lost an entry right after it was written; try again")
    return next((entry for entry in written if entry.won), written[0]), ledger


def _source(client: "MlflowClient", version: int | None) -> str:
    """What an entry is about, as MLflow's link; MLflow refuses a link to a deleted version."""
    with ignored("RESOURCE_DOES_NOT_EXIST"):
        client.get_model_version(MODEL, str(version))
        return f"models:/{MODEL}/{version}"
    return f"deleted:/{MODEL}/{version}"


def audited(client: "MlflowClient", trusted: "Mapping[str, Ed25519PublicKey]") -> list[StageChange]:
    """As `read_ledger`; with whether each entry is signed, and what is wrong with it."""
    versions = all_versions(client, LEDGER)
    faults = faults_in(versions, trusted)
    sealed_steps = {int(version.version) for version in versions if SEAL in version.tags}
    signed = sealed_steps - faults.keys()
    entries = mark_winners([_stage_change(version) for version in versions])
    return [
        replace(entry, signed=entry.step in signed, fault=faults.get(entry.step, ""))
        for entry in entries
    ]


def last_change(entries: Sequence[StageChange], stage: Stage) -> StageChange | None:
    """The last entry of a stage that won."""
    return next((entry for entry in reversed(entries) if entry.won and entry.stage == stage), None)


def staged(entries: Sequence[StageChange]) -> int | None:
    """The version in staging. It leaves when it is taken out or goes on into production."""
    version = None
    for entry in (entry for entry in entries if entry.won):
        if entry.stage == STAGING:
            version = entry.to_version
        elif entry.to_version == version:
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
            account=tags.get("account", ""),
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
        )
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{LEDGER} version {version.version}: is not an entry of the ledger ({error!r}); "
            "someone has edited it in MLflow"
        ) from None
