"""Artifacts as KFP's launcher moves them: file by file, to and from an object store.

Object stores know no folders. What is said here of KFP stands in its repository, version 2.17.0,
under backend/src/v2.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

SCHEME = "minio://"

_ONE_REQUEST = TransferConfig(multipart_threshold=1 << 30)
"""Objects are not moved in parts: moto reads the whole object for each part."""


class ObjectStore:
    """A bucket of an S3 server.

    Args:
        environment: what leads a client to it; see `tests.components.register.stores`.
        bucket: its name.
    """

    def __init__(self, environment: Mapping[str, str], bucket: str) -> None:
        self.bucket = bucket
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=environment["MLFLOW_S3_ENDPOINT_URL"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_DEFAULT_REGION"],
            config=Config(retries={"max_attempts": 1}),
        )

    def upload(self, path: Path, key: str) -> None:
        """objectstore/object_store.go, UploadBlob: every file; an empty folder leaves nothing.

        Raises:
            FileNotFoundError: nothing is at the path.
        """
        if not path.is_dir():
            self.client.upload_file(str(path), self.bucket, key, Config=_ONE_REQUEST)
            return
        for child in sorted(path.iterdir()):
            self.upload(child, f"{key}/{child.name}")

    def download(self, key: str, path: Path) -> None:
        """objectstore/object_store.go, DownloadBlob: what has this key, or lies below it."""
        for name in self.keys(key):
            if name == key or name.startswith(key + "/"):
                target = path if name == key else path / name[len(key) + 1 :]
                target.parent.mkdir(parents=True, exist_ok=True)
                self.client.download_file(self.bucket, name, str(target), Config=_ONE_REQUEST)

    def key(self, uri: str) -> str:
        """The name, or the beginning of the names, of an artifact's objects."""
        return uri.removeprefix(f"{SCHEME}{self.bucket}/")

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The names of all objects that begin so."""
        pages = self.client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
            yield from (item["Key"] for item in page.get("Contents", []))

    def delete(self, prefix: str) -> int:
        """Delete what begins so, as a store's lifecycle rule does; how many objects."""
        names = list(self.keys(prefix))
        for name in names:
            self.client.delete_object(Bucket=self.bucket, Key=name)
        return len(names)
