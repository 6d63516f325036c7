"""`/`: what this service is, who is signed in, and the way out; where the console is not built."""

from typing import Any

from grpc import StatusCode, aio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import credentials, pages
from gateway.credentials import Caller
from hum import secrets
from hum.settings import GatewaySettings
from hum.v1 import identity_pb2 as pb
from hum.v1 import identity_pb2_grpc, options_pb2

TOO_MANY, AWAY = 429, 503
WHY = {TOO_MANY: "there were too many requests.", AWAY: "a part of the service doesn't answer."}


class Landing:
    """One page, written for each request: nothing of it is kept, since it says who one is."""

    def __init__(self, settings: GatewaySettings, channel: aio.Channel, caller: Caller) -> None:
        self._seconds, self._can_sign_in, self._caller = settings.control_seconds, bool(settings.oidc_issuer), caller
        self._control = identity_pb2_grpc.IdentityServiceStub(channel)

    def routes(self) -> list[Route]:
        return [Route("/", self._page)]

    async def _page(self, request: Request) -> Response:
        me, fault = await self._who(request)
        role = options_pb2.Role.Name(me.role).removeprefix("ROLE_").lower() if me else ""
        text = pages.render("home.html", me=me, role=role, unknown=WHY.get(fault, ""), can_sign_in=self._can_sign_in)
        headers = {
            # The form to `/auth/link` is redirected to the issuer, whose pages may be anywhere.
            "Content-Security-Policy": pages.POLICY_BUT_FORMS,
            "Cache-Control": "no-store",
            # Under `no-referrer` a browser sends `Origin: null` with a form, which `SameOrigin` must refuse.
            "Referrer-Policy": "same-origin",
        }
        if fault:
            headers["Retry-After"] = "1"
        return Response(text, fault or 200, headers, pages.HTML)

    async def _who(self, request: Request) -> tuple[pb.GetMeResponse | None, int]:
        """The person whose session this is; or None and, if that can't be told now, a status."""
        session = self._caller.cookies.get(request, credentials.SESSION)
        if not credentials.by_cookie(request, self._caller.cookies) or not secrets.looks_like_token(session):
            return None, 0
        call: dict[str, Any] = {"metadata": self._caller.metadata(request), "timeout": self._seconds}
        try:
            return await self._control.GetMe(pb.GetMeRequest(), **call), 0
        except aio.AioRpcError as error:
            if error.code() is StatusCode.UNAUTHENTICATED:
                return None, 0
            return None, TOO_MANY if error.code() is StatusCode.RESOURCE_EXHAUSTED else AWAY
