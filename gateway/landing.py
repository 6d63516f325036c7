"""The page `/` where the console is not built: what this service is, who is signed in, and a way to sign out."""

from typing import Any

from grpc import StatusCode, aio
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway import credentials, pages
from gateway.credentials import ClientCredentials
from hum import secrets
from hum.settings import GatewaySettings
from hum.v1 import identity_pb2 as pb
from hum.v1 import identity_pb2_grpc, options_pb2

TOO_MANY, UNAVAILABLE = 429, 503
REASONS = {TOO_MANY: "there were too many requests.", UNAVAILABLE: "a part of the service doesn't answer."}


class Landing:
    """One page, rendered for each request and never cached, since it names the person who is signed in."""

    def __init__(self, settings: GatewaySettings, channel: aio.Channel, client: ClientCredentials) -> None:
        self._seconds, self._can_sign_in, self._client = settings.control_seconds, bool(settings.oidc_issuer), client
        self._control = identity_pb2_grpc.IdentityServiceStub(channel)

    def routes(self) -> list[Route]:
        return [Route("/", self._page), Route("/dashboard", RedirectResponse("/"))]

    async def _page(self, request: Request) -> Response:
        me, fault = await self._person(request)
        role = options_pb2.Role.Name(me.role).removeprefix("ROLE_").lower() if me else ""
        text = pages.render(
            "home.html", me=me, role=role, unknown=REASONS.get(fault, ""), can_sign_in=self._can_sign_in
        )
        headers = {
            # The form to `/auth/link` is redirected to the issuer, on any host.
            "Content-Security-Policy": pages.POLICY_BUT_FORMS,
            "Cache-Control": "no-store",
            # Under `no-referrer` a browser sends `Origin: null` with a form, which `SameOrigin` must refuse.
            "Referrer-Policy": "same-origin",
        }
        if fault:
            headers["Retry-After"] = "1"
        return Response(text, fault or 200, headers, pages.HTML)

    async def _person(self, request: Request) -> tuple[pb.GetMeResponse | None, int]:
        """Return the person who is signed in; or None and, if control can't tell now, a status."""
        session = self._client.cookies.get(request, credentials.SESSION)
        if not credentials.is_cookie_authenticated(request, self._client.cookies) or not secrets.looks_like_token(
            session
        ):
            return None, 0
        call: dict[str, Any] = {"metadata": self._client.caller_metadata(request), "timeout": self._seconds}
        try:
            return await self._control.GetMe(pb.GetMeRequest(), **call), 0
        except aio.AioRpcError as error:
            if error.code() is StatusCode.UNAUTHENTICATED:
                return None, 0
            return None, TOO_MANY if error.code() is StatusCode.RESOURCE_EXHAUSTED else UNAVAILABLE
