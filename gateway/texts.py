"""The carrier's webhooks of texts, and the files that it fetches for those that we send.

A text is acknowledged once control has it or it is on disk: the carrier sends it once.  While control is unavailable,
and until the retry queue is delivered, further texts go to the queue as well, so that control gets them in order of
arrival.
"""

import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from google.protobuf.message import Message
from grpc import aio
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import carrierforms, credentials, errors, textforms, twiml
from gateway.controlclient import ControlUnavailable, RetryingClient
from gateway.retryqueue import RetryQueue, StoredWebhook
from gateway.signedforms import SignedForms
from hum.clock import now
from hum.contract.errors import NotFound
from hum.observe import tracing
from hum.observe.logs import log
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc

LOG = log(__name__)
TEXTS = "/twilio/sms"
#: The carrier sends a text here if the first URL did not answer.
FALLBACK = TEXTS + "/fallback"
#: An uploaded file of a text that we send; a signed token follows, which is the only credential.
FILES = TEXTS + "/files/"
TOKEN = re.compile("[A-Za-z0-9_-]{72}")
#: The status of a text that we sent; the attempt's id follows.
STATUS = TEXTS + "/status/"
#: The file is not ours: whoever opens it in a browser gets no script that runs at our origin.
FILE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-store",
}
NO_FILE = "There is no such file."
WEBHOOKS = Counter("hum_text_webhooks_total", "The carrier's webhooks of texts, by what became of them", ["how"])

Deliver = Callable[[], Awaitable[Message]]


class TextWebhooks:
    """The webhooks of texts: received, received at the fallback URL, status of a sent one."""

    def __init__(
        self, channel: aio.Channel, forms: SignedForms, client: RetryingClient, retry_queue: RetryQueue
    ) -> None:
        self._forms, self._ask, self._retry_queue = forms, client.ask, retry_queue
        self._ingress = runtime_pb2_grpc.TextsIngressServiceStub(channel)
        self._files = runtime_pb2_grpc.TextFilesIngressServiceStub(channel)

    def routes(self) -> list[Route]:
        return [
            Route(TEXTS, self._receive, methods=["POST"]),
            Route(FALLBACK, self._receive_fallback, methods=["POST"]),
            Route(STATUS + "{attempt_id}", self._report, methods=["POST"]),
            Route(FILES + "{token}", self._send_file, methods=["GET"]),
        ]

    async def _send_file(self, request: Request) -> Response:
        """Answer with a file, to GET and HEAD: the carrier asks both."""
        token, request_id = request.path_params["token"], credentials.request_id(request)
        if not TOKEN.fullmatch(token):
            raise NotFound(NO_FILE)
        try:
            file = await self._ask(self._files.GetTextFile, pb.GetTextFileRequest(token=token), request)
        except ControlUnavailable as error:
            LOG.warning("control did not give a text's file to the carrier", error=str(error))
            return errors.refusal(
                "UNAVAILABLE", "The file can't be read at the moment.", request_id, {"Retry-After": "5"}
            )
        except aio.AioRpcError as error:
            return errors.rpc_error(error, request_id, errors.Rename())
        is_shown = file.content_type.startswith(("image/", "audio/", "video/"))
        disposition = f'{"inline" if is_shown else "attachment"}; filename="{file.name}"'
        headers = {**FILE_HEADERS, "Content-Disposition": disposition, "Content-Type": file.content_type}
        return Response(file.content, headers=headers)

    async def _receive(self, request: Request) -> Response:
        form = await self._forms.read(request)
        message = textforms.receive_request(form, now())
        return await self._process(request, form, lambda: self._ask(self._ingress.ReceiveText, message, request))

    async def _receive_fallback(self, request: Request) -> Response:
        """Queue a text that the carrier could not deliver a moment ago, without asking control."""
        return await self._process(request, await self._forms.read(request), None)

    async def _report(self, request: Request) -> Response:
        form = await self._forms.read(request)
        message = textforms.report_request(form, request.path_params["attempt_id"])
        return await self._process(request, form, lambda: self._ask(self._ingress.ReportText, message, request))

    async def _process(self, request: Request, form: dict[str, str], deliver: Deliver | None) -> Response:
        """Answer a webhook after `deliver` has delivered it to control, or else after queueing it."""
        sid, attempt = textforms.sid(form), request.path_params.get("attempt_id")
        if not carrierforms.is_sid(sid):
            return _done(request, "no_text")  # not about a text
        path = STATUS + "{attempt_id}" if attempt else request.url.path
        with tracing.text_webhook_span(attempt or sid, f"POST {path}", first=attempt is None) as span:
            response = await self._deliver_or_queue(request, form, deliver)
            span.set_attribute("http.response.status_code", response.status_code)
            return response

    async def _deliver_or_queue(self, request: Request, form: dict[str, str], deliver: Deliver | None) -> Response:
        received_at = now()
        if deliver is not None and not self._retry_queue.has_backlog:
            try:
                await deliver()
            except ControlUnavailable as error:
                LOG.warning("control did not accept a text's webhook", path=request.url.path, error=str(error))
            except aio.AioRpcError as error:
                # The number or the attempt is unknown.  A retry changes nothing, so the webhook is acknowledged.
                LOG.warning("control refused a text's webhook", path=request.url.path, code=error.code().name)
                return _done(request, "refused")
            else:
                return _done(request, "taken")
        if not await self._retry_queue.add(request.url.path, urlencode(form).encode(), received_at):
            WEBHOOKS.labels("not_kept").inc()
            # The carrier retries, and then sends it to the fallback URL.
            return Response(status_code=503)
        return _done(request, "kept")

    async def deliver(self, webhook: StoredWebhook, form: dict[str, str]) -> None:
        """Deliver a queued webhook to control.  Raises ControlUnavailable, AioRpcError."""
        if webhook.path.startswith(STATUS):
            report = textforms.report_request(form, webhook.path.removeprefix(STATUS))
            await self._ask(self._ingress.ReportText, report, None)
        else:
            message = textforms.receive_request(form, webhook.at, is_late=True)
            await self._ask(self._ingress.ReceiveText, message, None)


def _done(request: Request, how: str) -> Response:
    WEBHOOKS.labels(how).inc()
    if request.url.path.startswith(STATUS):
        return Response(status_code=204)
    return Response(twiml.EMPTY, media_type="text/xml")
