"""What every answer of the gateway gets: a request id, safe headers, one log line and one measurement.

Plain ASGI: Starlette's own base class would copy every stream through a queue.
"""

from prometheus_client import Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import credentials
from hum.clock import monotonic_ms
from hum.telemetry import FAST_BUCKETS, log

LOG = log(__name__)
SECONDS = Histogram(
    "hum_http_seconds", "Time to the head of an answer", ["method", "route", "status"], buckets=FAST_BUCKETS
)
QUIET = ("/healthz", "/readyz", "/metrics")
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

ONLY_HTTPS = {"Strict-Transport-Security": "max-age=31536000"}


class SecurityHeaders:
    """Headers that take a browser's bad ideas away, and `no-store` on what belongs to a tenant."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._app = app
        self._headers = SAFE_HEADERS | (ONLY_HTTPS if public_url.startswith("https://") else {})

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
        began, status = monotonic_ms(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                route = getattr(scope.get("route"), "path", "none")
                SECONDS.labels(scope["method"], route, status).observe((monotonic_ms() - began) / 1000)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            if scope["path"] not in QUIET:
                LOG.info(
                    "http",
                    method=scope["method"],
                    route=getattr(scope.get("route"), "path", "none"),
                    status=status,
                    ms=round(monotonic_ms() - began, 2),
                    request_id=credentials.request_id(Request(scope)),
                )
