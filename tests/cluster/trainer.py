"""Kubernetes' API and Kubeflow Trainer's controller, as far as a TrainJob needs them.

Bodies are held strictly to the API of one Trainer's version, the caller to the rights of the Role
that infra/kubernetes/training gives it. A job's nodes are real processes with the variables that
Trainer's plugin for torch sets (pkg/runtime/framework/plugins/torch/torch.go). Conditions are those
of pkg/controller/trainjob_controller.go and of JobSet.
"""

import json
import re
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.infra import trainjob_schema

ROLE = Path(__file__).resolve().parents[2] / "infra" / "kubernetes" / "training" / "role.yaml"
TRAINJOBS = re.compile(
    r"/apis/trainer\.kubeflow\.org/v1alpha1/namespaces/([a-z0-9-]+)/trainjobs(?:/([a-z0-9.-]+))?"
)
PODS = re.compile(r"/api/v1/namespaces/([a-z0-9-]+)/pods(?:/([a-z0-9.-]+)/log)?")
REASONS = {400: "BadRequest", 403: "Forbidden", 404: "NotFound", 409: "AlreadyExists"}
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")

Nodes = Callable[[list[str], list[dict[str, str]], list[Path]], list[int]]
"""Runs a command on each node, given each one's environment and log; their exit statuses."""


@dataclass
class Job:
    """A TrainJob as the API stores it, and its pods.

    Attributes:
        statuses: the pods' exit statuses, when they have ended.
        logs: what they print.
    """

    stored: dict[str, Any]
    logs: list[Path]
    statuses: list[int] = field(default_factory=list)

    def condition(self, kind: str, status: str, reason: str, message: str) -> None:
        """Set a condition."""
        conditions = self.stored.setdefault("status", {}).setdefault("conditions", [])
        conditions[:] = [c for c in conditions if c["type"] != kind]
        now = datetime.now(UTC).isoformat()
        conditions.append(
            {"type": kind, "status": status, "reason": reason, "message": message,
             "lastTransitionTime": now}
        )  # fmt: skip


