"""Each entry of the ledger names the one before it, and is signed: a changed one shows.

Who reaches MLflow can change an entry's tags. So an entry names the entry before it with that one's
digest, and where this machine has a key, the key signs the entry. A changed or forged entry then
fits neither its own signature nor what the next one says of it. What no chain can show: that the
newest entries were deleted, before anything followed them. MLflow gives their numbers to nobody
else, so that shows as a gap, as soon as something follows. Nor what came before the first entry
that is chained: who removes link and signature of all entries makes them look like those of a
Moodline that knew no chain. They are then told as not signed.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from components.base import InputError, json_digest
from components.register.envelope import opened, seal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from mlflow.entities.model_registry import ModelVersion

AFTER, SEAL = "after", "seal"
"""The tags: the step of the entry before, with its digest (`17:4f…`); the signature."""

_FIELDS = ("account", "actor", "action", "stage", "from", "to", "verdict", "reason", "forced",
           "follows", "key", AFTER)  # fmt: skip
"""What an entry's signature is of: all that it says, but for what MLflow adds."""

_KIND = "moodline/ledger-entry/v1"
_DIGEST = "moodlineEntry"


def linked(tags: Mapping[str, str], last: "ModelVersion | None") -> dict[str, str]:
    """An entry's tags with the link to the last entry; the first one names none."""
    return {**tags, AFTER: f"{last.version}:{_whole(last)}" if last else "none"}


def sealed(tags: Mapping[str, str], key: "Ed25519PrivateKey | None") -> dict[str, str]:
    """An entry's tags with the signature, where there is a key."""
    if key is None:
        return dict(tags)
    return {**tags, SEAL: seal(key, _KIND, {"entry": {_DIGEST: _content(tags)}}, {})}


def faults_in(
    entries: Sequence["ModelVersion"], trusted: "Mapping[str, Ed25519PublicKey]"
) -> dict[int, str]:
    """The entries that are not as they were written, and how that shows; by step.

    Entries of a Moodline that knew no chain count as far as they come before all others.
    """
    ordered = sorted(entries, key=lambda entry: int(entry.version))
    by_step = {int(entry.version): entry for entry in ordered}
    found: dict[int, str] = {}
    gaps: dict[int, str] = {}
    chained, last = False, 0
    for entry in ordered:
        step = int(entry.version)
        missing, last = range(last + 1, step), step
        if missing:
            which = (
                f"step {missing[0]}" if len(missing) == 1 else f"steps {missing[0]}–{missing[-1]}"
            )
            gaps[step] = f"comes after {which}, which somebody has deleted"
        if AFTER not in entry.tags:
            if chained:
                found.setdefault(
                    step, "names no entry before it: somebody has changed it, or a Moodline of "
                    "before has written it"
                )  # fmt: skip
            continue
        chained = True
        if SEAL in entry.tags:
            try:
                proof = opened(entry.tags[SEAL], _KIND, trusted, f"step {step}")
                if proof.subjects.get("entry", {}).get(_DIGEST) != _content(entry.tags):
                    found[step] = "is not what was signed: somebody has changed it"
            except InputError as error:
                found[step] = str(error).removeprefix(f"step {step}: ")
        before, _, digest = entry.tags[AFTER].partition(":")
        if not before.isdecimal():
            continue
        if int(before) not in by_step:
            found.setdefault(step, f"follows step {before}, which somebody has deleted")
        elif _whole(by_step[int(before)]) != digest:
            found.setdefault(
                int(before), f"is not what step {step} followed: somebody has changed it"
            )
    return dict(sorted({**gaps, **found}.items()))


def _content(tags: Mapping[str, str]) -> str:
    return json_digest([[name, tags.get(name, "")] for name in _FIELDS])


def _whole(entry: "ModelVersion") -> str:
    """The digest of all that an entry is, its place and its time included."""
    content = _content(entry.tags), entry.tags.get(SEAL, "")
    return json_digest([int(entry.version), entry.creation_timestamp, *content])
