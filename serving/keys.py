"""API keys: who may send requests, and how many a minute.

The file holds a line for each key, its name and its SHA-256, never the key itself:

    web-team    9f86d081884c7d65…  600      600 requests a minute, in all copies of the service
    night-job   60303ae22b998861…           no limit
    listeners   fcde2b2edba56bf4…  reviewer may say in feedback that a reviewer listened
    kim         e3b0c44298fc1c14…  operator may promote and roll back at /operations

`python -m serving.keys keys.txt web-team --per-minute 600` makes one (`--reviewer` and `--operator`
give it the roles, of which a key may have both). Keys are long and random, so a plain hash protects
them as well as a slow one would. The file is read again when it changes.
"""

import argparse
import hashlib
import hmac
import os
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.base import InputError

REVIEWER = "reviewer"
OPERATOR = "operator"
ROLES = (REVIEWER, OPERATOR)
"""The last words of a line."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, without its text.

    Attributes:
        name: for the log, and as the owner of jobs and recordings.
        digest: SHA-256 of the key, in hexadecimal.
        per_minute: requests allowed; None: any number.
        reviewer: whether its feedback may be a reviewer's.
        operator: whether it may change which version is served.
    """

    name: str
    digest: str
    per_minute: int | None = None
    reviewer: bool = False
    operator: bool = False


class Keys:
    """The keys in a file.

    Raises:
        InputError: it is not there, or a line in it is wrong.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._stamp()
        self._keys = read_keys(path)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino

    @property
    def several(self) -> bool:
        """Whether there is more than one key."""
        return len(self._keys) > 1

    def find(self, token: str) -> Key | None:
        """The key with this text, if there is one; compared in constant time.

        Raises:
            InputError: the file has become unreadable.
        """
        stamp = self._stamp()
        if stamp != self._seen:
            self._keys = read_keys(self._path)
            self._seen = stamp
        digest = hashlib.sha256(token.encode()).hexdigest()
        matches = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        return matches[-1] if matches else None


def read_keys(path: Path) -> list[Key]:
    """Read a file of keys.

    Raises:
        InputError: it is not there, or a line in it is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the API keys cannot be read: {error}") from None
    keys = []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        roles = set()
        while len(fields) > 2 and fields[-1] in ROLES:
            roles.add(fields.pop())
        if len(fields) not in (2, 3) or not re.fullmatch(r"[0-9a-f]{64}", fields[1]):
            form = f"“name sha256 [requests a minute] [{REVIEWER}] [{OPERATOR}]”"
            raise InputError(f"{path}: line {number}: is not {form}")
        if len(fields) == 3 and not fields[2].isdecimal():
            raise InputError(f"{path}: line {number}: “{fields[2]}” is no number of requests")
        per_minute = int(fields[2]) if len(fields) == 3 else None
        own = (REVIEWER in roles, OPERATOR in roles)
        keys.append(Key(fields[0], fields[1], per_minute, *own))
    return keys


def add_key(
    path: Path,
    name: str,
    per_minute: int | None = None,
    *,
    reviewer: bool = False,
    operator: bool = False,
) -> str:
    """Make a key and add its hash to the file; the arguments are those of `Key`.

    Returns:
        The key's text, which is stored nowhere.

    Raises:
        InputError: the name is taken, or not one word.
    """
    if not re.fullmatch(r"[\w.-]{1,100}", name):
        raise InputError(f"“{name}” is no name for a key: use letters, digits, “-”, “.”")
    if path.exists() and any(key.name == name for key in read_keys(path)):
        raise InputError(f"{path}: there is a key of the name {name} already")
    key = f"moodline_{secrets.token_urlsafe(32)}"
    limit = "" if per_minute is None else f" {per_minute}"
    given = zip(ROLES, (reviewer, operator), strict=True)
    roles = "".join(f" {role}" for role, has in given if has)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(file, "a", encoding="utf-8") as lines:
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):  # a person wrote it
            lines.write("\n")
        lines.write(f"{name} {hashlib.sha256(key.encode()).hexdigest()}{limit}{roles}\n")
    return key


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a key; it goes to standard output, once."""
    parser = argparse.ArgumentParser(description="Make an API key and add its hash to a file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("name", help="who will use it")
    parser.add_argument("--per-minute", type=int, help="requests allowed")
    parser.add_argument("--reviewer", action="store_true", help="may give a reviewer's feedback")
    parser.add_argument("--operator", action="store_true", help="may promote and roll back")
    options = parser.parse_args(arguments)
    roles = {"reviewer": options.reviewer, "operator": options.operator}
    try:
        key = add_key(options.file, options.name, options.per_minute, **roles)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{key}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
