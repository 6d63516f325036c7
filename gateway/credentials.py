"""A client's credentials as metadata for control.  The gateway verifies none of them: control does, on every request.

A key travels as `Authorization: Bearer`, a session as the HTTP-only cookie.  A request with a key is made as that key,
whatever cookies come with it.
"""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hum import ids, rpc, telemetry

SESSION: Final = "session"
SIGN_IN: Final = "sign_in"
IDEMPOTENCY_KEY: Final = "[ -~]{1,255}"
_NOT_PLAIN = re.compile(r"[^ -~]")

Metadata = tuple[tuple[str, str], ...]


class Cookies:
    """Our cookies by their short names.  Over https they have the `__Host-` prefix, which no other host can set;
    cookies without it are ignored.
    """

    def __init__(self, public_url: str) -> None:
        self._secure = public_url.startswith("https://")
        self._prefix = "__Host-hum_" if self._secure else "hum_"

    def get(self, request: Request, name: str) -> str:
        return request.cookies.get(self._prefix + name, "")

    def set(self, answer: Response, name: str, value: str, max_age_seconds: int) -> None:
        answer.set_cookie(
            self._prefix + name, value, max_age_seconds, path="/", secure=self._secure, httponly=True, samesite="lax"
        )

    def drop(self, answer: Response, name: str) -> None:
        answer.delete_cookie(self._prefix + name, path="/", secure=self._secure, httponly=True, samesite="lax")


def request_id(request: Request) -> str:
    """The client's request id when it is valid, else a new one; the same for the life of the request."""
    known: str | None = request.scope.get("hum.request_id")
    if known is None:
        known = ids.request_id(request.headers.get("x-request-id", ""))
        request.scope["hum.request_id"] = known
    return known


def correlation(request: Request) -> Metadata:
    """What ties a call to control to this request: its id, and its trace if there is one."""
    return ((rpc.REQUEST_ID, request_id(request)), *telemetry.carried())


def metadata(request: Request, cookies: Cookies) -> Metadata:
    """The metadata of a call to control: correlation, credential, idempotency key."""
    pairs = [*correlation(request)]
    if (key := _bearer(request)) is not None:
        pairs.append((rpc.CREDENTIAL, rpc.BEARER_SCHEME + key))
    elif session := cookies.get(request, SESSION):
        pairs.append((rpc.CREDENTIAL, rpc.SESSION_SCHEME + _NOT_PLAIN.sub("?", session)))
    if key := request.headers.get("idempotency-key"):
        pairs.append((rpc.IDEMPOTENCY_KEY, key))
    return tuple(pairs)


def bad_idempotency_key(request: Request) -> str | None:
    """What is wrong with the request's idempotency key, or None.  gRPC carries printable ASCII."""
    key = request.headers.get("idempotency-key")
    return None if key is None or re.fullmatch(IDEMPOTENCY_KEY, key) else "must be 1 to 255 printable ASCII characters"


def by_cookie(request: Request, cookies: Cookies) -> bool:
    """Tell whether only a cookie authenticates the request."""
    return _bearer(request) is None and bool(cookies.get(request, SESSION))


def _bearer(request: Request) -> str | None:
    sent = request.headers.get("authorization", "")
    return _NOT_PLAIN.sub("?", sent[len("bearer ") :].strip()) if sent.lower().startswith("bearer ") else None
