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
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway import credentials, errors, pages
from gateway.credentials import ClientCredentials
from gateway.oidc import IdentityUnproven, IssuerClient, IssuerUnavailable
from hum import secrets
from hum.contract.errors import FieldError
from hum.observe.logs import log
from hum.settings import GatewaySettings
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc

LOG = log(__name__)
CALLBACK: Final = "/auth/callback"
HOME: Final = "/"
#: A path on this host: one leading slash, and nothing that a browser reads as another host.
LOCAL_PATH: Final = re.compile(r"/(?![/\\])[^\x00-\x20\\\x7f-\uffff]{0,1999}")
Endpoint = Callable[[Request], Awaitable[Response]]
#: Lifetime of the browser's cookie; control limits how long a sign-in may take.
SIGN_IN_SECONDS: Final = 3600


class SignIn:
    """The four routes.  Without an issuer, `/auth/login` answers that sign-in is not configured."""

    def __init__(self, settings: GatewaySettings, channel: aio.Channel, client: ClientCredentials) -> None:
        self._settings, self._client, self._cookies = settings, client, client.cookies
        self._issuer = IssuerClient(settings) if settings.oidc_issuer else None
        self._control = runtime_pb2_grpc.SignInServiceStub(channel)
        self._redirect_uri = settings.public_url + CALLBACK

    def routes(self) -> list[Route]:
        return [
            Route("/auth/login", _with_error_pages(self._login)),
            Route("/auth/link", _with_error_pages(self._link), methods=["POST"]),
            Route(CALLBACK, _with_error_pages(self._callback)),
            Route("/auth/logout", self._logout, methods=["POST"]),
        ]

    async def _login(self, request: Request) -> Response:
        return await self._begin(request, "")

    async def _link(self, request: Request) -> Response:
        """Link another account to the person who is signed in.  A POST, so that no other page can do it.

        A form is redirected to the issuer; who accepts JSON gets its address, since a page's policy may let no form lead elsewhere.
        """
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
            begin_request = pb.BeginSignInRequest(
                state=state, nonce=nonce, code_verifier=verifier, return_to=return_to, linking_token=linking_token
            )
            await self._control.BeginSignIn(begin_request, **self._call(request))
        except IssuerUnavailable as error:
            return _unavailable(error, request_id)
        except aio.AioRpcError as error:
            return errors.rpc_error(error, request_id, errors.Rename())
        answer: Response
        if linking_token and request.headers.get("accept") == "application/json":
            answer = JSONResponse({"location": url})
        else:
            answer = RedirectResponse(url, 303 if linking_token else 302)
        answer.headers["Cache-Control"] = "no-store"
        self._cookies.set(answer, credentials.SIGN_IN, state, SIGN_IN_SECONDS)
        return answer

    async def _callback(self, request: Request) -> Response:
        request_id, query = credentials.request_id(request), dict(request.query_params)
        state, browser_state = query.get("state", ""), self._cookies.get(request, credentials.SIGN_IN)
        if self._issuer is None or not state or not secrets.is_equal(state.encode(), browser_state.encode()):
            # Any page can send a browser here, so keep the cookie of a sign-in that is in progress.
            answer = _begin_again("This sign-in was not started in this browser.", request_id)
        else:
            answer = await self._open_session(request, self._issuer, state, query)
            self._cookies.delete(answer, credentials.SIGN_IN)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def _open_session(
        self, request: Request, issuer: IssuerClient, state: str, query: dict[str, str]
    ) -> Response:
        request_id = credentials.request_id(request)
        try:
            sign_in = await self._control.TakeSignIn(pb.TakeSignInRequest(state=state), **self._call(request))
            if "error" in query:
                raise IdentityUnproven(f"the issuer answered {query['error'][:100]!r}")
            identity = await issuer.finish(query, self._redirect_uri, sign_in.nonce, sign_in.code_verifier)
            session = await self._control.OpenWebSession(
                pb.OpenWebSessionRequest(
                    issuer=identity.issuer,
                    subject=identity.subject,
                    email=identity.email,
                    email_verified=identity.email_verified,
                    name=identity.name,
                    previous_token=self._cookies.get(request, credentials.SESSION),
                    links_user_id=sign_in.links_user_id,
                ),
                **self._call(request),
            )
        except IssuerUnavailable as error:
            return _unavailable(error, request_id)
        except IdentityUnproven as error:
            LOG.warning("sign-in refused", why=str(error), request_id=request_id)
            return errors.refusal("FORBIDDEN", f"Sign-in failed: {error}; begin again at /auth/login.", request_id)
        except aio.AioRpcError as error:
            if error.code() is StatusCode.NOT_FOUND:
                return _begin_again(error.details() or "", request_id)
            return errors.rpc_error(error, request_id, errors.Rename())
        answer = RedirectResponse(quote(sign_in.return_to, safe="/?=&%#+:;,@!$'()*~[]"), 303)
        self._cookies.set(answer, credentials.SESSION, session.token, session.max_age_seconds)
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
        self._cookies.delete(answer, credentials.SESSION)
        return answer

    def _call(self, request: Request) -> dict[str, Any]:
        return {"metadata": self._client.node_metadata(request), "timeout": self._settings.control_seconds}


def _with_error_pages(endpoint: Endpoint) -> Endpoint:
    """Wrap an endpoint so that its errors are pages for browsers, and JSON for programs."""

    async def answer_or_page(request: Request) -> Response:
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

    return answer_or_page


def _begin_again(reason: str, request_id: str) -> Response:
    message = f"{reason} To begin again, open /auth/login."
    return errors.answer(400, "INVALID_REQUEST", message, request_id)


def _unavailable(error: IssuerUnavailable, request_id: str) -> Response:
    LOG.warning("issuer unavailable", why=str(error), request_id=request_id)
    message = f"Sign-in is unavailable: {error}."
    return errors.answer(503, "UNAVAILABLE", message, request_id, headers={"Retry-After": "1"})
