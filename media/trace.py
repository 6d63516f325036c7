"""One stream of a call as spans of the call's trace: the stream, its session, the agent's answers, the caller's waits, tools."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, use_span

from hum.clock import now
from hum.observe import tracing
from hum.v1 import runtime_pb2 as pb
from media.callstate import TraceState
from media.core.types import CallEnded, Event, LatencyMeasured, ToolCalled, ToolFinished, TurnEnded

_NS_PER_MS = 1_000_000


class CallTrace:
    """The spans of one stream."""

    def __init__(self) -> None:
        self._stream: Span = INVALID_SPAN
        self._carrier_call_id = ""
        self._began_ns = 0
        self._answer_ms = 0  # start of the last answer
        self._tools: dict[str, Span] = {}

    def begin(self, carrier_call_id: str) -> None:
        """Start the stream's span."""
        self._carrier_call_id = carrier_call_id
        self._stream = tracing.call_span(carrier_call_id, "stream")
        self._began_ns = round(now().timestamp() * 1000) * _NS_PER_MS

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Trace the opening of the session; control's spans get this one as their parent."""
        span = tracing.child_span(self._stream, "session.open", kind=SpanKind.CLIENT)
        with use_span(span, end_on_exit=True, record_exception=False):
            yield

    def open(self, session: pb.OpenSessionResponse) -> None:
        """Set the call's id and the stream's number on the stream's span."""
        self._stream.set_attributes({"hum.call": session.call_id, "hum.stream_number": session.stream_number})

    def state(self) -> TraceState:
        """Return the state for another process."""
        return TraceState(self._carrier_call_id, self._began_ns, self._answer_ms)

    def resume(self, state: TraceState, call_id: str) -> None:
        """Continue a stream of another process, in a new span."""
        self._carrier_call_id = state.carrier_call_id
        self._stream = tracing.call_span(state.carrier_call_id, "stream")
        self._stream.set_attribute("hum.call", call_id)
        self._began_ns, self._answer_ms = state.began_ns, state.answer_ms

    def record(self, event: Event) -> None:
        """Record an event of the core that begins or ends a span; ignore all others."""
        if not self._stream.is_recording():
            return
        match event:
            case TurnEnded(seq, "agent"):
                self._answer_ms = event.start_ms
                facts: tracing.Attributes = {"hum.turn_seq": seq, "hum.interrupted": event.interrupted}
                self._add_span("answer", event.start_ms, event.end_ms, facts)
            case LatencyMeasured(seq):  # of the answer just recorded
                facts = {"hum.turn_seq": seq, "hum.ours_ms": event.ours_ms, "hum.model_ms": event.model_ms}
                self._add_span("wait", self._answer_ms - event.total_ms, self._answer_ms, facts)
            case ToolCalled(tool_call_id):
                self._tools[tool_call_id] = tracing.child_span(self._stream, "tool", kind=SpanKind.CLIENT)
            case ToolFinished(tool_call_id):
                span = self._tools.pop(tool_call_id, INVALID_SPAN)
                span.set_attribute("hum.status", event.status)
                span.end()
            case CallEnded(reason):
                self._stream.set_attribute("hum.reason", reason)
            case _:
                pass

    def tool(self, tool_call_id: str) -> str:
        """Return a running tool's span as a `traceparent` for control; empty if it has none."""
        return tracing.traceparent(self._tools.get(tool_call_id, INVALID_SPAN))

    def end(self) -> None:
        """End all open spans.  May be called repeatedly."""
        for span in (*self._tools.values(), self._stream):
            span.end()
        self._tools.clear()
        self._stream = INVALID_SPAN

    def _add_span(self, name: str, start_ms: int, end_ms: int, facts: tracing.Attributes) -> None:
        """Add a span of the past, with times on the stream's clock."""
        start_ns = self._began_ns + start_ms * _NS_PER_MS
        span = tracing.child_span(self._stream, name, start_ns=start_ns)
        span.set_attributes(facts)
        span.end(start_ns + max(0, end_ms - start_ms) * _NS_PER_MS)
