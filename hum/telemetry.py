"""Logs, metrics and traces.

structlog writes one JSON object per line, with the request, organization and call that are bound to the context; no
phone number and no transcript at INFO.  Metrics are Prometheus's; traces are OpenTelemetry's, and are exported only if
an endpoint is set.
"""

import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO, cast

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest
from structlog.tracebacks import ExceptionDictTransformer

from hum.settings import Common

LOST_LINES = Counter("hum_log_lines_lost_total", "Lines of the log that could not be written")
_TRACER, _W3C = trace.get_tracer("hum"), TraceContextTextMapPropagator()
METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST
#: Prometheus buckets, in seconds, for operations that take milliseconds ...
FAST_BUCKETS: Sequence[float] = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
#: ... and for the time a caller waits for an answer.
TURN_BUCKETS: Sequence[float] = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)


def log(name: str) -> Any:
    """The logger of a module."""
    return structlog.get_logger(name)


def node_name(settings: Common, plane: str) -> str:
    """This process's name in links and logs."""
    return settings.node or f"{plane}-{socket.gethostname()}-{os.getpid()}"


class Lines:
    """A stream to a descriptor that never raises: a full disk loses log lines, not calls."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> None:
        try:
            os.write(self._descriptor, text.encode(errors="backslashreplace"))
        except OSError:
            LOST_LINES.inc()

    def flush(self) -> None:
        """Nothing is buffered: a line that a full disk did not accept must not be written with the next one."""


def start(settings: Common, plane: str) -> None:
    """Set up logs and traces for this process; call once."""
    level = getattr(logging, settings.log_level.upper())
    lines = cast("TextIO", Lines(sys.stderr.fileno()))
    logging.basicConfig(stream=lines, level=logging.WARNING, format="%(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            # No local variables: they hold phone numbers, transcripts and keys.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(lines),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(plane=plane)
    if settings.otlp_endpoint:
        provider = TracerProvider(resource=Resource.create({"service.name": f"hum-{plane}"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint)))
        trace.set_tracer_provider(provider)


def served(name: str, metadata: Mapping[str, str]) -> trace.Span:
    """A span for an incoming request, a child of the sender's span (W3C Trace Context).  The caller must end it."""
    return _TRACER.start_span(name, context=_W3C.extract(dict(metadata)), kind=trace.SpanKind.SERVER)


def carried() -> tuple[tuple[str, str], ...]:
    """The current span as metadata for a call to another plane; empty when nothing is traced."""
    headers: dict[str, str] = {}
    _W3C.inject(headers)
    return tuple(headers.items())


def metrics_page() -> bytes:
    """All metrics of this process, in Prometheus's text format."""
    return generate_latest()
