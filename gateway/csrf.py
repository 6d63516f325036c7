"""CSRF protection.

An unsafe request that only a cookie authenticates must come from our own pages, by its `Origin` or, where the browser
sends none, by `Sec-Fetch-Site`.
"""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import credentials, errors
from gateway.credentials import Cookies

SAFE = {"GET", "HEAD", "OPTIONS"}


class SameOrigin:
    """Middleware that refuses forged requests."""

    def __init__(self, app: ASGIApp, public_url: str, cookies: Cookies) -> None:
        at = urlsplit(public_url)
        self._app, self._cookies, self._origin = app, cookies, f"{at.scheme}://{at.netloc}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE:
            request = Request(scope)
            if credentials.is_cookie_authenticated(request, self._cookies) and not self._is_same_origin(request):
                message = f"A request that a cookie authenticates must come from {self._origin}."
                answer = errors.refusal("CSRF_FAILED", message, credentials.request_id(request))
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_same_origin(self, request: Request) -> bool:
        if (origin := request.headers.get("origin")) is not None:
            return origin == self._origin
        return request.headers.get("sec-fetch-site") == "same-origin"
