"""Posts of other systems to triggers: control stores one before the gateway acknowledges it.

The token in the path is the sender's only credential, so it stays in the request: control gets its hash, and logs,
traces and metrics get the route.
"""

import re

from google.protobuf.message import Message
from grpc import StatusCode, aio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway import credentials, errors
from gateway.bodies import Bodies
from gateway.controlclient import ControlUnavailable, RetryingClient
from gateway.errors import Rename
from gateway.texts import FILES
from hum import ids, rpc, secrets
from hum.contract import eventtypes
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import GatewaySettings
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc

LOG = log(__name__)
HOOKS = "/hooks/"
MOST_BYTES = 256 << 10
ACCEPTED = 202
#: When a sender that honours `Retry-After` tries again; others have their own schedule.
RETRY_SECONDS = 5
NO_SUCH_ADDRESS = "There is no such address."
#: The header in which HUM's webhooks name the type of the event that they deliver.
EVENT_TYPE = "x-hum-event"
LOOP = (
    "This is a webhook's delivery of an event that a post to a trigger made. A trigger would make another event of it, "
    "which would be delivered again, without end; let the webhook deliver it elsewhere."
)
SIGNATURE = {
    "webhook_id": "webhook-id",
    "webhook_timestamp": "webhook-timestamp",
    "webhook_signature": "webhook-signature",
}


class TriggerHooks:
    """The endpoint of triggers."""

    def __init__(
        self, settings: GatewaySettings, channel: aio.Channel, identity: rpc.NodeIdentity, bodies: Bodies
    ) -> None:
        self._ask, self._bodies = RetryingClient(settings, identity).ask, bodies
        self._ingress = runtime_pb2_grpc.HooksIngressServiceStub(channel)

    def routes(self) -> list[Route]:
        return [Route(HOOKS + "{token}", self._receive, methods=["POST"])]

    async def _receive(self, request: Request) -> Response:
        request_id = credentials.request_id(request)
        if not secrets.looks_like_token(request.path_params["token"]):
            raise NotFound(NO_SUCH_ADDRESS)
        if complaint := credentials.bad_idempotency_key(request):
            return errors.refusal("INVALID_REQUEST", f"The header Idempotency-Key {complaint}.", request_id)
        if re.fullmatch(eventtypes.EXTERNAL_NAME, request.headers.get(EVENT_TYPE, "")):
            return errors.refusal("INVALID_REQUEST", LOOP, request_id)
        body = await self._bodies.read(request, MOST_BYTES)
        try:
            # The gateway makes the id: a retry after a lost answer does not store the post twice.
            answer = await self._ask(self._ingress.ReceiveHook, _message(request, body), request)
        except ControlUnavailable as error:
            return _unavailable(error, request_id)
        except aio.AioRpcError as error:
            return errors.rpc_error(error, request_id, Rename())
        return JSONResponse({"id": answer.id, "repeated": answer.is_repetition}, ACCEPTED)


def _message(request: Request, body: bytes) -> Message:
    return pb.ReceiveHookRequest(
        delivery_id=ids.show(Kind.TRIGGER_DELIVERY, ids.new()),
        token_hash=secrets.token_hash(request.path_params["token"]),
        client_address=request.scope[credentials.ADDRESS],
        content_type=request.headers.get("content-type", ""),
        body=body,
        idempotency_key=request.headers.get("idempotency-key"),
        **{field: request.headers.get(header) for field, header in SIGNATURE.items()},
    )


def _unavailable(error: ControlUnavailable, request_id: str) -> Response:
    """Return the refusal for a control that is unavailable or that limits the rate."""
    cause = error.__cause__
    if isinstance(cause, aio.AioRpcError) and cause.code() is StatusCode.RESOURCE_EXHAUSTED:
        return errors.rpc_error(cause, request_id, Rename())
    LOG.warning("control did not accept a trigger's post", error=str(error))
    message = "It was not taken; send it again."
    return errors.refusal("UNAVAILABLE", message, request_id, {"Retry-After": str(RETRY_SECONDS)})


def redacted_path(path: str) -> str:
    """Return a path as logs may hold it, without the token of a trigger or of a text's file."""
    return next((f"{start}..." for start in (HOOKS, FILES) if path.startswith(start)), path)
