"""A version's signature: which model and which verdict belong together.

A signed statement (see `envelope.py`) has two subjects, the model's folder (by its digest) and
`verdict.json` (by its SHA-256). It lies in the version's tag `signature`. Who may write MLflow can
copy it, but not for another model or another verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.register.envelope import opened, seal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SIGNATURE_TAG = "signature"

_KIND = "moodline/registered-version/v1"
_TREE = "moodlineTree"
"""The kind of digest that `tree_digest` is."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature says.

    Attributes:
        digest: of the model's folder.
        verdict: SHA-256 of `verdict.json`; empty: the version has none.
        key: the fingerprint of the key that signed it.
        why: how it came to be signed: `how`; for one signed by a person `actor` and `reason`.
        envelope: the signature itself, as JSON.
    """

    digest: str
    verdict: str
    key: str
    why: Mapping[str, str]
    envelope: str


def sign(key: "Ed25519PrivateKey", digest: str, verdict: str, **why: str) -> str:
    """The envelope, as JSON. The same words are signed alike each time.

    Args:
        key: signs.
        digest: of the model's folder.
        verdict: SHA-256 of `verdict.json`; empty: there is none.
        why: how it came to be signed.
    """
    subjects = {"model": {_TREE: digest}}
    if verdict:
        subjects["verdict.json"] = {"sha256": verdict}
    return seal(key, _KIND, subjects, why)


def read_signature(
    envelope: str, trusted: "Mapping[str, Ed25519PublicKey]", location: str
) -> Signed:
    """What an envelope says, if a trusted key has signed it.

    Args:
        envelope: as `sign` made it.
        trusted: public keys by fingerprint.
        location: the version, for messages.

    Raises:
        InputError: it is no such envelope, the key is not trusted, or the signature is wrong.
    """
    found = opened(envelope, _KIND, trusted, location)
    return Signed(
        digest=found.subjects.get("model", {}).get(_TREE, ""),
        verdict=found.subjects.get("verdict.json", {}).get("sha256", ""),
        key=found.key,
        why=found.predicate,
        envelope=envelope,
    )
