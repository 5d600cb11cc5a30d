"""The part of Kubernetes' API that keeps Leases, as its documentation says it answers.

A simulator, on the loopback. Bodies are held strictly to Kubernetes' own schema of a Lease. A write
that names another resourceVersion than the newest is refused with 409, and so is a second Lease of
one name.
"""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from tests.infra import schemas

LEASES = re.compile(
    r"/apis/coordination\.k8s\.io/v1/namespaces/([a-z0-9-]+)/leases(?:/([a-z0-9.-]+))?"
)
MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
REASONS = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 422: "Invalid"}


class LeaseApi:
    """The server's state.

    Attributes:
        leases: by namespace and name, as they are stored.
        up: whether it answers; else it closes each connection.
        forbidden: the verbs that the caller has no right to.
        faults: what was wrong with the requests, by the schema.
    """

    def __init__(self) -> None:
        self.leases: dict[tuple[str, str], dict[str, Any]] = {}
        self.up = True
        self.forbidden: set[str] = set()
        self.faults: list[str] = []
        self._lock = Lock()
        self._version = 100

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer a request: a status and an object."""
        match = LEASES.fullmatch(path)
        assert match, f"{method} {path}: nothing else is asked for"
        verb = {"GET": "get", "POST": "create", "PUT": "update"}[method]
        namespace, name = match[1], match[2]
        if verb in self.forbidden:
            return self._refuse(403, f'leases is forbidden: User "moodline" cannot {verb} it')
        with self._lock:
            if verb == "get":
                found = self.leases.get((namespace, name))
                return (200, found) if found else self._refuse(404, f'leases "{name}" not found')
            given = json.loads(body)
            try:
                schemas.check(given)
                for time in ("acquireTime", "renewTime"):  # apimachinery's MicroTime
                    assert MICRO_TIME.fullmatch(given["spec"][time]), f"{time}: {given['spec']}"
            except Exception as error:
                self.faults.append(str(error))
                return self._refuse(422, str(error))
            return self._write(verb, (namespace, name or given["metadata"]["name"]), given)

    def _write(
        self, verb: str, key: tuple[str, str], given: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        before = self.leases.get(key)
        if verb == "create" and before:
            return self._refuse(409, f'leases "{key[1]}" already exists')
        if verb == "update":
            if not before:
                return self._refuse(404, f'leases "{key[1]}" not found')
            named = given["metadata"].get("resourceVersion")
            if named and named != before["metadata"]["resourceVersion"]:
                return self._refuse(409, "the object has been modified; please apply your changes")
        self._version += 1
        kept = before["metadata"] if before else {"uid": str(uuid.uuid4())}
        metadata = {**given["metadata"], **kept, "namespace": key[0], "name": key[1]}
        metadata |= {"resourceVersion": str(self._version)}
        self.leases[key] = {**given, "metadata": metadata}
        return (201 if verb == "create" else 200), self.leases[key]

    def _refuse(self, status: int, message: str) -> tuple[int, dict[str, Any]]:
        return status, {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": REASONS[status], "code": status,
        }  # fmt: skip


@contextmanager
def lease_api(kubeconfig: Path) -> Iterator[LeaseApi]:
    """The server, and a kubeconfig that leads to its namespace `moodline`."""
    api = LeaseApi()

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not api.up:
                return self.connection.close()
            status, answer = api.answer(self.command, self.path.partition("?")[0], body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return None

        do_GET = do_POST = do_PUT = reply

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    context = {"cluster": "test", "user": "test", "namespace": "moodline"}
    url = f"http://127.0.0.1:{server.server_address[1]}"
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"token": "a-token"}}],
        "contexts": [{"name": "test", "context": context}],
    }  # fmt: skip
    kubeconfig.write_text(json.dumps(config), encoding="utf-8")
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
