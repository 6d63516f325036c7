"""One stream of a call as spans of the call's trace: the stream, its session, what the agent said and what the caller waited for."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, use_span

from hum import tracing
from hum.clock import now
from hum.v1 import runtime_pb2 as pb
from media.carried import CarriedTrace
from media.core.types import CallEnded, Event, LatencyMeasured, ToolCalled, ToolFinished, TurnEnded

_NS_PER_MS = 1_000_000


class CallTrace:
    def __init__(self) -> None:
        self._stream: Span = INVALID_SPAN
        self._carrier_call_id = ""
        self._began_ns = 0
        self._answer_ms = 0  # where the last answer began
        self._tools: dict[str, Span] = {}

    def begin(self, carrier_call_id: str) -> None:
        """The stream has started."""
        self._carrier_call_id = carrier_call_id
        self._stream = tracing.of_call(carrier_call_id, "stream")
        self._began_ns = round(now().timestamp() * 1000) * _NS_PER_MS

    @contextmanager
    def opening(self) -> Iterator[None]:
        """While control opens the session, which gets this span as its parent."""
        span = tracing.below(self._stream, "session.open", kind=SpanKind.CLIENT)
        with use_span(span, end_on_exit=True, record_exception=False):
            yield

    def open(self, session: pb.OpenSessionResponse) -> None:
        self._stream.set_attributes({"hum.call": session.call_id, "hum.stream_number": session.stream_number})

    def carried(self) -> CarriedTrace:
        return CarriedTrace(self._carrier_call_id, self._began_ns, self._answer_ms)

    def resume(self, carried: CarriedTrace, call_id: str) -> None:
        """The stream goes on in this process, as a span of its own."""
        self._carrier_call_id = carried.carrier_call_id
        self._stream = tracing.of_call(carried.carrier_call_id, "stream")
        self._stream.set_attribute("hum.call", call_id)
        self._began_ns, self._answer_ms = carried.began_ns, carried.answer_ms

    def record(self, event: Event) -> None:
        """What the conversation reports, as far as it is a span."""
        if not self._stream.is_recording():
            return
        match event:
            case TurnEnded(seq, "agent"):
                self._answer_ms = event.start_ms
                facts: tracing.Attributes = {"hum.turn_seq": seq, "hum.interrupted": event.interrupted}
                self._add_span("answer", event.start_ms, event.end_ms, facts)
            case LatencyMeasured(seq):  # of the answer just noted
                facts = {"hum.turn_seq": seq, "hum.ours_ms": event.ours_ms, "hum.model_ms": event.model_ms}
                self._add_span("wait", self._answer_ms - event.total_ms, self._answer_ms, facts)
            case ToolCalled(call_id):
                self._tools[call_id] = tracing.below(self._stream, "tool", kind=SpanKind.CLIENT)
            case ToolFinished(call_id):
                span = self._tools.pop(call_id, INVALID_SPAN)
                span.set_attribute("hum.status", event.status)
                span.end()
            case CallEnded(reason):
                self._stream.set_attribute("hum.reason", reason)
            case _:
                pass

    def tool(self, tool_call_id: str) -> str:
        """A running tool's span, as control gets it."""
        return tracing.carried_of(self._tools.get(tool_call_id, INVALID_SPAN))

    def end(self) -> None:
        """The stream is over; may be called repeatedly."""
        for span in (*self._tools.values(), self._stream):
            span.end()
        self._tools.clear()
        self._stream = INVALID_SPAN

    def _add_span(self, name: str, start_ms: int, end_ms: int, facts: tracing.Attributes) -> None:
        """A span of the past, on the stream's clock."""
        start_ns = self._began_ns + start_ms * _NS_PER_MS
        span = tracing.below(self._stream, name, start_ns=start_ns)
        span.set_attributes(facts)
        span.end(start_ns + max(0, end_ms - start_ms) * _NS_PER_MS)
