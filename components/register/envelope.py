"""What a key signs: an in-toto Statement v1 in a DSSE envelope.

https://github.com/in-toto/attestation, https://github.com/secure-systems-lab/dsse
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

_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"

Subjects = Mapping[str, Mapping[str, str]]
"""What a statement is about: for each thing, by its name, its digests by their kind."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A statement that a trusted key has signed.

    Attributes:
        key: the fingerprint of that key.
        subjects: what it is about.
        predicate: what it says of them.
    """

    key: str
    subjects: Subjects
    predicate: Mapping[str, Any]


def seal(
    key: "Ed25519PrivateKey", kind: str, subjects: Subjects, predicate: Mapping[str, str]
) -> str:
    """The envelope, as JSON. The same words are signed alike each time.

    Args:
        key: signs.
        kind: of the predicate.
        subjects: what the statement is about.
        predicate: what it says of them.
    """
    statement = {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": digest} for name, digest in subjects.items()],
        "predicateType": kind,
        "predicate": predicate,
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


def opened(
    envelope: str, kind: str, trusted: "Mapping[str, Ed25519PublicKey]", location: str
) -> Opened:
    """What an envelope says, if a trusted key has signed it.

    Args:
        envelope: as `seal` made it.
        kind: of the predicate.
        trusted: public keys by fingerprint.
        location: whose it is, for messages.

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
    if statement.predicateType != kind:
        raise InputError(f"{location}: its signature is one of something else")
    subjects = {subject.name: subject.digest for subject in statement.subject}
    return Opened(signature.keyid, subjects, statement.predicate)


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
