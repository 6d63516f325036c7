"""From what a client shows to what control is told.  The gateway judges no credential: control does, at each use.

A key travels as `Authorization: Bearer`; a session as the HTTP-only cookie, which becomes the same metadata.
"""

import re
from typing import Final

from starlette.requests import Request

from hum import ids, rpc

SESSION_COOKIES: Final = ("__Host-hum_session", "hum_session")
SANE_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
IDEMPOTENCY_KEY: Final = "[ -~]{1,255}"
_NOT_PLAIN = re.compile(r"[^ -~]")

Metadata = tuple[tuple[str, str], ...]


def request_id(request: Request) -> str:
    """The client's request id when it is sane, else a new one; the same for the life of the request."""
    known: str | None = request.scope.get("hum.request_id")
    if known is None:
        sent = request.headers.get("x-request-id", "")
        known = sent if SANE_REQUEST_ID.fullmatch(sent) else f"req_{ids.new().hex}"
        request.scope["hum.request_id"] = known
    return known


def metadata(request: Request) -> Metadata:
    """What control is told about who asks, and of this request."""
    told = [(rpc.REQUEST_ID, request_id(request))]
    if credential := _credential(request):
        told.append((rpc.CREDENTIAL, credential))
    if key := request.headers.get("idempotency-key"):
        told.append((rpc.IDEMPOTENCY_KEY, key))
    return tuple(told)


def bad_idempotency_key(request: Request) -> str | None:
    """What is wrong with the request's idempotency key, or None.  gRPC carries printable ASCII."""
    key = request.headers.get("idempotency-key")
    return None if key is None or re.fullmatch(IDEMPOTENCY_KEY, key) else "is 1 to 255 printable ASCII characters"


def _credential(request: Request) -> str:
    sent = request.headers.get("authorization", "")
    if sent.lower().startswith("bearer "):
        return rpc.BEARER_SCHEME + _NOT_PLAIN.sub("?", sent[len("bearer ") :].strip())
    for name in SESSION_COOKIES:
        if token := request.cookies.get(name):
            return rpc.BEARER_SCHEME + _NOT_PLAIN.sub("?", token)
    return ""
