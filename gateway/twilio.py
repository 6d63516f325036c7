"""The carrier's webhooks.  Each is signature-checked over the public URL (never the Host header), idempotent at control,
and answered in time: when control is unavailable, the caller hears an apology, not the carrier's own error.
"""

from collections.abc import Awaitable, Callable

from grpc import aio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import credentials, errors, twiml
from gateway.bodies import BadBody, Bodies
from hum import carrier, rpc
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

Webhook = Callable[[Request, dict[str, str]], Awaitable[Response]]


class CarrierWebhooks:
    def __init__(
        self, settings: GatewaySettings, channel: aio.Channel, identity: rpc.NodeIdentity, bodies: Bodies
    ) -> None:
        self._settings, self._identity, self._bodies = settings, identity, bodies
        self._ingress = runtime_pb2_grpc.IngressServiceStub(channel)

    def routes(self) -> list[Route]:
        return [
            self._route("/twilio/voice", self._voice),
            self._route("/twilio/voice/status", self._status),
            self._route("/twilio/voice/next/{call_id}", self._next),
        ]

    def _route(self, path: str, webhook: Webhook) -> Route:
        async def endpoint(request: Request) -> Response:
            parameters = await self._signed(request)
            if parameters is None:
                LOG.warning("carrier webhook without a valid signature", path=request.url.path)
                message = "The request does not have a valid signature of the carrier."
                return errors.refusal("FORBIDDEN", message, credentials.request_id(request))
            return await webhook(request, dict(parameters))

        return Route(path, endpoint, methods=["POST"])

    async def _signed(self, request: Request) -> Parameters | None:
        """The form's parameters, if the carrier signed them.  Our webhooks have no query, so a query is refused."""
        signature = request.headers.get("x-twilio-signature", "")
        if not carrier.looks_signed(signature) or request.url.query or NEW_SCHEME in request.headers:
            return None
        try:
            body = await self._bodies.read(request, FORM_BYTES)
        except (BadBody, ClientDisconnect):
            return None
        parameters = twiml.form(body)
        url = self._settings.public_url + request.scope["raw_path"].decode("ascii", "replace")
        tokens = self._settings.twilio_auth_tokens
        return parameters if carrier.is_signed(tokens, url, parameters, signature) else None

    # -- the three webhooks

    async def _voice(self, request: Request, form: dict[str, str]) -> Response:
        message = pb.RouteCallRequest(
            call_sid=form.get("CallSid", ""),
            from_e164=form.get("From", ""),
            to_e164=form.get("To", ""),
            caller_name=form.get("CallerName"),
        )
        try:
            answer = await self._ingress.RouteCall(
                message, metadata=self._metadata(request), timeout=self._settings.ingress_seconds
            )
        except aio.AioRpcError as error:
            return self._away(error, "voice")
        return self._step(answer.step)

    async def _next(self, request: Request, form: dict[str, str]) -> Response:
        message = pb.NextStepRequest(call_id=request.path_params["call_id"], call_sid=form.get("CallSid", ""))
        try:
            answer = await self._ingress.NextStep(
                message, metadata=self._metadata(request), timeout=self._settings.ingress_seconds
            )
        except aio.AioRpcError as error:
            return self._away(error, "next")
        return self._step(answer.step)

    async def _status(self, request: Request, form: dict[str, str]) -> Response:
        message = pb.ReportCallStatusRequest(
            call_sid=form.get("CallSid", ""),
            carrier_status=form.get("CallStatus", ""),
        )
        try:
            await self._ingress.ReportCallStatus(
                message, metadata=self._metadata(request), timeout=self._settings.ingress_seconds
            )
        except aio.AioRpcError as error:
            LOG.warning("control did not accept the carrier's status", code=error.code().name)
            return Response(status_code=503)  # the carrier retries
        return Response(status_code=204)

    def _metadata(self, request: Request) -> credentials.Metadata:
        return self._identity.metadata(), *credentials.correlation(request)

    def _step(self, step: pb.CarrierStep) -> Response:
        text = twiml.render(step, self._settings.media_url, self._settings.public_url)
        return Response(text, media_type=XML)

    def _away(self, error: aio.AioRpcError, question: str) -> Response:
        LOG.error("control did not answer a carrier webhook", question=question, code=error.code().name)
        return Response(twiml.say(APOLOGY), media_type=XML)
