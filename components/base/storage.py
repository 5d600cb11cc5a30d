"""A location: a path on this machine, or the URL of an object store, `s3://bucket/path`.

`Url` answers what code asks of a folder's path, so that a reader takes either. boto3 speaks to the
store: Amazon's, or another one's with S3's protocol, whose address `AWS_ENDPOINT_URL_S3` or
`AWS_ENDPOINT_URL` names, or `MLFLOW_S3_ENDPOINT_URL`. Credentials are those that boto3 finds: a
role, `AWS_ACCESS_KEY_ID` and the others.
"""

import io
import logging
import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from components.base.errors import InputError
from components.base.files import atomic_path
from components.base.storage_faults import ChangedError, MissingError, storage_faults

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL")
"""The first of these variables that is set names the store's address."""

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 60, 3
"""A store that is away is told in half a minute; boto3 alone would try for minutes."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?:/{1,2}|$)")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")


@dataclass(frozen=True, slots=True)
class State:
    """An object as it is now: another content has another tag.

    Attributes:
        written: seconds since 1970, by the store's clock.
    """

    size: int
    tag: str
    written: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Url:
    """A file or a folder of an object store; a folder is there while an object lies in it.

    >>> corpus = Url("calls", "2026/may")
    >>> str(corpus / "audio" / "a.wav"), (corpus / "../june").name
    ('s3://calls/2026/may/audio/a.wav', 'june')

    What it asks of the store raises `Unavailable` where that does not answer or refuses the
    credentials, and `InputError` where it has no such bucket or object.

    Attributes:
        key: the path in the bucket; empty for all of it.
    """

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> "Url":
        key = posixpath.normpath(posixpath.join(self.key, name))
        if key.startswith(("../", "/")) or key == "..":
            raise InputError(f"{name}: lies outside the bucket of {self}")
        return Url(self.bucket, "" if key == "." else key)

    @property
    def name(self) -> str:
        """The last part."""
        return posixpath.basename(self.key)

    @property
    def stem(self) -> str:
        """The last part without its suffix."""
        return posixpath.splitext(self.name)[0]

    @property
    def suffix(self) -> str:
        """The end of the last part, with its point."""
        return posixpath.splitext(self.name)[1]

    @property
    def parent(self) -> "Url":
        """The folder around it."""
        return Url(self.bucket, posixpath.dirname(self.key))

    def resolve(self) -> "Url":
        """Itself: an object has one name."""
        return self

    def parts_below(self, folder: "Url") -> tuple[str, ...]:
        """The parts of its path in a folder."""
        return tuple(self.key[len(folder.key) :].strip("/").split("/"))

    def state(self) -> State:
        """What is there now."""
        with storage_faults(self):
            try:
                answer = _client().head_object(Bucket=self.bucket, Key=self.key)
            except _client().exceptions.ClientError:
                # The answer to HEAD has no text, and so no reason.
                _client().get_object(Bucket=self.bucket, Key=self.key, Range="bytes=0-0")
                raise
        return State(answer["ContentLength"], answer["ETag"], answer["LastModified"].timestamp())

    def is_file(self) -> bool:
        """Whether an object has this name."""
        with suppress(MissingError):
            return bool(self.key) and self.state() is not None
        return False

    def is_dir(self) -> bool:
        """Whether an object lies below it."""
        with storage_faults(self):
            found = _client().list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1)
        return bool(found.get("KeyCount"))

    def exists(self) -> bool:
        """Whether it is a file or a folder."""
        return self.is_file() or self.is_dir()

    def files(self, starts: str = "") -> "list[Url]":
        """The files right in this folder whose names start so, by name."""
        pages = self._pages(starts, Delimiter="/")
        return sorted(Url(self.bucket, item["Key"]) for page in pages for item in _objects(page))

    def folders(self) -> "list[Url]":
        """The folders right in this folder, by name."""
        found = [p for page in self._pages(Delimiter="/") for p in page.get("CommonPrefixes", [])]
        return sorted(Url(self.bucket, item["Prefix"].rstrip("/")) for item in found)

    def all_files(self) -> "list[Url]":
        """The files in this folder and the folders in it, by name."""
        return sorted(Url(self.bucket, o["Key"]) for page in self._pages() for o in _objects(page))

    def all_states(self) -> "list[tuple[Url, State]]":
        """`all_files`, each as it is now."""
        return sorted(
            ((Url(self.bucket, o["Key"]), State(o["Size"], o["ETag"]))
             for page in self._pages() for o in _objects(page)),
            key=lambda pair: pair[0],
        )  # fmt: skip

    def read_bytes(self) -> bytes:
        """What is in it."""
        with storage_faults(self):
            content = _client().get_object(Bucket=self.bucket, Key=self.key)["Body"].read()
        return bytes(content)

    def first_bytes(self, count: int) -> bytes:
        """How it begins; it must not be empty."""
        with storage_faults(self):
            answer = _client().get_object(
                Bucket=self.bucket, Key=self.key, Range=f"bytes=0-{count - 1}"
            )
            return bytes(answer["Body"].read())

    def fetch(self, file: IO[bytes], state: State | None = None) -> None:
        """Write its content, if so as it was in this state, into an open file.

        Raises:
            InputError: it is another one by now.
        """
        unchanged = {"IfMatch": state.tag} if state else {}
        with storage_faults(self):
            answer = _client().get_object(Bucket=self.bucket, Key=self.key, **unchanged)
            for block in answer["Body"].iter_chunks(1 << 20):
                file.write(block)

    def put(self, path: Path) -> None:
        """Give it a file's content, whole or not at all."""
        with storage_faults(self):
            _client().upload_file(str(path), self.bucket, self.key)

    def put_stream(self, file: IO[bytes]) -> None:
        """Give it the content of an open file from its place on, whole or not at all."""
        with storage_faults(self):
            # The library closes the file that it is given.
            _client().upload_fileobj(_Kept(file), self.bucket, self.key)

    def put_bytes(self, content: bytes) -> None:
        """Give it a content, whole or not at all."""
        with storage_faults(self):
            _client().put_object(Bucket=self.bucket, Key=self.key, Body=content)

    def put_new(self, content: bytes) -> bool:
        """Give it a content unless it has one; whether it had none. Of several who try, one does.

        Raises:
            InputError, Unavailable: as of all that `Url` asks; so does a store that cannot tell.
        """
        with suppress(ChangedError), storage_faults(self):
            _client().put_object(Bucket=self.bucket, Key=self.key, Body=content, IfNoneMatch="*")
            return True
        return False

    def delete(self) -> None:
        """Delete the object, if there is one."""
        with storage_faults(self):
            _client().delete_object(Bucket=self.bucket, Key=self.key)

    @property
    def _prefix(self) -> str:
        return f"{self.key}/" if self.key else ""

    def _pages(self, starts: str = "", **options: Any) -> Iterator[dict[str, Any]]:
        prefix = self._prefix + starts
        with storage_faults(self):
            pager = _client().get_paginator("list_objects_v2")
            yield from pager.paginate(Bucket=self.bucket, Prefix=prefix, **options)


