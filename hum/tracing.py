"""Traces (OpenTelemetry), exported if an endpoint is set; without one, no span is made.

A request is a trace of its own.  So is a call, whichever planes, processes and webhooks it goes through: its id follows from the
carrier's id of the call, which all of them know (docs/decisions/0030-a-calls-trace.md).  So is a text: one that came in has the carrier's
id, one that goes out that of its attempt.  No span holds a phone number, or a word that was spoken or written.
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
# In front of what is hashed: a call's id is used for nothing else.
_CALLS, _TEXTS = "hum/call/", "hum/text/"

Attributes = Mapping[str, str | int | bool]


class _Ids(RandomIdGenerator):
    """Random ids, and for the first span of a call those that all planes can tell."""

    def __init__(self) -> None:
        self.root: SpanContext | None = None

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self.root is None else self.root.trace_id

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self.root is None else self.root.span_id


class _Tracing:
    """Of this process; `tracer` is None while nothing is traced."""

    ids = _Ids()
    tracer: trace.Tracer | None = None


def start(settings: Common, plane: str) -> None:
    """Trace this process, if an endpoint is set; call once."""
    if settings.otlp_endpoint:
        # A tenth of a plane's start, which most do without.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=settings.otlp_endpoint)
        export(BatchSpanProcessor(exporter), f"hum-{plane}", settings.traced_share)


def export(processor: SpanProcessor, service: str, share: float = 1.0) -> None:
    """Trace this share of requests and calls.  Each plane decides by the trace's id, and so alike."""
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


def served(name: str, metadata: Mapping[str, str]) -> Span:
    """A span for an incoming request, a child of the sender's span (W3C Trace Context).  The caller must end it."""
    if _Tracing.tracer is None:
        return INVALID_SPAN
    return _Tracing.tracer.start_span(name, context=_W3C.extract(dict(metadata)), kind=SpanKind.SERVER)


def carried() -> tuple[tuple[str, str], ...]:
    """The current span as metadata for a call to another plane; empty when nothing is traced."""
    headers: dict[str, str] = {}
    _W3C.inject(headers)
    return tuple(headers.items())


def carried_of(span: Span) -> str:
    """The span as a `traceparent`; empty when nothing is traced."""
    headers: dict[str, str] = {}
    _W3C.inject(headers, context=trace.set_span_in_context(span, Context()))
    return headers.get("traceparent", "")


def webhook(carrier_call_id: str, name: str, *, first: bool) -> AbstractContextManager[Span]:
    """The current span while a webhook of a call is answered; the `first` webhook's is the root of the call's trace."""
    return _part(_CALLS + carrier_call_id, name, SpanKind.SERVER, first=first)


def text_webhook(text_id: str, name: str, *, first: bool) -> AbstractContextManager[Span]:
    """The same of a text: by the carrier's id if it came in, by its attempt's, as it is shown, if it went out."""
    return _part(_TEXTS + text_id, name, SpanKind.SERVER, first=first)


def text_step(text_id: str, name: str, *, first: bool = False) -> AbstractContextManager[Span]:
    """The current span while something is done about a text; of the `first` step, the root of its trace."""
    return _part(_TEXTS + text_id, name, SpanKind.INTERNAL, first=first)


@contextmanager
def _part(whole: str, name: str, kind: SpanKind, *, first: bool) -> Iterator[Span]:
    if _Tracing.tracer is None:
        yield INVALID_SPAN
        return
    root = _root(whole)
    _Tracing.ids.root = root if first else None
    parent = Context() if first else _under(NonRecordingSpan(root))
    span = _Tracing.tracer.start_span(name, context=parent, kind=kind)
    _Tracing.ids.root = None
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield span


def of_call(carrier_call_id: str, name: str) -> Span:
    """A span right below the root of a call's trace.  The caller must end it."""
    if _Tracing.tracer is None:
        return INVALID_SPAN
    return _Tracing.tracer.start_span(name, context=_under(NonRecordingSpan(_root(_CALLS + carrier_call_id))))


def below(parent: Span, name: str, *, start_ns: int | None = None, kind: SpanKind = SpanKind.INTERNAL) -> Span:
    """A child span.  The caller must end it."""
    if _Tracing.tracer is None:
        return INVALID_SPAN
    return _Tracing.tracer.start_span(name, context=_under(parent), kind=kind, start_time=start_ns)


def _under(span: Span) -> Context:
    return trace.set_span_in_context(span, Context())


def _root(whole: str) -> SpanContext:
    """The first span of a call or a text, as every process can tell it."""
    digest = hashlib.sha256(whole.encode()).digest()
    trace_id, span_id = int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
