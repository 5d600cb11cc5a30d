"""A collector of traces: what an OpenTelemetry backend is to an exporter, as far as tests need."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it was sent."""

    name: str
    id: str
    parent: str
    service: str


class Collector:
    """Takes spans over OTLP/HTTP (protobuf) on loopback, and keeps them."""

    def __init__(self) -> None:
        self._found: list[tuple[str, Span]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector._take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    entry = Span(
                        span.name,
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        names["service.name"],
                    )
                    self._found.append((span.trace_id.hex(), entry))

    def spans(self, trace_id: str) -> list[Span]:
        """The spans of a trace, as they came."""
        return [span for trace, span in list(self._found) if trace == trace_id]

    def __enter__(self) -> "Collector":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
