"""Stripe's webhook.

An event is not trusted: it only names the customer that changed, and control fetches the rest.  The signature is
checked so that only Stripe can cause these fetches.  An event that control could not process is not acknowledged:
Stripe retries it for days.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
from grpc import aio
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.bodies import Bodies
from gateway.controlclient import ControlUnavailable, RetryingClient
from hum.clock import now
from hum.contract.errors import Forbidden
from hum.observe.logs import log
from hum.settings import GatewaySettings
from hum.v1 import runtime_pb2, runtime_pb2_grpc

#: How old the signature of a webhook of Stripe's may be, in seconds.
STRIPE_TOLERANCE_SECONDS = 300

LOG = log(__name__)
PATH = "/stripe/webhook"
#: The largest object in an event, an invoice with many lines, has some hundred KiB.
EVENT_BYTES, EVENTS_BYTES = 1 << 20, 32 << 20
#: Of one address, so that strangers' bodies, whose signature is checked once they are complete, keep no events out.
EVENTS_BYTES_OF_ADDRESS = 4 << 20
#: More parts, and characters, of the signature header than Stripe sends.
MAX_HEADER_PARTS, MAX_HEADER_CHARS = 20, 2000
#: More digits than any time has; an integer with hundreds of digits can't be compared with a float.
MAX_TIME_DIGITS = 15
MAX_ID_CHARS = 200
WEBHOOKS = Counter("hum_stripe_webhooks_total", "Stripe's webhooks, by what became of them", ["how"])


class StripeWebhook:
    """Stripe's webhook endpoint."""

    def __init__(self, channel: aio.Channel, settings: GatewaySettings, client: RetryingClient) -> None:
        self._secrets, self._tolerance_seconds = settings.stripe_webhook_secrets, STRIPE_TOLERANCE_SECONDS
        self._ask, self._ingress = client.ask, runtime_pb2_grpc.BillingIngressServiceStub(channel)
        self.bodies = Bodies(
            EVENT_BYTES, EVENTS_BYTES, settings.body_seconds, max_bytes_of_address=EVENTS_BYTES_OF_ADDRESS
        )

    def routes(self) -> list[Route]:
        """Return the route; none without a secret, as no request could then prove to come from Stripe."""
        return [Route(PATH, self._receive, methods=["POST"])] if self._secrets else []

    async def _receive(self, request: Request) -> Response:
        header = request.headers.get("stripe-signature", "")
        if not header or len(header) > MAX_HEADER_CHARS:
            raise _unsigned()
        body = await self.bodies.read(request)
        if not is_signed(self._secrets, header, body, now().timestamp(), self._tolerance_seconds):
            raise _unsigned()
        event = read(body)
        if event is None:
            return _done("nobody's")  # not about a customer
        try:
            await self._ask(self._ingress.TakeStripeEvent, event, request)
        except (ControlUnavailable, aio.AioRpcError) as error:
            LOG.warning("control did not accept a Stripe event", error=type(error).__name__)
            WEBHOOKS.labels("not_taken").inc()
            return Response(status_code=503)
        return _done("taken")


def is_signed(secrets: Sequence[str], header: str, body: bytes, now_seconds: float, tolerance_seconds: float) -> bool:
    """Tell whether one of the secrets signed this body within the tolerance: `t=seconds,v1=hex,v1=hex,...`."""
    parts = [part.partition("=") for part in header.split(",", MAX_HEADER_PARTS)]
    times = [value for name, _, value in parts if name.strip() == "t"]
    signatures = [value.strip().encode() for name, _, value in parts if name.strip() == "v1"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdigit():
        return False
    if len(times[0]) > MAX_TIME_DIGITS or abs(now_seconds - int(times[0])) > tolerance_seconds:
        return False
    signed = times[0].encode() + b"." + body
    expected = [hmac.new(secret.encode(), signed, sha256).hexdigest().encode() for secret in secrets]
    # A list, so that every pair is compared and the time does not depend on which matches.
    return any([hmac.compare_digest(one, other) for one in expected for other in signatures])  # noqa: C419


def read(body: bytes) -> runtime_pb2.TakeStripeEventRequest | None:
    """Return the customer that an event is about; None if it is about none or malformed."""
    try:
        event = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    id, type, object = _member(event, "id"), _member(event, "type"), _member(_member(event, "data"), "object")
    customer = _member(object, "id") if _member(object, "object") == "customer" else _member(object, "customer")
    if isinstance(customer, dict):  # expanded
        customer = _member(customer, "id")
    if not (_is_id(id) and _is_id(type) and _is_id(customer)):
        return None
    return runtime_pb2.TakeStripeEventRequest(event_id=id, type=type, customer_id=customer)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isascii() and value.isprintable()


def _unsigned() -> Forbidden:
    """Count and log a webhook without a valid signature, and return its refusal."""
    WEBHOOKS.labels("refused").inc()
    LOG.warning("refused a Stripe webhook without a valid signature; check STRIPE_WEBHOOK_SECRET")
    return Forbidden("The request does not have a valid signature.")


def _done(how: str) -> Response:
    WEBHOOKS.labels(how).inc()
    return Response(status_code=200)
