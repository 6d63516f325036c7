"""The carrier's webhooks.  Each is signature-checked over the public URL (never the Host header), idempotent at control,
and answered in time: a control that restarts is waited for; when it stays away, the caller hears an apology, not the
carrier's own error, and control learns of it later.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from grpc import aio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import twiml
from gateway.held import Asker, Away
from gateway.postponed import Postponed, Webhook
from gateway.signed import SignedForms, forbidden
from gateway.texts import TEXTS, TextWebhooks
from hum import rpc, tracing
from hum.settings import GatewaySettings
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc

LOG = log(__name__)
XML = "text/xml"
APOLOGY = "We are sorry, we can not take your call at the moment. Please call again in a little while. Goodbye."

VOICE = "/twilio/voice"
#: A transfer's dial is over; and, with `STATUS`, somebody has answered it.
TRANSFER, STATUS = "/twilio/voice/transfer/", "/status"
#: Of calls that we placed; what follows is the attempt's id.
PLACED_STATUS = "/twilio/voice/status/"

Answerer = Callable[[Request, dict[str, str]], Awaitable[Response]]


class CarrierWebhooks:
    def __init__(
        self, settings: GatewaySettings, channel: aio.Channel, identity: rpc.NodeIdentity, postponed: Postponed
    ) -> None:
        self._settings, self._postponed = settings, postponed
        self._forms, asker = SignedForms(settings), Asker(settings, identity)
        self._ask = asker.ask
        self._texts = TextWebhooks(channel, self._forms, asker, postponed)
        self._ingress = runtime_pb2_grpc.IngressServiceStub(channel)
        self._placed_calls = runtime_pb2_grpc.PlacedCallsServiceStub(channel)

    def routes(self) -> list[Route]:
        return [
            self._route(VOICE, self._voice),
            self._route("/twilio/voice/status", self._status),
            self._route("/twilio/voice/next/{call_id}", self._next),
            self._route(f"{TRANSFER}{{transfer_id}}", self._transfer),
            self._route(f"{TRANSFER}{{transfer_id}}{STATUS}", self._transfer_status),
            self._route("/twilio/voice/whisper/{transfer_id}", self._whisper),
            self._route("/twilio/voice/placed/{attempt_id}", self._placed),
            self._route(PLACED_STATUS + "{attempt_id}", self._placed_status),
            self._route("/twilio/voice/amd/{attempt_id}", self._answered_by),
            *self._texts.routes(),
        ]

    def _route(self, path: str, answer: Answerer) -> Route:
        async def endpoint(request: Request) -> Response:
            form = await self._forms.read(request)
            if isinstance(form, Response):
                return form
            if not twiml.is_sid(form.get("CallSid", "")):
                return Response(status_code=204)  # no call of the carrier's: there is nothing to do, and nothing to say
            with tracing.webhook(form["CallSid"], f"POST {path}", first=path == VOICE) as span:
                try:
                    response = await answer(request, form)
                except aio.AioRpcError as error:
                    LOG.warning("control refuses a carrier webhook", path=request.url.path, code=error.code().name)
                    response = forbidden(request, "There is no such call.")
                span.set_attribute("http.response.status_code", response.status_code)
                return response

        return Route(path, endpoint, methods=["POST"])

    # -- calls that come in, and every call's stream

    async def _voice(self, request: Request, form: dict[str, str]) -> Response:
        try:
            answer = await self._ask(self._ingress.RouteCall, twiml.route_request(form), request)
        except Away as error:
            LOG.warning("control did not answer a carrier webhook", question="voice", error=str(error))
            await self._postponed.keep(request.url.path, urlencode(form).encode(), hold=True)
            return Response(twiml.say(APOLOGY), media_type=XML)
        return self._step(answer.step)

    async def _next(self, request: Request, form: dict[str, str]) -> Response:
        message = twiml.next_request(form, request.path_params["call_id"])
        try:
            answer = await self._ask(self._ingress.NextStep, message, request)
        except (Away, aio.AioRpcError) as error:
            LOG.warning("control did not answer a carrier webhook", question="next", error=_words(error))
            return Response(twiml.say(APOLOGY), media_type=XML)
        return self._step(answer.step)

    async def _status(self, request: Request, form: dict[str, str]) -> Response:
        try:
            await self._ask(self._ingress.ReportCallStatus, twiml.status_request(form), request)
        except Away as error:
            LOG.warning("control did not accept the carrier's status", error=str(error))
            if not await self._postponed.keep(request.url.path, urlencode(form).encode()):
                return Response(status_code=503)  # the carrier retries
        return Response(status_code=204)

    # -- the webhooks of a transfer

    async def _transfer(self, request: Request, form: dict[str, str]) -> Response:
        message = twiml.end_dial_request(form, request.path_params["transfer_id"])
        try:
            answer = await self._ask(self._ingress.EndDial, message, request)
        except Away as error:
            LOG.warning("control did not answer a carrier webhook", question="transfer", error=str(error))
            await self._postponed.keep(request.url.path, urlencode(form).encode(), hold=True)
            text = twiml.hang_up() if twiml.is_bridged(form) else twiml.say(APOLOGY)
            return Response(text, media_type=XML)
        return self._step(answer.step)

    async def _transfer_status(self, request: Request, form: dict[str, str]) -> Response:
        message = twiml.report_dial_request(form, request.path_params["transfer_id"])
        try:
            await self._ask(self._ingress.ReportDial, message, request)
        except Away as error:
            LOG.warning("control did not accept the carrier's status of a dial", error=str(error))
            if not await self._postponed.keep(request.url.path, urlencode(form).encode()):
                return Response(status_code=503)  # the carrier retries
        return Response(status_code=204)

    async def _whisper(self, request: Request, form: dict[str, str]) -> Response:
        id = request.path_params["transfer_id"]
        try:
            step = await self._ask(self._ingress.Whisper, twiml.whisper_request(form, id), request)
        except Away as error:
            # Nobody knows whether they must accept: to be put through might connect the caller to a voicemail box.
            LOG.warning("control did not answer a carrier webhook", question="whisper", error=str(error))
            return Response(twiml.hang_up(), media_type=XML)
        return Response(twiml.whisper(step, twiml.whisper_url(self._settings.public_url, id)), media_type=XML)

    # -- calls that we placed

    async def _placed(self, request: Request, form: dict[str, str]) -> Response:
        message = twiml.placed_request(form, request.path_params["attempt_id"])
        try:
            answer = await self._ask(self._placed_calls.AnswerPlacedCall, message, request)
        except Away as error:  # better no call than one without an agent
            LOG.warning("control did not answer a carrier webhook", question="placed", error=str(error))
            return Response(twiml.hang_up(), media_type=XML)
        return self._step(answer.step)

    async def _placed_status(self, request: Request, form: dict[str, str]) -> Response:
        message = twiml.placed_status_request(form, request.path_params["attempt_id"])
        try:
            await self._ask(self._placed_calls.ReportPlacedCall, message, request)
        except Away as error:
            LOG.warning("control did not accept the carrier's status", error=str(error))
            if not await self._postponed.keep(request.url.path, urlencode(form).encode()):
                return Response(status_code=503)  # the carrier retries
        return Response(status_code=204)

    async def _answered_by(self, request: Request, form: dict[str, str]) -> Response:
        message = twiml.answered_by_request(form, request.path_params["attempt_id"])
        try:
            await self._ask(self._placed_calls.ReportAnsweredBy, message, request)
        except Away as error:
            LOG.warning("control did not accept who answered", error=str(error))
            return Response(status_code=503)  # the carrier retries; much later it would be of no use
        return Response(status_code=204)

    def _step(self, step: pb.CarrierStep) -> Response:
        text = twiml.render(step, self._settings.media_url, self._settings.public_url)
        return Response(text, media_type=XML)

    # -- what control missed

    async def delivered(self) -> None:
        """Wait until control has been told of all that it missed, unless it is away."""
        await self._postponed.delivered(2 * self._settings.ingress_seconds)

    async def tell_postponed(self) -> None:
        """Tell control what it missed, until cancelled."""
        try:
            await self._postponed.run(self._tell)
        finally:
            self._postponed.close()

    async def _tell(self, webhook: Webhook) -> None:
        form = {twiml.readable(name): twiml.readable(value) for name, value in twiml.form(webhook.form)}
        if webhook.path.startswith(TEXTS):
            await self._texts.tell(webhook, form)
        elif webhook.path == VOICE:
            await self._ask(self._ingress.RouteCall, twiml.route_request(form, webhook.at), None)
        elif webhook.path.startswith(TRANSFER):
            id, status, _ = webhook.path.removeprefix(TRANSFER).partition(STATUS)
            if status:
                await self._ask(self._ingress.ReportDial, twiml.report_dial_request(form, id, webhook.at), None)
            else:
                await self._ask(self._ingress.EndDial, twiml.end_dial_request(form, id, webhook.at), None)
        elif webhook.path.startswith(PLACED_STATUS):
            report = twiml.placed_status_request(form, webhook.path.removeprefix(PLACED_STATUS))
            await self._ask(self._placed_calls.ReportPlacedCall, report, None)
        else:
            await self._ask(self._ingress.ReportCallStatus, twiml.status_request(form), None)


def _words(error: Exception) -> str:
    return error.code().name if isinstance(error, aio.AioRpcError) else str(error)
