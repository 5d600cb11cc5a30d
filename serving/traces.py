"""Traces (OpenTelemetry): one for each request, through the stages and into the call of Triton.

They are off unless `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` says where
they go. The other `OTEL_*` variables work as everywhere.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry import propagate, trace
from opentelemetry.context import Context

from serving import metrics

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

REQUEST_ID = ContextVar("request_id", default="")
"""The id of the request that is being answered."""

TRACER = trace.get_tracer("moodline")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def start_traces() -> "TracerProvider | None":
    """Send this process's spans to the endpoint in the environment; None if there is none."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if off or not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", "moodline")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def log_context() -> dict[str, str]:
    """What a line of the log within a request gets: `request_id`, and `trace_id` if it has one."""
    trace_id = trace.get_current_span().get_span_context().trace_id
    ids = {"request_id": REQUEST_ID.get(), "trace_id": f"{trace_id:032x}" if trace_id else ""}
    return {name: text for name, text in ids.items() if text}


def request(method: str, headers: Mapping[str, str]) -> AbstractContextManager[trace.Span]:
    """A span for a request that came in; it continues the sender's trace if there is one."""
    sent = propagate.extract(dict(headers), context=Context())
    return TRACER.start_as_current_span(method, sent, kind=trace.SpanKind.SERVER)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """A stage of a request: a span, and an observation of `moodline_stage_seconds`."""
    began = time.monotonic()
    with TRACER.start_as_current_span(name):
        yield
    metrics.STAGES.labels(name).observe(time.monotonic() - began)


@contextmanager
def call(name: str) -> Iterator[dict[str, str]]:
    """A call of another server: a span, and the headers (metadata) that continue it there."""
    with TRACER.start_as_current_span(name, kind=trace.SpanKind.CLIENT):
        headers: dict[str, str] = {}
        propagate.inject(headers)
        yield headers
