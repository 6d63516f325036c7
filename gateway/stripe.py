"""Stripe's webhook.  What an event says is not believed: it only tells of whom something changed, and control fetches it.

The signature is checked all the same, so that nobody else makes control ask Stripe.  An event that control could not take is not
acknowledged: Stripe sends it again, for days.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
from grpc import aio
from prometheus_client import Counter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import credentials, errors
from gateway.bodies import BadBody, Bodies
from gateway.held import Asker, Away
from hum.clock import now
from hum.settings import GatewaySettings
from hum.telemetry import log
from hum.v1 import runtime_pb2, runtime_pb2_grpc

LOG = log(__name__)
PATH = "/stripe/webhook"
#: An event holds an object of Stripe's; the largest, an invoice with many lines, has some hundred KiB.
EVENT_BYTES, EVENTS_BYTES = 1 << 20, 32 << 20
#: More of a header's parts, and characters, than Stripe sends.
MOST_PARTS, MOST_CHARS = 20, 2000
#: More of a time's digits than any has; a number of hundreds can't be compared with a float.
MOST_DIGITS = 15
MOST_ID_CHARS = 200
WEBHOOKS = Counter("hum_stripe_webhooks_total", "Stripe's webhooks, by what became of them", ["how"])


class StripeWebhook:
    def __init__(self, channel: aio.Channel, settings: GatewaySettings, asker: Asker) -> None:
        self._secrets, self._tolerance_seconds = settings.stripe_webhook_secrets, settings.stripe_tolerance_seconds
        self._ask, self._ingress = asker.ask, runtime_pb2_grpc.BillingIngressServiceStub(channel)
        self._bodies = Bodies(EVENT_BYTES, EVENTS_BYTES, settings.body_seconds)

    def routes(self) -> list[Route]:
        """None without a secret: nobody could prove to be Stripe."""
        return [Route(PATH, self._taken, methods=["POST"])] if self._secrets else []

    async def _taken(self, request: Request) -> Response:
        header = request.headers.get("stripe-signature", "")
        if not header or len(header) > MOST_CHARS:
            return _refused(request)
        try:
            body = await self._bodies.read(request)
        except BadBody as error:
            return errors.refusal(error.reason, str(error), credentials.request_id(request))
        except ClientDisconnect:
            return _refused(request)
        if not is_signed(self._secrets, header, body, now().timestamp(), self._tolerance_seconds):
            return _refused(request)
        event = read(body)
        if event is None:
            return _done("nobody's")  # it is about no customer
        try:
            await self._ask(self._ingress.TakeStripeEvent, event, request)
        except (Away, aio.AioRpcError) as error:
            LOG.warning("control did not take an event of Stripe's", error=type(error).__name__)
            WEBHOOKS.labels("not_taken").inc()
            return Response(status_code=503)
        return _done("taken")


def is_signed(secrets: Sequence[str], header: str, body: bytes, now_seconds: float, tolerance_seconds: float) -> bool:
    """Whether one of the secrets has signed this, not long ago: `t=seconds,v1=hex,v1=hex,...`."""
    parts = [part.partition("=") for part in header.split(",", MOST_PARTS)]
    times = [value for name, _, value in parts if name.strip() == "t"]
    signatures = [value.strip().encode() for name, _, value in parts if name.strip() == "v1"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdigit():
        return False
    if len(times[0]) > MOST_DIGITS or abs(now_seconds - int(times[0])) > tolerance_seconds:
        return False
    signed = times[0].encode() + b"." + body
    due = [hmac.new(secret.encode(), signed, sha256).hexdigest().encode() for secret in secrets]
    return any([hmac.compare_digest(one, other) for one in due for other in signatures])  # noqa: C419 - all, in any case


def read(body: bytes) -> runtime_pb2.TakeStripeEventRequest | None:
    """Whom an event is about; None: about no customer, or it is none."""
    try:
        event = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    id, type, held = _member(event, "id"), _member(event, "type"), _member(_member(event, "data"), "object")
    customer = _member(held, "id") if _member(held, "object") == "customer" else _member(held, "customer")
    if isinstance(customer, dict):  # it may be expanded
        customer = _member(customer, "id")
    if not (_is_id(id) and _is_id(type) and _is_id(customer)):
        return None
    return runtime_pb2.TakeStripeEventRequest(event_id=id, type=type, customer_id=customer)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MOST_ID_CHARS and value.isascii() and value.isprintable()


def _refused(request: Request) -> Response:
    WEBHOOKS.labels("refused").inc()
    LOG.warning("a webhook of Stripe's was refused: it has no valid signature")
    return errors.refusal("FORBIDDEN", "The request does not have a valid signature.", credentials.request_id(request))


def _done(how: str) -> Response:
    WEBHOOKS.labels(how).inc()
    return Response(status_code=200)