class Trainer:
    """The cluster's state.

    Args:
        nodes: runs a job's nodes; a thread for each job.
        folder: for the pods' logs.
        trainer: the version that is installed; empty: none.
        secrets: by name, their keys and values.

    Attributes:
        jobs: by name.
        made: the manifests that were taken, in their order.
        up: whether the API answers; else it closes each connection.
        rights: (group, resource, verb) of the pods' account; those of the Role that is shipped.
        queue: jobs are suspended until it is set.
    """

    def __init__(
        self, nodes: Nodes, folder: Path, trainer: str = "2.1",
        secrets: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:  # fmt: skip
        self.nodes, self.folder, self.trainer = nodes, folder, trainer
        self.secrets = secrets or {}
        self.jobs: dict[str, Job] = {}
        self.made: list[dict[str, Any]] = []
        self.up = True
        rules = next(yaml.safe_load_all(ROLE.read_text(encoding="utf-8")))["rules"]
        self.rights = {
            (group, resource, verb)
            for rule in rules
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        self.queue = threading.Event()
        self.queue.set()
        self._lock = threading.Lock()

    def answer(self, method: str, url: str, body: bytes) -> tuple[int, dict[str, Any] | str]:
        """Answer a request: a status, and an object or a text."""
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        if match := PODS.fullmatch(path):
            resource, verb = ("pods/log", "get") if match[2] else ("pods", "list")
            if refusal := self._forbidden("", resource, verb):
                return refusal
            return self._log(match[2], query) if match[2] else self._pods(query)
        match = TRAINJOBS.fullmatch(path)
        assert match, f"{method} {path}: nothing else is asked for"
        verb = {"GET": "get", "POST": "create", "DELETE": "delete"}[method]
        if not self.trainer:
            return 404, "404 page not found"
        if refusal := self._forbidden("trainer.kubeflow.org", "trainjobs", verb):
            return refusal
        with self._lock:
            if verb == "create":
                return self._create(match[1], json.loads(body), query)
            name = str(match[2])
            if name not in self.jobs:
                return refuse(404, f'trainjobs.trainer.kubeflow.org "{name}" not found')
            if verb == "delete":
                del self.jobs[name]
                return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
            return 200, self.jobs[name].stored

    def _forbidden(self, group: str, resource: str, verb: str) -> tuple[int, dict[str, Any]] | None:
        if (group, resource, verb) in self.rights:
            return None
        return refuse(
            403,
            f'{resource} is forbidden: User "system:serviceaccount:team:default" cannot {verb}'
            f' resource "{resource}" in API group "{group}" in the namespace "team"',
        )

    def _create(
        self, namespace: str, given: dict[str, Any], query: Mapping[str, list[str]]
    ) -> tuple[int, dict[str, Any]]:
        name = given["metadata"].get("name", "")
        assert query.get("fieldValidation") == ["Strict"], "unknown fields would be dropped"
        # 41: a pod's name, moodline-…-node-0-999-abcde, has at most 63.
        if not NAME.fullmatch(name) or len(name) > 46:
            return refuse(400, f"metadata.name: {name}")
        if given["metadata"].get("namespace", namespace) != namespace:
            return refuse(400, "the namespace of the object does not match that of the request")
        try:
            trainjob_schema.check(given, self.trainer)
        except ValueError as error:
            return refuse(400, " ".join(str(error).split()))
        if name in self.jobs:
            return refuse(409, f'trainjobs.trainer.kubeflow.org "{name}" already exists')
        self.made.append(json.loads(json.dumps(given)))
        kept = {"uid": str(uuid.uuid4()), "resourceVersion": "1", "namespace": namespace}
        stored = {**given, "metadata": {**given["metadata"], **kept}}
        count = given["spec"]["trainer"]["numNodes"]
        logs = [self.folder / f"{name}-{uuid.uuid4().hex[:5]}-{rank}.log" for rank in range(count)]
        job = self.jobs[name] = Job(stored, logs)
        if not self.queue.is_set():
            job.condition("Suspended", "True", "Suspended", "TrainJob is suspended")
        threading.Thread(target=self._run, args=(job,), daemon=True).start()
        return 201, stored

    def _run(self, job: Job) -> None:
        self.queue.wait()
        with self._lock:
            if job.stored.get("status"):
                job.condition("Suspended", "False", "Resumed", "TrainJob is resumed")
        trainer = job.stored["spec"]["trainer"]
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        plain = {}
        for entry in trainer["env"]:
            if "valueFrom" in entry:
                reference = entry["valueFrom"]["secretKeyRef"]
                plain[entry["name"]] = self.secrets[reference["name"]][reference["key"]]
            else:
                plain[entry["name"]] = entry["value"]
        environments = [
            {
                **plain,
                "PET_NNODES": str(len(job.logs)),
                "PET_NPROC_PER_NODE": str(trainer["numProcPerNode"]),
                "PET_NODE_RANK": str(rank),
                "PET_MASTER_ADDR": "127.0.0.1",
                "PET_MASTER_PORT": str(port),
            }
            for rank in range(len(job.logs))
        ]
        for log in job.logs:
            log.touch()
        command = [*trainer["command"], *trainer["args"]]
        job.statuses = self.nodes(command, environments, job.logs)
        with self._lock:
            if any(job.statuses):
                failed = "jobset failed due to one or more job failures"
                job.condition("Failed", "True", "FailedJobs", failed)
            else:
                done = "jobset completed successfully"
                job.condition("Complete", "True", "AllJobsCompleted", done)

    def _pods(self, query: Mapping[str, list[str]]) -> tuple[int, dict[str, Any]]:
        (selector,) = query["labelSelector"]
        name = selector.removeprefix("jobset.sigs.k8s.io/jobset-name=")
        job = self.jobs.get(name)
        items = [self._pod(name, job, rank) for rank in range(len(job.logs))] if job else []
        return 200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}

    def _pod(self, name: str, job: Job, rank: int) -> dict[str, Any]:
        status = job.statuses[rank] if job.statuses else None
        if not job.logs[rank].exists():
            phase, state = "Pending", {"waiting": {"reason": "ErrImagePull"}}
        elif status is None:
            phase, state = "Running", {"running": {}}
        else:
            phase = "Failed" if status else "Succeeded"
            # The first node that fails ends the others.
            ended = datetime.fromtimestamp(job.logs[rank].stat().st_mtime, UTC).isoformat()
            state = {"terminated": {"exitCode": status, "finishedAt": ended}}
        container = {"name": "node", "image": "i", "imageID": "i", "ready": False}
        return {
            "metadata": {"name": f"{name}-node-0-{rank}-{job.logs[rank].stem[-7:-2]}"},
            "spec": {"containers": [{"name": "node"}]},
            "status": {
                "phase": phase,
                "containerStatuses": [container | {"restartCount": 0, "state": state}],
            },
        }

    def _log(self, pod: str, query: Mapping[str, list[str]]) -> tuple[int, dict[str, Any] | str]:
        for name, job in self.jobs.items():
            for rank, log in enumerate(job.logs):
                if self._pod(name, job, rank)["metadata"]["name"] == pod and log.exists():
                    lines = log.read_text(errors="replace").splitlines(keepends=True)
                    return 200, "".join(lines[-int(query["tailLines"][0]) :])
        return refuse(404, f'pods "{pod}" not found')


def refuse(status: int, message: str) -> tuple[int, dict[str, Any]]:
    """How Kubernetes says no."""
    return status, {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": REASONS[status], "code": status,
    }  # fmt: skip


@contextmanager
def serving(trainer: Trainer, certificate: tuple[Path, Path] | None = None) -> Iterator[int]:
    """Serve the API on the loopback; its port.

    Args:
        certificate: of TLS, and its key; None: without.
    """

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not trainer.up:
                return self.connection.close()
            status, answer = trainer.answer(self.command, self.path, body)
            text = isinstance(answer, str)
            content = (answer if text else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if text else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return None

        do_GET = do_POST = do_DELETE = reply

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def wait_for(ready: Callable[[], bool]) -> None:
    """Wait at most a minute."""
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.05)
