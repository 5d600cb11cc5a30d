"""The Ed25519 keys that sign what is registered, and those that are trusted.

<home>/signing/private.pem   the home's own key (PKCS #8), mode 0600; made when first needed
<home>/signing/*.pub         public keys that this home trusts (OpenSSH): its own, older ones
MOODLINE_SIGNING_KEY         the private key instead, from a cluster's Secret; no file is made
MOODLINE_TRUSTED_KEYS        more public keys: of those who register elsewhere
"""

import base64
import contextlib
import os
import re
import stat
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError, read_text
from components.config import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

PRIVATE = "private.pem"


def signing_folder(settings: Settings) -> Path:
    """Where the home's keys lie."""
    return settings.home / "signing"


def fingerprint(key: "Ed25519PublicKey") -> str:
    """What names a public key: "SHA256:…", as `ssh-keygen -l` prints it."""

    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import ssh_key_fingerprint

    digest = ssh_key_fingerprint(key, SHA256())
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def public_line(key: "Ed25519PublicKey") -> str:
    """A public key in OpenSSH's form: "ssh-ed25519 AAAA…"."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def private_key(settings: Settings) -> "Ed25519PrivateKey | None":
    """The key that this machine signs with; None if it has none yet.

    Raises:
        InputError: it is no Ed25519 key, or other users of the machine may read it.
    """
    if settings.signing_key:
        text = settings.signing_key.get_secret_value()
        return _read_private(text.encode(), "MOODLINE_SIGNING_KEY")
    return read_private(signing_folder(settings) / PRIVATE)


def read_private(path: Path) -> "Ed25519PrivateKey | None":
    """The private key in a file; None if there is no such file.

    Raises:
        InputError: as `private_key`.
    """
    try:
        # A cluster's volumes may open files to a group of their own, never to all.
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            raise InputError(f"{path}: every user can read this private key; chmod 600 {path}")
        return _read_private(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    except PermissionError:
        raise InputError(f"{path}: cannot be read by this user") from None


def make_key(folder: Path) -> "Ed25519PrivateKey":
    """Make a key in a folder, with its public half beside it; where there is one, take that.

    Two processes that do this at once get the same key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    folder.mkdir(parents=True, exist_ok=True)  # who only serves reads the public half in it
    new = Ed25519PrivateKey.generate()
    pem = new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    temporary = folder / f".{uuid.uuid4().hex}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        with contextlib.suppress(FileExistsError):  # somebody was faster
            os.link(temporary, folder / PRIVATE)
    finally:
        temporary.unlink(missing_ok=True)
    key = read_private(folder / PRIVATE)
    assert key is not None
    keep_public(folder, key.public_key())
    return key


def keep_public(folder: Path, key: "Ed25519PublicKey") -> Path:
    """Trust a public key in this home from now on."""
    path = folder / f"{re.sub('[^A-Za-z0-9]', '', fingerprint(key))[6:18]}.pub"
    path.write_text(f"{public_line(key)} moodline\n", encoding="ascii")
    return path


def trusted_keys(settings: Settings) -> "dict[str, Ed25519PublicKey]":
    """The public keys whose signatures count here, by fingerprint.

    Raises:
        InputError: one of them is no Ed25519 key, or cannot be read.
    """
    files = sorted(signing_folder(settings).glob("*.pub"))
    sources = [("MOODLINE_TRUSTED_KEYS", settings.trusted_keys)]
    sources += [(str(path), read_text(path)) for path in files]
    keys = [
        _read_public(line.strip(), source)
        for source, text in sources
        for line in re.split(r"[,\n]", text)
        if line.strip() and not line.strip().startswith("#")
    ]
    if settings.signing_key:
        key = private_key(settings)
        assert key is not None
        keys.append(key.public_key())
    return {fingerprint(key): key for key in keys}


def _read_private(pem: bytes, source: str) -> "Ed25519PrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        load_pem_private_key,
        load_ssh_private_key,
    )

    load = load_ssh_private_key if b"OPENSSH" in pem else load_pem_private_key
    try:
        key = load(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(
            f"{source}: is no Ed25519 private key without a password "
            "(openssl genpkey -algorithm ed25519 makes one)"
        )
    return key


def _read_public(line: str, source: str) -> "Ed25519PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        key = load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(
            f"{source}: holds “{line[:40]}”, which is no public key; "
            "moodline registry key prints one: ssh-ed25519 AAAA…"
        )
    return key
