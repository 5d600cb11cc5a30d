"""A version's signature: which model and which verdict belong together, in a DSSE envelope.

What is signed is an in-toto Statement v1 with two subjects, the model's folder (by its digest) and
`verdict.json` (by its SHA-256), in a DSSE envelope (https://github.com/secure-systems-lab/dsse),
which lies in the version's tag `signature`. Who may write MLflow can copy it, but not for another
model or another verdict.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from components.base import InputError, parse_json, validate
from components.register.keys import fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SIGNATURE_TAG = "signature"

_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "moodline/registered-version/v1"
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
    subjects = [{"name": "model", "digest": {_TREE: digest}}]
    if verdict:
        subjects.append({"name": "verdict.json", "digest": {"sha256": verdict}})
    statement = {
        "_type": _STATEMENT,
        "subject": subjects,
        "predicateType": _PREDICATE,
        "predicate": why,
    }
    payload = json.dumps(statement, sort_keys=True, ensure_ascii=False).encode()
    signature = {
        "keyid": fingerprint(key.public_key()),
        "sig": base64.b64encode(key.sign(_encoded(payload))).decode(),
    }
    return json.dumps(
        {
            "payloadType": _PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [signature],
        }
    )


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
    from cryptography.exceptions import InvalidSignature

    broken = f"{location}: its signature is damaged"
    try:
        content = validate(_Envelope, parse_json(envelope, location), location)
        (signature,) = content.signatures
        payload = base64.b64decode(content.payload, validate=True)
        mark = base64.b64decode(signature.sig, validate=True)
    except ValueError:  # InputError and base64's own are both
        raise InputError(broken) from None
    key = trusted.get(signature.keyid)
    if key is None:
        raise InputError(
            f"{location}: is signed with the key {signature.keyid[:60]}, which is not trusted "
            "here; if it is yours, put its public half into MOODLINE_TRUSTED_KEYS"
        )
    try:
        key.verify(mark, _encoded(payload))
    except InvalidSignature:
        raise InputError(f"{location}: its signature is wrong; someone has changed it") from None
    try:
        statement = validate(_Statement, parse_json(payload.decode(), location), location)
    except ValueError:
        raise InputError(broken) from None
    if statement.predicateType != _PREDICATE:
        raise InputError(f"{location}: its signature is not one of a version")
    digests = {subject.name: subject.digest for subject in statement.subject}
    return Signed(
        digest=digests.get("model", {}).get(_TREE, ""),
        verdict=digests.get("verdict.json", {}).get("sha256", ""),
        key=signature.keyid,
        why=statement.predicate,
        envelope=envelope,
    )


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what the key really signs."""
    kind = _PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Signature(_Strict):
    keyid: str
    sig: str


class _Envelope(_Strict):
    payload: str
    signatures: list[_Signature]


class _Subject(_Strict):
    name: str
    digest: dict[str, str]


class _Statement(_Strict):
    predicateType: str
    subject: list[_Subject]
    predicate: dict[str, Any]
