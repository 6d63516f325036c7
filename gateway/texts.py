"""The carrier's webhooks of texts.  A text that is answered is control's, or on disk: the carrier sends it once.

While control is away, and until it has been told of all that came meanwhile, texts go to disk without asking it: so they
reach it in the order in which they came.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from google.protobuf.message import Message
from grpc import aio
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import textforms, twiml
from gateway.held import Asker, Away
from gateway.postponed import Postponed, Webhook
from gateway.signed import SignedForms
from hum import tracing
from hum.clock import now
from hum.telemetry import log
from hum.v1 import runtime_pb2_grpc

LOG = log(__name__)
TEXTS = "/twilio/sms"
#: Asked by the carrier when the first one did not answer.
FALLBACK = TEXTS + "/fallback"
#: Of texts that we sent; what follows is the attempt's id.
STATUS = TEXTS + "/status/"
WEBHOOKS = Counter("hum_text_webhooks_total", "The carrier's webhooks of texts, by what became of them", ["how"])

Tell = Callable[[], Awaitable[Message]]


class TextWebhooks:
    def __init__(self, channel: aio.Channel, forms: SignedForms, asker: Asker, postponed: Postponed) -> None:
        self._forms, self._ask, self._postponed = forms, asker.ask, postponed
        self._ingress = runtime_pb2_grpc.TextsIngressServiceStub(channel)

    def routes(self) -> list[Route]:
        return [
            Route(TEXTS, self._received, methods=["POST"]),
            Route(FALLBACK, self._fell_back, methods=["POST"]),
            Route(STATUS + "{attempt_id}", self._reported, methods=["POST"]),
        ]

    async def _received(self, request: Request) -> Response:
        form = await self._forms.read(request)
        if isinstance(form, Response):
            return form
        message = textforms.receive_request(form)
        return await self._take(request, form, lambda: self._ask(self._ingress.ReceiveText, message, request))

    async def _fell_back(self, request: Request) -> Response:
        """The carrier could not deliver a text to us a moment ago: this time it is on disk at once."""
        form = await self._forms.read(request)
        return form if isinstance(form, Response) else await self._take(request, form, None)

    async def _reported(self, request: Request) -> Response:
        form = await self._forms.read(request)
        if isinstance(form, Response):
            return form
        message = textforms.report_request(form, request.path_params["attempt_id"])
        return await self._take(request, form, lambda: self._ask(self._ingress.ReportText, message, request))

    async def _take(self, request: Request, form: dict[str, str], tell: Tell | None) -> Response:
        """Tell control of a webhook, or keep it, and answer; None: keep it."""
        sid, attempt = textforms.sid(form), request.path_params.get("attempt_id")
        if not twiml.is_sid(sid):
            return _done(request, "no_text")  # no text of the carrier's: there is nothing to do
        path = STATUS + "{attempt_id}" if attempt else request.url.path
        with tracing.text_webhook(attempt or sid, f"POST {path}", first=attempt is None) as span:
            response = await self._told_or_kept(request, form, tell)
            span.set_attribute("http.response.status_code", response.status_code)
            return response

    async def _told_or_kept(self, request: Request, form: dict[str, str], tell: Tell | None) -> Response:
        came_at = now()
        if tell is not None and not self._postponed.is_behind:
            try:
                await tell()
            except Away as error:
                LOG.warning("control did not take a text's webhook", path=request.url.path, error=str(error))
            except aio.AioRpcError as error:
                # A number or an attempt that is nobody's: to be told again changes nothing, so the carrier is thanked.
                LOG.warning("control refuses a text's webhook", path=request.url.path, code=error.code().name)
                return _done(request, "refused")
            else:
                return _done(request, "taken")
        if not await self._postponed.keep(request.url.path, urlencode(form).encode(), came_at):
            WEBHOOKS.labels("not_kept").inc()
            return Response(status_code=503)  # the carrier tries again, and then the fallback
        return _done(request, "kept")

    async def tell(self, webhook: Webhook, form: dict[str, str]) -> None:
        """Tell control of a webhook that was kept.  Raises Away, AioRpcError."""
        if webhook.path.startswith(STATUS):
            report = textforms.report_request(form, webhook.path.removeprefix(STATUS))
            await self._ask(self._ingress.ReportText, report, None)
        else:
            await self._ask(self._ingress.ReceiveText, textforms.receive_request(form, webhook.at), None)


def _done(request: Request, how: str) -> Response:
    WEBHOOKS.labels(how).inc()
    if request.url.path.startswith(STATUS):
        return Response(status_code=204)
    return Response(twiml.EMPTY, media_type="text/xml")
