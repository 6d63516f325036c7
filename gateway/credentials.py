"""A client's credentials as metadata for control.

The gateway only checks that a credential is well formed; control verifies it on every request.  An API key travels as
`Authorization: Bearer`, a session as the HTTP-only cookie.  If a request has both, the key counts.
"""

import re
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from hum import ids, rpc, secrets
from hum.contract.errors import ApiKeyRequired, SessionRequired
from hum.observe import tracing

SESSION: Final = "session"
SIGN_IN: Final = "sign_in"
IDEMPOTENCY_KEY: Final = "[ -~]{1,255}"
MAX_ID_CHARS: Final = 100
#: Key in a request's scope: the client's address, in the form of `network.limit_key`.
ADDRESS: Final = "hum.address"
#: Key in a request's scope: the request's id.
REQUEST_ID: Final = "hum.request_id"

NO_CREDENTIAL: Final = "No credential was sent. Send an API key in the header `Authorization: Bearer hum_live_...`, or sign in at /auth/login."
NOT_BEARER: Final = "The header Authorization must be the word Bearer and an API key: `Bearer hum_live_...`."
BAD_KEY: Final = (
    f"This is not a whole API key, which is {secrets.API_KEY_PREFIX} and {secrets.API_KEY_CHARS} letters and digits. Copy the "
    "key again, or make a new one: a key is shown once."
)
BAD_SESSION: Final = "The cookie holds no session of this service; sign in again at /auth/login."

Metadata = tuple[tuple[str, str], ...]


class Cookies:
    """Our cookies by their short names.

    Over https they have the `__Host-` prefix, which no other host can set; cookies without it are ignored.
    """

    def __init__(self, public_url: str) -> None:
        self._secure = public_url.startswith("https://")
        self._prefix = "__Host-hum_" if self._secure else "hum_"

    def name(self, short: str) -> str:
        """Return the cookie's whole name."""
        return self._prefix + short

    def get(self, request: Request, name: str) -> str:
        """Return the cookie's value as it was sent, or an empty string.

        The value is not unquoted: ours are never quoted, and unescaping takes time quadratic in the number of escapes.
        """
        whole_name, cookie = self._prefix + name, ""
        for header in request.headers.getlist("cookie"):
            for pair in header.split(";"):
                key, _, value = pair.partition("=")
                if key.strip() == whole_name:
                    cookie = value.strip()
        return cookie

    def set(self, answer: Response, name: str, value: str, max_age_seconds: int) -> None:
        answer.set_cookie(
            self._prefix + name, value, max_age_seconds, path="/", secure=self._secure, httponly=True, samesite="lax"
        )

    def delete(self, answer: Response, name: str) -> None:
        answer.delete_cookie(self._prefix + name, path="/", secure=self._secure, httponly=True, samesite="lax")


def request_id(request: Request) -> str:
    """Return the client's request id if it is valid, else a new one; the same one for the life of the request."""
    id: str | None = request.scope.get(REQUEST_ID)
    if id is None:
        id = ids.request_id(request.headers.get("x-request-id", ""))
        request.scope[REQUEST_ID] = id
    return id


def correlation(request: Request) -> Metadata:
    """Return the metadata that ties a call to control to this request: the request id, and the trace if there is one."""
    return ((rpc.REQUEST_ID, request_id(request)), *tracing.metadata())


class ClientCredentials:
    """The credential and the address of a request's client, as metadata for control."""

    def __init__(self, cookies: Cookies, identity: rpc.NodeIdentity) -> None:
        self.cookies, self._identity = cookies, identity

    def require(self, request: Request) -> None:
        """Raise ApiKeyRequired or SessionRequired for a request without a well-formed credential."""
        if (key := _bearer(request)) is not None:
            if not secrets.looks_like_api_key(key):
                raise ApiKeyRequired(BAD_KEY)
        elif session := self.cookies.get(request, SESSION):
            if not secrets.looks_like_token(session):
                raise SessionRequired(BAD_SESSION)
        elif "authorization" in request.headers:
            raise ApiKeyRequired(NOT_BEARER)
        else:
            raise SessionRequired(NO_CREDENTIAL)

    def metadata(self, request: Request) -> Metadata:
        """Return the metadata of a call that carries out the client's request: the caller's, and the idempotency key."""
        key = request.headers.get("idempotency-key")
        return (*self.caller_metadata(request), *(((rpc.IDEMPOTENCY_KEY, key),) if key else ()))

    def caller_metadata(self, request: Request) -> Metadata:
        """Return the metadata of any call on the client's behalf.

        It has the correlation, the address, the credential, and the organization.
        """
        pairs = [*correlation(request), *self._identity.vouching_metadata(request.scope[ADDRESS])]
        if (key := _bearer(request)) is not None:
            pairs.append((rpc.CREDENTIAL, rpc.BEARER_SCHEME + key))
        else:
            pairs.append((rpc.CREDENTIAL, rpc.SESSION_SCHEME + self.cookies.get(request, SESSION)))
        if organization := request.headers.get("hum-organization"):
            # Quoted, as gRPC carries printable ASCII only.
            pairs.append((rpc.ORGANIZATION, quote(organization[:MAX_ID_CHARS])))
        return tuple(pairs)

    def node_metadata(self, request: Request) -> Metadata:
        """Return the metadata of a call in the gateway's own name, for a client that is not signed in yet."""
        return (self._identity.metadata(), (rpc.CLIENT_ADDRESS, request.scope[ADDRESS]), *correlation(request))


def bad_idempotency_key(request: Request) -> str | None:
    """Return what is wrong with the request's idempotency key, or None.  gRPC carries printable ASCII only."""
    key = request.headers.get("idempotency-key")
    return None if key is None or re.fullmatch(IDEMPOTENCY_KEY, key) else "must be 1 to 255 printable ASCII characters"


def require_key(request: Request, missing: str) -> None:
    """Raise ApiKeyRequired for a request without a well-formed API key; for endpoints that accept no session.

    `missing` is the message for a request without any key.
    """
    key = _bearer(request)
    if key is None or not secrets.looks_like_api_key(key):
        raise ApiKeyRequired(missing if key is None else BAD_KEY)


def is_cookie_authenticated(request: Request, cookies: Cookies) -> bool:
    """Tell whether only a cookie authenticates the request."""
    return _bearer(request) is None and bool(cookies.get(request, SESSION))


def _bearer(request: Request) -> str | None:
    header = request.headers.get("authorization", "")
    return header[len("bearer ") :].strip() if header.lower().startswith("bearer ") else None