class _Kept(io.BufferedIOBase):
    """An open file that stays open when this is closed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._file.read(-1 if size is None else size)


Location = Path | Url
"""Where a file or a folder lies."""


def located(text: str | Location) -> Location:
    """A location as a user writes it.

    >>> located("s3://calls/2026/"), located("calls/2026").name
    (Url(bucket='calls', key='2026'), '2026')

    Raises:
        InputError: an URL of another kind, one that names no bucket, or one with a password in it,
            which is not shown.
    """
    # A path of an URL has lost one of its slashes.
    match = None if isinstance(text, Url) else _SCHEME.match(str(text))
    if match is None:
        return text if isinstance(text, Url) else Path(text)
    if match[1].lower() != "s3":
        raise InputError(
            f"{match[1]}://…: is no location; name a folder, or s3://bucket/path (and the store's"
            " address in AWS_ENDPOINT_URL_S3, where it is not Amazon's)"
        )
    bucket, _, key = str(text)[match.end() :].partition("/")
    if "@" in bucket or ":" in bucket:
        raise InputError(
            "s3://…@…: holds credentials; give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
            " or as a role, and name s3://bucket/path"
        )
    if not _BUCKET.fullmatch(bucket):
        raise InputError(f"s3://{bucket}: names no bucket; an example: s3://bucket/path")
    return Url(bucket) / key.strip("/")


def beside(folder: Location, name: str) -> Location:
    """What a file in a folder calls by a name: an URL, an absolute path, or one from there."""
    if _SCHEME.match(name):
        return located(name)
    return Path(name) if name.startswith("/") else folder / name


def files_in(folder: Location, starts: str = "") -> list[Location]:
    """The files right in a folder whose names start so, by name."""
    if isinstance(folder, Url):
        return list(folder.files(starts))
    named = (path for path in folder.iterdir() if path.name.startswith(starts))
    return sorted(path for path in named if path.is_file())


def folders_in(folder: Location) -> list[Location]:
    """The folders right in a folder, by name."""
    if isinstance(folder, Url):
        return list(folder.folders())
    return sorted(path for path in folder.iterdir() if path.is_dir())


def all_files(folder: Location) -> list[tuple[Location, tuple[str, ...]]]:
    """The files in a folder and the folders in it, each with the parts of its path in there."""
    if isinstance(folder, Url):
        return [(url, url.parts_below(folder)) for url in folder.all_files()]
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path, path.relative_to(folder).parts) for path in paths]


def write_file(location: Location, content: bytes) -> None:
    """Give a file a content, whole or not at all."""
    if isinstance(location, Url):
        return location.put_bytes(content)
    with atomic_path(location) as temporary:
        temporary.write_bytes(content)
    return None


def delete_file(location: Location) -> None:
    """Delete a file, if it is there."""
    if isinstance(location, Url):
        return location.delete()
    return location.unlink(missing_ok=True)


def _objects(page: dict[str, Any]) -> list[dict[str, Any]]:
    """A page's objects, without those that some programs put in place of a folder."""
    return [item for item in page.get("Contents", []) if not item["Key"].endswith("/")]


def endpoint() -> str:
    """The store's address; empty: Amazon's."""
    return next((url for name in ENDPOINTS if (url := os.environ.get(name))), "")


def _client() -> Any:
    # A child that was forked makes its own; so does a process whose credentials are changed.
    return _made_client(os.getpid(), endpoint(), tuple(map(os.environ.get, CREDENTIALS)))


@lru_cache(maxsize=4)
def _made_client(_process: int, address: str, _credentials: tuple[str | None, ...]) -> Any:
    import boto3
    from botocore.config import Config

    # It says where each process found its credentials.
    logging.getLogger("botocore.credentials").setLevel(logging.WARNING)
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        s3={"addressing_style": "path"} if address else None,
        max_pool_connections=32,
    )
    return boto3.Session().client("s3", endpoint_url=address or None, config=config)
