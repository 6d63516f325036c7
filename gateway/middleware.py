"""Middleware for every answer of the gateway: a request id, security headers, one log line and one measurement.

It is plain ASGI: Starlette's own base class would copy every stream through a queue.
"""

import asyncio

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN
from prometheus_client import Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import credentials, errors
from gateway.errors import TruncatedResponse
from hum.clock import monotonic_ms
from hum.observe import tracing
from hum.observe.logs import log
from hum.observe.metrics import FAST_BUCKETS

LOG = log(__name__)
SECONDS = Histogram(
    "hum_http_seconds", "Seconds to the headers of an answer", ["method", "route", "status"], buckets=FAST_BUCKETS
)
CUT = Counter(
    "hum_http_cut",
    "Answers that were cut off: 499 the client left, 504 control's deadline, others as control reports",
    ["method", "route", "status"],
)
QUIET = ("/healthz", "/readyz")
WEBHOOKS = "/twilio/"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
HTTPS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}


class SecurityHeaders:
    """Security headers for browsers, and `no-store` on tenants' data."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._app = app
        self._headers = SECURITY_HEADERS | (HTTPS_HEADERS if public_url.startswith("https://") else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
                headers["X-Request-Id"] = credentials.request_id(Request(scope))
            await send(message)

        await self._app(scope, receive, with_headers)


class AccessLog:
    """One line for each answer, without query strings: they hold phone numbers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope)
        with trace.use_span(answer.span, record_exception=False, set_status_on_exception=False):
            await self._observe(answer, scope, receive, send)

    async def _observe(self, answer: "_Answer", scope: Scope, receive: Receive, send: Send) -> None:
        async def observing(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.record_start(message["status"])
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                answer.is_complete = True

        try:
            await self._app(scope, receive, observing)
        except TruncatedResponse as error:  # the server closes the connection
            answer.record_cut(error.status)
        except asyncio.CancelledError:
            answer.record_cut(errors.CLIENT_CLOSED_REQUEST)
            raise
        # Only recorded here, and raised again: the application logs it.
        except Exception:
            answer.record_cut(errors.INTERNAL)
            raise
        else:
            if errors.CUT_STATUS in scope:
                answer.record_cut(scope[errors.CUT_STATUS])
            elif not answer.is_complete:  # the client left a stream
                answer.record_cut(errors.CLIENT_CLOSED_REQUEST)
        finally:
            answer.log()


class _Answer:
    """The progress of an answer."""

    def __init__(self, scope: Scope) -> None:
        self._scope, self._started_ms = scope, monotonic_ms()
        # A client must not decide what is traced: its trace is not continued.  A webhook's span belongs to its call.
        is_webhook = scope["path"].startswith(WEBHOOKS)
        self.span = INVALID_SPAN if is_webhook else tracing.server_span("http", {})
        self._status = 0
        self.is_complete = False

    def record_start(self, status: int) -> None:
        self._status = status
        SECONDS.labels(self._method(), self._route(), status).observe(self._age_ms() / 1000)

    def record_cut(self, status: int) -> None:
        """Count the answer as cut off, and log it under this status whatever status was sent."""
        if not self._status:
            self.record_start(status)
        CUT.labels(self._method(), self._route(), status).inc()
        self._status = status

    def log(self) -> None:
        self.span.update_name(f"{self._method()} {self._route()}")
        self.span.set_attribute("http.response.status_code", self._status)
        self.span.end()
        if self._scope["path"] not in QUIET:
            LOG.info(
                "http",
                method=self._method(),
                route=self._route(),
                status=self._status,
                ms=round(self._age_ms(), 2),
                request_id=credentials.request_id(Request(self._scope)),
            )

    def _age_ms(self) -> float:
        return monotonic_ms() - self._started_ms

    def _method(self) -> str:
        """Return the method if HTTP defines it: any other word of a client must not become a label or a log line."""
        method: str = self._scope["method"]
        return method if method in METHODS else "other"

    def _route(self) -> str:
        return getattr(self._scope.get("route"), "path", "none")
