"""A Kubeflow Pipelines API as far as the client's requests go, on the loopback.

What it is sent must be what the models of `kfp_server_api` know, and no more; what it answers is
made from them. It runs nothing: a test says what becomes of a run.
"""

import json
import re
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from python_multipart.multipart import parse_form

_CLIENT = api.ApiClient(api.Configuration())


class _Body:
    """What the generated client reads an answer from."""

    def __init__(self, value: Any) -> None:
        self.data = json.dumps(value)


def parsed(kind: str, value: Any) -> Any:
    """A request as a model; one with a field that the model does not know is an error."""
    model = _CLIENT.deserialize(_Body(value), kind)
    again = _CLIENT.sanitize_for_serialization(model)
    assert _plain(again) == _plain(value), f"{kind}: {value} is more than is known: {again}"
    return model


def _plain(value: Any) -> Any:
    """Whole numbers as text: protobuf's JSON takes and gives 64-bit ones in both forms."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class KfpServer:
    """What the API holds, and what it was asked.

    Args:
        token: that every request must carry; None lets everybody in.

    Attributes:
        pipelines, versions, experiments, runs, schedules: by id.
        packages: by the version's id, the uploaded file's documents.
        ends: what a run's state is, one after the other, as it is asked for.
        version: its image's tag, which its health tells.
        on_look: called each time that a run is looked at.
        refuse: an HTTP status with which requests that change something are answered.
        faults: requests that a real API would not have taken.
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.version = "2.17.0"
        self.on_look: Callable[[], None] = lambda: None
        self.pipelines: dict[str, api.V2beta1Pipeline] = {}
        self.versions: dict[str, api.V2beta1PipelineVersion] = {}
        self.experiments: dict[str, api.V2beta1Experiment] = {}
        self.runs: dict[str, api.V2beta1Run] = {}
        self.schedules: dict[str, api.V2beta1RecurringRun] = {}
        self.packages: dict[str, list[Any]] = {}
        self.ends = ["PENDING", "RUNNING", "SUCCEEDED"]
        self.refuse: int | None = None
        self.faults: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                status, answer = server._gate(self.command, self.headers)
                if status == 200:
                    try:
                        answer = server._answer(
                            f"{self.command} {parts.path}", query, body, dict(self.headers)
                        )
                    except Exception as error:
                        server.faults.append(repr(error))
                        status, answer = 500, {"error_message": repr(error)}
                text = json.dumps(_CLIENT.sanitize_for_serialization(answer)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_DELETE = _serve

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def _gate(self, method: str, headers: Any) -> tuple[int, Any]:
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"error_message": "Unauthorized"}
        if self.refuse and method != "GET":
            return self.refuse, {"error_message": "the database is in a sulk\nstack trace"}
        return 200, None

    def _answer(self, call: str, query: dict[str, str], body: bytes, headers: Any) -> Any:
        path = call.replace("/apis/v2beta1", "")
        named = _wanted_name(query)

        def listed(things: dict[str, Any], **also: str) -> list[Any]:
            return [
                thing
                for thing in things.values()
                if named in (None, thing.display_name)
                and all(getattr(thing, key) == value for key, value in also.items())
            ]

        if path == "GET /healthz":
            # More than the client's model knows: backend/src/apiserver/main.go, newHealthzResponse.
            health = {"commit_sha": "unknown", "tag_name": self.version}
            return health | {"multi_user": False, "pipeline_store": "database"}
        if path == "GET /pipelines":
            return api.V2beta1ListPipelinesResponse(pipelines=listed(self.pipelines) or None)
        if path == "POST /pipelines/upload":
            pipeline = api.V2beta1Pipeline(
                pipeline_id=_new_id(), display_name=query["name"],
                description=query.get("description"),
            )  # fmt: skip
            self.pipelines[pipeline.pipeline_id] = pipeline
            self._add_version(pipeline.pipeline_id, query["name"], body, headers)
            return pipeline
        if path == "POST /pipelines/upload_version":
            assert query["pipelineid"] in self.pipelines
            return self._add_version(query["pipelineid"], query["name"], body, headers)
        if match := re.fullmatch(r"GET /pipelines/([\w-]+)/versions", path):
            return api.V2beta1ListPipelineVersionsResponse(
                pipeline_versions=listed(self.versions, pipeline_id=match[1]) or None
            )
        if path == "GET /experiments":
            space = {"namespace": query["namespace"]} if query.get("namespace") else {}
            return api.V2beta1ListExperimentsResponse(
                experiments=listed(self.experiments, **space) or None
            )
        if path == "POST /experiments":
            experiment = parsed("V2beta1Experiment", json.loads(body))
            experiment.experiment_id = _new_id()
            self.experiments[experiment.experiment_id] = experiment
            return experiment
        if path == "POST /runs":
            run = parsed("V2beta1Run", json.loads(body))
            self._check(run)
            run.run_id = _new_id()
            self.runs[run.run_id] = run
            return run
        if match := re.fullmatch(r"GET /runs/([\w-]+)", path):
            run = self.runs[match[1]]
            self.on_look()
            run.state = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
            return run
        if path == "GET /recurringruns":
            return api.V2beta1ListRecurringRunsResponse(recurring_runs=listed(self.schedules))
        if path == "POST /recurringruns":
            schedule = parsed("V2beta1RecurringRun", json.loads(body))
            self._check(schedule)
            schedule.recurring_run_id = _new_id()
            self.schedules[schedule.recurring_run_id] = schedule
            return schedule
        if match := re.fullmatch(r"DELETE /recurringruns/([\w-]+)", path):
            del self.schedules[match[1]]
            return {}
        raise AssertionError(f"no such call: {call}")

    def _add_version(self, pipeline: str, name: str, body: bytes, headers: Any) -> Any:
        files: list[Any] = []
        parse_form({k: v.encode() for k, v in headers.items()}, _Stream(body), None, files.append)
        (file,) = files
        file.file_object.seek(0)
        documents = list(yaml.safe_load_all(file.file_object.read()))
        # What is no pipeline, KFP would not take.
        json_format.ParseDict(documents[0], pipeline_spec_pb2.PipelineSpec())
        version = api.V2beta1PipelineVersion(
            pipeline_id=pipeline, pipeline_version_id=_new_id(), display_name=name
        )
        assert name not in {v.display_name for v in self.versions.values()}, f"{name}: is there"
        self.versions[version.pipeline_version_id] = version
        self.packages[version.pipeline_version_id] = documents
        return version

    def _check(self, asked: Any) -> None:
        """A run, or a schedule of runs: of things that are there, with the inputs they take."""
        assert asked.experiment_id in self.experiments
        reference = asked.pipeline_version_reference
        version = self.versions[reference.pipeline_version_id]
        assert version.pipeline_id == reference.pipeline_id
        spec = self.packages[reference.pipeline_version_id][0]
        takes = spec["root"]["inputDefinitions"]["parameters"]
        given = asked.runtime_config.parameters
        assert set(given) <= set(takes)
        assert {k for k, v in takes.items() if not v.get("isOptional")} <= set(given)


class _Stream:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int = -1) -> bytes:
        size = len(self._data) if size < 0 else size
        taken, self._data = self._data[:size], self._data[size:]
        return taken


def _wanted_name(query: dict[str, str]) -> str | None:
    """The name that a filter asks for; protobuf's JSON takes both spellings of its field."""
    if not query.get("filter"):
        return None
    (predicate,) = json.loads(query["filter"])["predicates"]
    assert predicate["key"] == "display_name" and predicate["operation"] in ("EQUALS", 1)
    return str(predicate.get("string_value") or predicate["stringValue"])


def _new_id() -> str:
    return str(uuid.uuid4())
