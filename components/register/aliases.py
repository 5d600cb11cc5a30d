"""MLflow's aliases mirror the ledger, so that `models:/moodline@production` means what it says."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.base import Unavailable
from components.register.ledger import (
    PRODUCTION,
    STAGING,
    StageChange,
    production_stack,
    read_ledger,
    staged,
)
from components.tracking import MODEL, all_versions, ignored, with_retries

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREVIOUS = "previous"
"""What `rollback` goes back to."""

CANDIDATE = "candidate"
"""The newest version."""

ALIASES = (CANDIDATE, STAGING, PRODUCTION, PREVIOUS)

_ROUNDS = 100

logger = logging.getLogger(__name__)


def aliases_by_ledger(entries: Sequence[StageChange]) -> dict[str, int]:
    """Which versions are `production`, `previous` and `staging`, as the ledger has it."""
    stack = reversed(production_stack(entries))
    aliases = dict(zip((PRODUCTION, PREVIOUS), stack, strict=False))
    in_staging = staged(entries)
    return aliases if in_staging is None else aliases | {STAGING: in_staging}


def sync_aliases(client: "MlflowClient") -> dict[str, int]:
    """Put MLflow's aliases right by the ledger, and `candidate` on the newest version.

    The ledger is read again after each write. So whoever writes last has seen, after their write,
    a ledger that agrees with it: however many do this at once, and wherever one of them is killed,
    the aliases end where the ledger stands, at the latest with the next reader. Returns the aliases
    as they are now.

    Raises:
        Unavailable: others keep changing them.
    """
    for _ in range(_ROUNDS):
        aliases = aliases_by_ledger(read_ledger(client))
        newest = next(iter(all_versions(client, MODEL)), None)
        if newest is not None:
            aliases[CANDIDATE] = int(newest.version)
        actual = _actual(client)
        strayed = [alias for alias in ALIASES if actual.get(alias) != aliases.get(alias)]
        # An alias cannot be put on a version that someone has deleted from MLflow.
        lost = [alias for alias in strayed if not _write(client, alias, aliases.get(alias))]
        if len(lost) == len(strayed):
            return aliases
    raise Unavailable("others keep changing the aliases; try again")


def _actual(client: "MlflowClient") -> dict[str, int]:
    """The aliases as MLflow has them."""
    with ignored("RESOURCE_DOES_NOT_EXIST"):
        aliases = client.get_registered_model(MODEL).aliases
        return {alias: int(version) for alias, version in aliases.items()}
    return {}


def _write(client: "MlflowClient", alias: str, version: int | None) -> bool:
    """Set an alias, or delete it; False if there is nothing that it could be set on."""
    with ignored("RESOURCE_DOES_NOT_EXIST"):
        if version is None:
            with_retries(lambda: client.delete_registered_model_alias(MODEL, alias))
        else:
            with_retries(lambda: client.set_registered_model_alias(MODEL, alias, str(version)))
        return True
    logger.warning("%s should be version %s, which is not in MLflow any more", alias, version)
    return False
