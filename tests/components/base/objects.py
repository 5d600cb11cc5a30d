"""A simulated object store that a test fills, and one that begins to refuse on the way."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import boto3

from tests.components.register.stores import BUCKET, simulated_s3

ENDPOINT = "AWS_ENDPOINT_URL_S3"
_REFUSAL = "<Error><Code>{code}</Code><Message>The store says {code}.</Message></Error>"


@dataclass
class Door:
    """What stands in front of an object store.

    Attributes:
        port: of 127.0.0.1, where it listens.
        asked: each request that came through: method and path.
        refusal: how it answers from its `after`-th request on: status and code; None: it passes
            every request on.
        after: so many requests are passed on before.
        locked: in whose path it has this text is refused; empty: none.
    """

    port: int = 0
    asked: list[str] = field(default_factory=list)
    refusal: tuple[int, str] | None = None
    after: int = 0
    locked: str = ""

    def refuse(self, status: int, code: str, after: int = 0) -> None:
        """From now on, after so many requests, every one is refused."""
        self.refusal, self.after = (status, code), len(self.asked) + after


@contextmanager
def door(inner: str) -> Iterator[Door]:
    """A door in front of the store that listens at `inner`, "host:port"."""
    opened = Door()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(opened, inner))
    opened.port = server.server_address[1]
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield opened
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Store:
    """A bucket in a simulated S3.

    Attributes:
        environment: what leads a process to it.
        door: what the process' requests come through.
    """

    environment: dict[str, str]
    client: Any
    door: Door

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}"

    def upload(self, folder: Path, prefix: str) -> str:
        """Put a folder's files into the store; returns where."""
        for path in folder.rglob("*"):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(folder).as_posix()}"
                self.client.upload_file(str(path), BUCKET, key)
        return f"{self.url}/{prefix}"

    def names(self, prefix: str = "") -> list[str]:
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in found]


@contextmanager
def object_store() -> Iterator[Store]:
    """moto's simulator, and in front of it a door that can refuse."""
    with simulated_s3() as simulator:
        inner = simulator.environment["MLFLOW_S3_ENDPOINT_URL"]
        keys = {k: v for k, v in simulator.environment.items() if k.startswith("AWS_")}
        names = {"aws_access_key_id": "simulated", "aws_secret_access_key": "simulated"}
        client = boto3.client("s3", endpoint_url=inner, region_name="us-east-1", **names)
        with door(urlsplit(inner).netloc) as opened:
            keys[ENDPOINT] = f"http://127.0.0.1:{opened.port}"
            store = Store(keys, client, opened)
            for key in store.names():  # the simulators of one process share their buckets
                client.delete_object(Bucket=BUCKET, Key=key)
            yield store


def _handler(opened: Door, inner: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # so that a client is told at once to send what it has

        def answer(self) -> None:
            opened.asked.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if opened.refusal and len(opened.asked) > opened.after:
                status, code = opened.refusal
                return self.write(status, {}, _REFUSAL.format(code=code).encode())
            if opened.locked and opened.locked in self.path:
                return self.write(403, {}, _REFUSAL.format(code="AccessDenied").encode())
            connection = http.client.HTTPConnection(inner, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            headers = {k: v for k, v in answer.getheaders() if k.lower() != "transfer-encoding"}
            return self.write(answer.status, headers, answer.read())

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

        def write(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            if self.command != "HEAD":
                headers = {k: v for k, v in headers.items() if k.lower() != "content-length"}
                headers["Content-Length"] = str(len(body))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
