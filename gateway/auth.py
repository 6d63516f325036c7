"""Sign-in: `/auth/login`, `/auth/link`, `/auth/callback`, `/auth/logout`.

The gateway talks to the browser and to the issuer; control stores sign-ins in progress and sessions.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

import msgspec
from grpc import StatusCode, aio
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway import credentials, errors, pages
from gateway.credentials import Caller
from gateway.oidc import Issuer, IssuerAway, NotVouched
from hum import secrets
from hum.errors import FieldError
from hum.settings import GatewaySettings
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc

LOG = log(__name__)
CALLBACK: Final = "/auth/callback"
HOME: Final = "/"
#: A path on this host: one leading slash, and nothing that a browser reads as another host.
LOCAL_PATH: Final = re.compile(r"/(?![/\\])[^\x00-\x20\\\x7f-\uffff]{0,1999}")
Endpoint = Callable[[Request], Awaitable[Response]]
SIGN_IN_SECONDS: Final = 3600  # lifetime of the browser's cookie; control limits how long a sign-in may take


class SignIn:
    """The four routes.  Without an issuer nobody can sign in, and `/auth/login` says so."""

    def __init__(self, settings: GatewaySettings, channel: aio.Channel, caller: Caller) -> None:
        self._settings, self._caller, self._cookies = settings, caller, caller.cookies
        self._issuer = Issuer(settings) if settings.oidc_issuer else None
        self._control = runtime_pb2_grpc.SignInServiceStub(channel)
        self._redirect_uri = settings.public_url + CALLBACK

    def routes(self) -> list[Route]:
        return [
            Route("/auth/login", _for_people(self._login)),
            Route("/auth/link", _for_people(self._link), methods=["POST"]),
            Route(CALLBACK, _for_people(self._callback)),
            Route("/auth/logout", self._logout, methods=["POST"]),
        ]

    async def _login(self, request: Request) -> Response:
        return await self._begin(request, "")

    async def _link(self, request: Request) -> Response:
        """Link another account to the person who is signed in.  A POST, so that no other page can do it."""
        token = self._cookies.get(request, credentials.SESSION)
        if not secrets.looks_like_token(token):
            return errors.refusal("SESSION_REQUIRED", "Sign in first at /auth/login.", credentials.request_id(request))
        return await self._begin(request, token)

    async def _begin(self, request: Request, linking_token: str) -> Response:
        request_id, return_to = credentials.request_id(request), request.query_params.get("return_to", HOME)
        if LOCAL_PATH.fullmatch(return_to) is None:
            return errors.bad_fields([FieldError("return_to", "must be a path on this host")], request_id)
        if self._issuer is None:
            return errors.refusal("NOT_FOUND", "Sign-in is not configured; set HUM_OIDC_ISSUER.", request_id)
        state, nonce, verifier = secrets.new_token(), secrets.new_token(), secrets.new_token()
        try:
            url = await self._issuer.begin(self._redirect_uri, state, nonce, verifier, choose=bool(linking_token))
            begun = pb.BeginSignInRequest(
                state=state, nonce=nonce, code_verifier=verifier, return_to=return_to, linking_token=linking_token
            )
            await self._control.BeginSignIn(begun, **self._call(request))
        except IssuerAway as error:
            return _away(error, request_id)
        except aio.AioRpcError as error:
            return errors.rpc_error(error, request_id, errors.Rename())
        answer = RedirectResponse(url, 303 if linking_token else 302, {"Cache-Control": "no-store"})
        self._cookies.set(answer, credentials.SIGN_IN, state, SIGN_IN_SECONDS)
        return answer

    async def _callback(self, request: Request) -> Response:
        request_id, query = credentials.request_id(request), dict(request.query_params)
        state, begun_here = query.get("state", ""), self._cookies.get(request, credentials.SIGN_IN)
        if self._issuer is None or not state or not secrets.same(state.encode(), begun_here.encode()):
            # Anybody can send a browser here: a sign-in of its own that is in progress must survive it.
            answer = _begin_again("This sign-in was not started in this browser.", request_id)
        else:
            answer = await self._signed_in(request, self._issuer, state, query)
            self._cookies.drop(answer, credentials.SIGN_IN)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def _signed_in(self, request: Request, issuer: Issuer, state: str, query: dict[str, str]) -> Response:
        request_id = credentials.request_id(request)
        try:
            taken = await self._control.TakeSignIn(pb.TakeSignInRequest(state=state), **self._call(request))
            if "error" in query:
                raise NotVouched(f"the issuer answered {query['error'][:100]!r}")
            who = await issuer.finish(query, self._redirect_uri, taken.nonce, taken.code_verifier)
            opened = await self._control.OpenWebSession(
                pb.OpenWebSessionRequest(
                    issuer=who.issuer,
                    subject=who.subject,
                    email=who.email,
                    email_verified=who.email_verified,
                    name=who.name,
                    previous_token=self._cookies.get(request, credentials.SESSION),
                    links_user_id=taken.links_user_id,
                ),
                **self._call(request),
            )
        except IssuerAway as error:
            return _away(error, request_id)
        except NotVouched as error:
            LOG.warning("sign-in refused", why=str(error), request_id=request_id)
            return errors.refusal("FORBIDDEN", f"Sign-in failed: {error}; begin again at /auth/login.", request_id)
        except aio.AioRpcError as error:
            if error.code() is StatusCode.NOT_FOUND:
                return _begin_again(error.details() or "", request_id)
            return errors.rpc_error(error, request_id, errors.Rename())
        answer = RedirectResponse(quote(taken.return_to, safe="/?=&%#+:;,@!$'()*~[]"), 303)
        self._cookies.set(answer, credentials.SESSION, opened.token, opened.max_age_seconds)
        return answer

    async def _logout(self, request: Request) -> Response:
        # A program gets 204; the form of a page gets a page.
        by_form = "text/html" in request.headers.get("accept", "")
        answer: Response = RedirectResponse(HOME, 303) if by_form else Response(status_code=204)
        token = self._cookies.get(request, credentials.SESSION)
        if secrets.looks_like_token(token):
            try:
                await self._control.CloseWebSession(pb.CloseWebSessionRequest(token=token), **self._call(request))
            except aio.AioRpcError as error:
                return errors.rpc_error(error, credentials.request_id(request), errors.Rename())
        self._cookies.drop(answer, credentials.SESSION)
        return answer

    def _call(self, request: Request) -> dict[str, Any]:
        return {"metadata": self._caller.node_metadata(request), "timeout": self._settings.control_seconds}


def _for_people(endpoint: Endpoint) -> Endpoint:
    """A browser that is sent here shows a person a page, also for what is refused; a program gets JSON."""

    async def shown(request: Request) -> Response:
        answer = await endpoint(request)
        if answer.status_code < errors.BAD or pages.HTML not in request.headers.get("accept", ""):
            return answer
        error = msgspec.json.decode(bytes(answer.body))["error"]
        text = pages.render("sign_in.html", message=error["message"], request_id=error["request_id"])
        headers = {"Content-Security-Policy": pages.POLICY, "Cache-Control": "no-store"}
        if "retry-after" in answer.headers:
            headers["Retry-After"] = answer.headers["retry-after"]
        page = Response(text, answer.status_code, headers, pages.HTML)
        page.raw_headers += [(name, value) for name, value in answer.raw_headers if name == b"set-cookie"]
        return page

    return shown


def _begin_again(why: str, request_id: str) -> Response:
    message = f"{why} To begin again, open /auth/login."
    return errors.answer(400, "INVALID_REQUEST", message, request_id)


def _away(error: IssuerAway, request_id: str) -> Response:
    LOG.warning("issuer unavailable", why=str(error), request_id=request_id)
    message = f"Sign-in is unavailable: {error}."
    return errors.answer(503, "UNAVAILABLE", message, request_id, headers={"Retry-After": "1"})
