"""Traces (OpenTelemetry), exported if an endpoint is set; without one, no span is made.

A request is a trace of its own.  A call is one too, across planes, processes and webhooks: its trace id is derived from
the carrier's id of the call, which all of them know (docs/decisions/0030-tracing-and-logs.md).  So is a text: the trace id
of an inbound one is derived from the carrier's id, of an outbound one from its attempt's.  No span has a phone number,
or spoken or written words.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hum.settings import Common

_W3C = TraceContextTextMapPropagator()
# Prefixes of the hashed ids, so that equal ids of calls and texts have different traces.
_CALLS, _TEXTS = "hum/call/", "hum/text/"

Attributes = Mapping[str, str | int | bool]


class _Ids(RandomIdGenerator):
    """Random ids, except for the first span of a call or a text, which has the ids that all planes derive."""

    def __init__(self) -> None:
        self.root: SpanContext | None = None

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self.root is None else self.root.trace_id

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self.root is None else self.root.span_id


class _Tracing:
    """The state of this process; `tracer` is None while nothing is traced."""

    ids = _Ids()
    tracer: trace.Tracer | None = None


def start(settings: Common, plane: str) -> None:
    """Trace this process, if an endpoint is set; call once."""
    if settings.otlp_endpoint:
        # Imported late: it takes a tenth of a plane's start, and most deployments don't need it.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=settings.otlp_endpoint)
        export(BatchSpanProcessor(exporter), f"hum-{plane}", settings.traced_share)


def export(processor: SpanProcessor, service: str, share: float = 1.0) -> None:
    """Trace this share of requests and calls.  Planes decide by the trace id, so all decide the same."""
    provider = TracerProvider(
        sampler=TraceIdRatioBased(share),
        resource=Resource.create({"service.name": service}),
        id_generator=_Tracing.ids,
    )
    provider.add_span_processor(processor)
    _Tracing.tracer = provider.get_tracer("hum")


def stop() -> None:
    """Make no more spans."""
    _Tracing.tracer = None


def server_span(name: str, metadata: Mapping[str, str]) -> Span:
    """Start a span for an incoming request, a child of the sender's span (W3C Trace Context).

    The caller must end it.
    """
    if _Tracing.tracer is None:
        return INVALID_SPAN
    return _Tracing.tracer.start_span(name, context=_W3C.extract(dict(metadata)), kind=SpanKind.SERVER)


def metadata() -> tuple[tuple[str, str], ...]:
    """Return the current span as metadata for an RPC to another plane; empty if nothing is traced."""
    headers: dict[str, str] = {}
    _W3C.inject(headers)
    return tuple(headers.items())


def traceparent(span: Span) -> str:
    """Return the span as a `traceparent`; empty if nothing is traced."""
    headers: dict[str, str] = {}
    _W3C.inject(headers, context=trace.set_span_in_context(span, Context()))
    return headers.get("traceparent", "")


def webhook_span(carrier_call_id: str, name: str, *, first: bool) -> AbstractContextManager[Span]:
    """Make a span current while a call's webhook is answered; the `first` webhook's is the root of the call's trace."""
    return _span_of(_CALLS + carrier_call_id, name, SpanKind.SERVER, first=first)


def text_webhook_span(text_id: str, name: str, *, first: bool) -> AbstractContextManager[Span]:
    """Make a span current while a text's webhook is answered.

    `text_id` is the carrier's id of an inbound text, or the shown id of an outbound one's attempt.
    """
    return _span_of(_TEXTS + text_id, name, SpanKind.SERVER, first=first)


def text_step_span(text_id: str, name: str, *, first: bool = False) -> AbstractContextManager[Span]:
    """Make a span current during a step of a text; the `first` step's is the root of the text's trace."""
    return _span_of(_TEXTS + text_id, name, SpanKind.INTERNAL, first=first)


@contextmanager
def _span_of(subject: str, name: str, kind: SpanKind, *, first: bool) -> Iterator[Span]:
    if _Tracing.tracer is None:
        yield INVALID_SPAN
        return
    root = _root_context(subject)
    _Tracing.ids.root = root if first else None
    parent = Context() if first else _child_context(NonRecordingSpan(root))
    span = _Tracing.tracer.start_span(name, context=parent, kind=kind)
    _Tracing.ids.root = None
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield span


def call_span(carrier_call_id: str, name: str) -> Span:
    """Start a span directly below the root of a call's trace.  The caller must end it."""
    if _Tracing.tracer is None:
        return INVALID_SPAN
    return _Tracing.tracer.start_span(
        name, context=_child_context(NonRecordingSpan(_root_context(_CALLS + carrier_call_id)))
    )


def child_span(parent: Span, name: str, *, start_ns: int | None = None, kind: SpanKind = SpanKind.INTERNAL) -> Span:
    """Start a child span.  The caller must end it."""
    if _Tracing.tracer is None:
        return INVALID_SPAN
    return _Tracing.tracer.start_span(name, context=_child_context(parent), kind=kind, start_time=start_ns)


def _child_context(span: Span) -> Context:
    return trace.set_span_in_context(span, Context())


def _root_context(subject: str) -> SpanContext:
    """Return the context of the first span of a call or a text, which every process derives from its id."""
    digest = hashlib.sha256(subject.encode()).digest()
    trace_id, span_id = int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
