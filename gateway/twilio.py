"""The carrier's webhooks.  Each is signature-checked over the public URL (never the Host header), idempotent at control,
and answered in time: a control that restarts is waited for; when it stays away, the caller hears an apology, not the
carrier's own error, and control learns of it later.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from google.protobuf.message import Message
from grpc import aio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import credentials, errors, twiml
from gateway.bodies import BadBody, Bodies
from gateway.held import Answer_co, Away, Method, ask
from gateway.postponed import Postponed, Webhook
from hum import carrier, rpc, tracing
from hum.carrier import Parameters
from hum.settings import GatewaySettings
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc

LOG = log(__name__)
XML = "text/xml"
FORM_BYTES = 64 << 10  # the carrier sends about 1 KiB
NEW_SCHEME = "x-twilio-webhooks-signature-settings"
APOLOGY = "We are sorry, we can not take your call at the moment. Please call again in a little while. Goodbye."

VOICE = "/twilio/voice"

Answerer = Callable[[Request, dict[str, str]], Awaitable[Response]]


class CarrierWebhooks:
    def __init__(
        self, settings: GatewaySettings, channel: aio.Channel, identity: rpc.NodeIdentity, postponed: Postponed
    ) -> None:
        self._settings, self._identity, self._postponed = settings, identity, postponed
        # Apart from clients' bodies, which can use up the memory for theirs; connections limit how many there are.
        self._bodies = Bodies(FORM_BYTES, settings.max_connections * FORM_BYTES, settings.body_seconds)
        self._ingress = runtime_pb2_grpc.IngressServiceStub(channel)

    def routes(self) -> list[Route]:
        return [
            self._route(VOICE, self._voice),
            self._route("/twilio/voice/status", self._status),
            self._route("/twilio/voice/next/{call_id}", self._next),
        ]

    def _route(self, path: str, answer: Answerer) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                parameters = await self._signed(request)
            except ValueError:
                return errors.refusal(
                    "PAYLOAD_TOO_LARGE", "The form has too many fields.", credentials.request_id(request)
                )
            if parameters is None:
                return _forbidden(request, "The request does not have a valid signature of the carrier.")
            form = dict(parameters)
            if form.get("AccountSid") not in self._settings.carrier_accounts:
                return _forbidden(request, "The request comes from another account of the carrier.")
            if not twiml.is_call_sid(form.get("CallSid", "")):
                return Response(status_code=204)  # no call of the carrier's: there is nothing to do, and nothing to say
            with tracing.webhook(form["CallSid"], f"POST {path}", first=path == VOICE) as span:
                try:
                    response = await answer(request, form)
                except aio.AioRpcError as error:
                    LOG.warning("control refuses a carrier webhook", path=request.url.path, code=error.code().name)
                    response = _forbidden(request, "There is no such call.")
                span.set_attribute("http.response.status_code", response.status_code)
                return response

        return Route(path, endpoint, methods=["POST"])

    async def _signed(self, request: Request) -> Parameters | None:
        """The form's parameters, if the carrier signed them.  Our webhooks have no query, so a query is refused."""
        signature = request.headers.get("x-twilio-signature", "")
        if not carrier.looks_signed(signature) or request.url.query or NEW_SCHEME in request.headers:
            return None
        try:
            body = await self._bodies.read(request)
        except (BadBody, ClientDisconnect):
            return None
        parameters = twiml.form(body)
        url = self._settings.public_url + request.scope["raw_path"].decode("ascii", "replace")
        tokens = self._settings.twilio_auth_tokens
        return parameters if carrier.is_signed(tokens, url, parameters, signature) else None

    # -- the three webhooks

    async def _voice(self, request: Request, form: dict[str, str]) -> Response:
        try:
            answer = await self._ask(self._ingress.RouteCall, twiml.route_request(form), request)
        except Away as error:
            LOG.warning("control did not answer a carrier webhook", question="voice", error=str(error))
            await self._postponed.keep(request.url.path, urlencode(form).encode())
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

    async def _ask(self, method: Method[Answer_co], message: Message, request: Request | None) -> Answer_co:
        """Control's answer; a restart of it is waited for.  Raises Away, AioRpcError."""

        def metadata() -> credentials.Metadata:
            return self._identity.metadata(), *(credentials.correlation(request) if request else ())

        return await ask(
            method,
            message,
            metadata,
            within_seconds=self._settings.ingress_seconds,
            pause_seconds=self._settings.ingress_retry_seconds,
        )

    def _step(self, step: pb.CarrierStep) -> Response:
        text = twiml.render(step, self._settings.media_url, self._settings.public_url)
        return Response(text, media_type=XML)

    # -- what control missed

    async def tell_postponed(self) -> None:
        """Tell control what it missed, until cancelled."""
        try:
            await self._postponed.run(self._tell)
        finally:
            self._postponed.close()

    async def _tell(self, webhook: Webhook) -> None:
        form = dict(twiml.form(webhook.form))
        if webhook.path == VOICE:
            await self._ask(self._ingress.RouteCall, twiml.route_request(form, webhook.at), None)
        else:
            await self._ask(self._ingress.ReportCallStatus, twiml.status_request(form), None)


def _forbidden(request: Request, why: str) -> Response:
    LOG.warning("carrier webhook refused", path=request.url.path, why=why)
    return errors.refusal("FORBIDDEN", why, credentials.request_id(request))


def _words(error: Exception) -> str:
    return error.code().name if isinstance(error, aio.AioRpcError) else str(error)
