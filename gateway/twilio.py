"""The carrier's webhooks.

Each is signature-checked over the public URL (never the Host header), idempotent at control, and answered in time: the
gateway waits for a control that restarts.  If control stays unavailable, the caller hears an apology instead of the
carrier's own error, and the webhook is delivered to control later.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from grpc import aio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import carrierforms, credentials, errors, twiml
from gateway.controlclient import ControlUnavailable, RetryingClient
from gateway.retryqueue import RetryQueue, StoredWebhook
from gateway.signedforms import SignedForms, forbidden
from gateway.texts import TEXTS, TextWebhooks
from hum import rpc
from hum.observe import tracing
from hum.observe.logs import log
from hum.settings import GatewaySettings
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc

LOG = log(__name__)
XML = "text/xml"
APOLOGY = "We are sorry, we can not take your call at the moment. Please call again in a little while. Goodbye."

VOICE = "/twilio/voice"
#: The end of a call's stream; the call's id follows.
NEXT = "/twilio/voice/next/"
#: The end of a transfer's dial; with `STATUS`, that the recipient answered it.
TRANSFER, STATUS = "/twilio/voice/transfer/", "/status"
#: A call that we placed and that was answered; the attempt's id follows.
PLACED = "/twilio/voice/placed/"
#: The status of such a call; the attempt's id follows.
PLACED_STATUS = "/twilio/voice/status/"
#: Who answered it.
ANSWERED_BY = "/twilio/voice/amd/"
#: The carrier's status of a call that goes on.
IN_PROGRESS = "in-progress"

Handler = Callable[[Request, dict[str, str]], Awaitable[Response]]


class CarrierWebhooks:
    """The routes that the carrier calls: for a call's next instructions (TwiML), and to report what happened to it.

    `_answer_…` asks control for the next step and answers with it; `_accept_…` passes a report on and answers 204 without
    content.  The routes of texts are included.
    """

    def __init__(
        self, settings: GatewaySettings, channel: aio.Channel, identity: rpc.NodeIdentity, retry_queue: RetryQueue
    ) -> None:
        self._settings, self._retry_queue = settings, retry_queue
        self._forms, client = SignedForms(settings), RetryingClient(settings, identity)
        self._ask = client.ask
        self._texts = TextWebhooks(channel, self._forms, client, retry_queue)
        self._ingress = runtime_pb2_grpc.IngressServiceStub(channel)
        self._placed_calls = runtime_pb2_grpc.PlacedCallsServiceStub(channel)

    def routes(self) -> list[Route]:
        return [
            self._route(VOICE, self._answer_incoming_call),
            self._route("/twilio/voice/status", self._accept_call_status),
            self._route(NEXT + "{call_id}", self._answer_next_step),
            self._route(f"{TRANSFER}{{transfer_id}}", self._answer_dial_end),
            self._route(f"{TRANSFER}{{transfer_id}}{STATUS}", self._accept_dial_status),
            self._route("/twilio/voice/whisper/{transfer_id}", self._answer_whisper),
            self._route(PLACED + "{attempt_id}", self._answer_placed_call),
            self._route(PLACED_STATUS + "{attempt_id}", self._accept_placed_call_status),
            self._route(ANSWERED_BY + "{attempt_id}", self._accept_answered_by),
            *self._texts.routes(),
        ]

    def _route(self, path: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            form = await self._forms.read(request)
            if not carrierforms.is_sid(form.get("CallSid", "")):
                return Response(status_code=204)  # not about a call
            with tracing.webhook_span(form["CallSid"], f"POST {path}", first=path == VOICE) as span:
                try:
                    response = await handler(request, form)
                except aio.AioRpcError as error:
                    LOG.warning("control refused a carrier webhook", path=request.url.path, code=error.code().name)
                    response = errors.refusal_of(
                        forbidden(request, "There is no such call."), credentials.request_id(request)
                    )
                span.set_attribute("http.response.status_code", response.status_code)
                return response

        return Route(path, endpoint, methods=["POST"])

    # -- inbound calls, and every call's stream

    async def _answer_incoming_call(self, request: Request, form: dict[str, str]) -> Response:
        try:
            answer = await self._ask(self._ingress.RouteCall, carrierforms.route_request(form), request)
        except ControlUnavailable as error:
            LOG.warning("control did not answer a carrier webhook", question="voice", error=str(error))
            await self._retry_queue.add(request.url.path, urlencode(form).encode(), keep_in_memory=True)
            return Response(twiml.say(APOLOGY), media_type=XML)
        return self._render_step(answer.step)

    async def _answer_next_step(self, request: Request, form: dict[str, str]) -> Response:
        message = carrierforms.next_request(form, request.path_params["call_id"])
        try:
            answer = await self._ask(self._ingress.NextStep, message, request)
        except (ControlUnavailable, aio.AioRpcError) as error:
            LOG.warning("control did not answer a carrier webhook", question="next", error=_reason(error))
            # A call that control refused has no record that could say so, and of a call that is over nobody hears this.
            if isinstance(error, ControlUnavailable) and form.get("CallStatus") == IN_PROGRESS:
                await self._retry_queue.add(request.url.path, urlencode(form).encode(), keep_in_memory=True)
            return Response(twiml.say(APOLOGY), media_type=XML)
        return self._render_step(answer.step)

    async def _accept_call_status(self, request: Request, form: dict[str, str]) -> Response:
        # Until control has an apology that is queued, it may not know the call, and then drops the call's duration.
        is_repeated = self._retry_queue.has_backlog
        try:
            await self._ask(self._ingress.ReportCallStatus, carrierforms.status_request(form), request)
        except ControlUnavailable as error:
            LOG.warning("control did not accept the carrier's status of a call", error=str(error))
            if not await self._retry_queue.add(request.url.path, urlencode(form).encode()):
                return Response(status_code=503)  # the carrier retries
            return Response(status_code=204)
        if is_repeated:
            await self._retry_queue.add_copy(request.url.path, urlencode(form).encode())
        return Response(status_code=204)

    # -- the webhooks of a transfer

    async def _answer_dial_end(self, request: Request, form: dict[str, str]) -> Response:
        message = carrierforms.end_dial_request(form, request.path_params["transfer_id"])
        try:
            answer = await self._ask(self._ingress.EndDial, message, request)
        except ControlUnavailable as error:
            LOG.warning("control did not answer a carrier webhook", question="transfer", error=str(error))
            await self._retry_queue.add(request.url.path, urlencode(form).encode(), keep_in_memory=True)
            text = twiml.hang_up() if carrierforms.is_bridged(form) else twiml.say(APOLOGY)
            return Response(text, media_type=XML)
        return self._render_step(answer.step)

    async def _accept_dial_status(self, request: Request, form: dict[str, str]) -> Response:
        message = carrierforms.report_dial_request(form, request.path_params["transfer_id"])
        try:
            await self._ask(self._ingress.ReportDial, message, request)
        except ControlUnavailable as error:
            LOG.warning("control did not accept the carrier's status of a dial", error=str(error))
            if not await self._retry_queue.add(request.url.path, urlencode(form).encode()):
                return Response(status_code=503)  # the carrier retries
        return Response(status_code=204)

    async def _answer_whisper(self, request: Request, form: dict[str, str]) -> Response:
        id = request.path_params["transfer_id"]
        try:
            step = await self._ask(self._ingress.Whisper, carrierforms.whisper_request(form, id), request)
        except ControlUnavailable as error:
            # The recipient may have to press a key: connecting them might put the caller through to voicemail.
            LOG.warning("control did not answer a carrier webhook", question="whisper", error=str(error))
            return Response(twiml.hang_up(), media_type=XML)
        return Response(twiml.whisper(step, twiml.whisper_url(self._settings.public_url, id)), media_type=XML)

    # -- calls that we placed

    async def _answer_placed_call(self, request: Request, form: dict[str, str]) -> Response:
        message = carrierforms.placed_request(form, request.path_params["attempt_id"])
        try:
            answer = await self._ask(self._placed_calls.AnswerPlacedCall, message, request)
        # Better no call than one without an agent.
        except ControlUnavailable as error:
            LOG.warning("control did not answer a carrier webhook", question="placed", error=str(error))
            await self._retry_queue.add(request.url.path, urlencode(form).encode(), keep_in_memory=True)
            return Response(twiml.hang_up(), media_type=XML)
        return self._render_step(answer.step)

    async def _accept_placed_call_status(self, request: Request, form: dict[str, str]) -> Response:
        message = carrierforms.placed_status_request(form, request.path_params["attempt_id"])
        try:
            await self._ask(self._placed_calls.ReportPlacedCall, message, request)
        except ControlUnavailable as error:
            LOG.warning("control did not accept the carrier's status of a placed call", error=str(error))
            if not await self._retry_queue.add(request.url.path, urlencode(form).encode()):
                return Response(status_code=503)  # the carrier retries
        return Response(status_code=204)

    async def _accept_answered_by(self, request: Request, form: dict[str, str]) -> Response:
        message = carrierforms.answered_by_request(form, request.path_params["attempt_id"])
        try:
            await self._ask(self._placed_calls.ReportAnsweredBy, message, request)
        except ControlUnavailable as error:
            LOG.warning("control did not accept who answered a placed call", error=str(error))
            if not await self._retry_queue.add(request.url.path, urlencode(form).encode()):
                return Response(status_code=503)  # the carrier retries
        return Response(status_code=204)

    def _render_step(self, step: pb.CarrierStep) -> Response:
        text = twiml.render(step, self._settings.media_url, self._settings.public_url)
        return Response(text, media_type=XML)

    # -- queued webhooks

    async def wait_until_delivered(self) -> None:
        """Wait until the retry queue is delivered, unless control is unavailable."""
        await self._retry_queue.wait_until_delivered(2 * self._settings.ingress_seconds)

    async def deliver_queued(self) -> None:
        """Deliver queued webhooks to control until cancelled."""
        try:
            await self._retry_queue.run(self._deliver_webhook)
        finally:
            self._retry_queue.close()

    async def _deliver_webhook(self, webhook: StoredWebhook) -> None:
        form = carrierforms.readable(carrierforms.parse(webhook.form))
        if webhook.path.startswith(TEXTS):
            await self._texts.deliver(webhook, form)
        elif webhook.path == VOICE:
            await self._ask(self._ingress.RouteCall, carrierforms.route_request(form, webhook.at), None)
        elif webhook.path.startswith(NEXT):
            step = carrierforms.next_request(form, webhook.path.removeprefix(NEXT), webhook.at)
            await self._ask(self._ingress.NextStep, step, None)
        elif webhook.path.startswith(TRANSFER):
            id, status, _ = webhook.path.removeprefix(TRANSFER).partition(STATUS)
            if status:
                await self._ask(self._ingress.ReportDial, carrierforms.report_dial_request(form, id, webhook.at), None)
            else:
                await self._ask(self._ingress.EndDial, carrierforms.end_dial_request(form, id, webhook.at), None)
        elif webhook.path.startswith(PLACED):
            placed = carrierforms.placed_request(form, webhook.path.removeprefix(PLACED), webhook.at)
            await self._ask(self._placed_calls.AnswerPlacedCall, placed, None)
        elif webhook.path.startswith(PLACED_STATUS):
            report = carrierforms.placed_status_request(form, webhook.path.removeprefix(PLACED_STATUS))
            await self._ask(self._placed_calls.ReportPlacedCall, report, None)
        elif webhook.path.startswith(ANSWERED_BY):
            verdict = carrierforms.answered_by_request(form, webhook.path.removeprefix(ANSWERED_BY))
            await self._ask(self._placed_calls.ReportAnsweredBy, verdict, None)
        else:
            await self._ask(self._ingress.ReportCallStatus, carrierforms.status_request(form), None)


def _reason(error: Exception) -> str:
    return error.code().name if isinstance(error, aio.AioRpcError) else str(error)
