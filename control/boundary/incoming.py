"""A request on its way through the boundary, from its arrival to its log line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from grpc import aio
from opentelemetry.trace import INVALID_SPAN, Span
from prometheus_client import Histogram

from control.boundary.method import Method
from hum import ids, rpc
from hum.clock import Clock
from hum.contract.errors import FieldError, InvalidRequest
from hum.observe import tracing
from hum.observe.logs import log
from hum.observe.metrics import FAST_BUCKETS

LOG = log(__name__)
SECONDS = Histogram("hum_rpc_seconds", "Seconds to answer an RPC to control", ["method", "code"], buckets=FAST_BUCKETS)
MAX_IDEMPOTENCY_KEY = 255
IN_TRANSIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """A request as it arrived, before it is authenticated."""

    method: Method
    context: "aio.ServicerContext[Any, Any]"
    metadata: Mapping[str, str]
    request_id: str
    clock: Clock
    began_ms: float
    trailing: dict[str, str] = field(default_factory=dict)
    span: Span = INVALID_SPAN
    #: The sizes in bytes of what the request has stored beyond its message.
    stored: list[int] = field(default_factory=list)

    @classmethod
    def begin(cls, method: Method, context: "aio.ServicerContext[Any, Any]", clock: Clock) -> "IncomingRequest":
        metadata = {name: str(value) for name, value in context.invocation_metadata() or ()}
        request_id = ids.request_id(metadata.get(rpc.REQUEST_ID, ""))
        structlog.contextvars.bind_contextvars(request_id=request_id)
        span = tracing.server_span(method.name, metadata)
        trailing = {rpc.REQUEST_ID: request_id}
        return cls(method, context, metadata, request_id, clock, clock(), trailing, span)

    @property
    def credential(self) -> str:
        return self.metadata.get(rpc.CREDENTIAL, "")

    @property
    def idempotency_key(self) -> str | None:
        """The client's key, if the method changes anything.  Raises InvalidRequest."""
        key = self.metadata.get(rpc.IDEMPOTENCY_KEY, "")
        if not key or not self.method.mutates:
            return None
        if len(key) > MAX_IDEMPOTENCY_KEY:
            raise InvalidRequest([FieldError("Idempotency-Key", f"is longer than {MAX_IDEMPOTENCY_KEY} characters")])
        return key

    def count_stored(self, size: int) -> None:
        """Count bytes that the request stores beyond its message, against the organization's storage rate limit."""
        self.stored.append(size)

    def end_cancelled(self) -> None:
        """Log and measure a request that was cancelled: by its client, by its deadline, or by the end of a drain."""
        left_seconds = self.context.time_remaining()
        # The client's clock for the deadline began earlier than ours, and gRPC rounds the timeout up by as much as 1 %.
        took_seconds = (self.clock() - self.began_ms) / 1000
        late = left_seconds is not None and left_seconds <= IN_TRANSIT_SECONDS + took_seconds / 100
        self.end("DEADLINE_EXCEEDED" if late else "CANCELLED")

    def end(self, code: str) -> None:
        """Log and measure how the request ended."""
        took_ms = self.clock() - self.began_ms
        self.span.set_attributes({"rpc.grpc.status": code, "hum.request_id": self.request_id})
        self.span.end()
        SECONDS.labels(self.method.name, code).observe(took_ms / 1000)
        LOG.info("rpc", method=self.method.name, code=code, ms=round(took_ms, 2), request_id=self.request_id)
