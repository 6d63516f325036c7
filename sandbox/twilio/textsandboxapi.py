"""Control API of the stand-in for texts, which the real carrier does not have: handsets, and the messages that left.

    POST /sandbox/texts             {to, from, body?, media?: [{content_type, base64}]}: a handset texts → 201 {sid}
    GET  /sandbox/texts?to=&from=   {texts}: the latest 1000 that were accepted or received, newest first, with their callbacks
    GET  /sandbox/texts/counts      {requests, waiting, statuses: {status: n}, sent_to: {e164: n}, sent_from: {e164: n}}
    GET  /sandbox/texts/requests    {requests}: the latest 1000 requests to send, newest first, each with its outcome
    PUT  /sandbox/receivers/{e164}  a Recipient (texting.py): the fate of texts to a number; * is any other → 204
    PUT  /sandbox/services/{sid}    a Service (texting.py): a Messaging Service → 204
    PUT  /sandbox/texting           {segments_per_second?, answers_keywords?} → 204
`sent_to` counts the messages that left for a handset, over the stand-in's whole life; messages that were refused, failed in the
queue or expired are not counted.
"""

import base64
import binascii
from itertools import islice

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.twilio.exchange import Exchange
from sandbox.twilio.message import MediaFile, new_sid
from sandbox.twilio.texting import Recipient, Service

MAX_SHOWN = 1000


class EncodedFile(msgspec.Struct, forbid_unknown_fields=True):
    content_type: str
    base64: str


class TextIn(msgspec.Struct, forbid_unknown_fields=True):
    to: str
    from_: str = msgspec.field(name="from")
    body: str = ""
    media: list[EncodedFile] = []


class TextingSettings(msgspec.Struct, forbid_unknown_fields=True):
    segments_per_second: float | None = None
    answers_keywords: bool | None = None


class TextSandboxApi:
    def __init__(self, exchange: Exchange) -> None:
        self._texting, self._desk = exchange.texting, exchange.textdesk

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/texts", self._receive, methods=["POST"]),
            Route("/sandbox/texts", self._texts),
            Route("/sandbox/texts/counts", self._counts),
            Route("/sandbox/texts/requests", self._requests),
            Route("/sandbox/receivers/{e164}", self._set_recipient, methods=["PUT"]),
            Route("/sandbox/services/{sid}", self._set_service, methods=["PUT"]),
            Route("/sandbox/texting", self._set_texting, methods=["PUT"]),
        ]

    async def _receive(self, request: Request) -> Response:
        try:
            text = msgspec.json.decode(await request.body(), type=TextIn)
            media = [MediaFile(new_sid("ME"), file.content_type, _bytes(file.base64)) for file in text.media]
            message = self._texting.receive(text.from_, text.to, text.body, media)
        except msgspec.DecodeError as error:
            return _refusal(400, error)
        except LookupError as error:
            return _refusal(404, error)
        return JSONResponse({"sid": message.sid}, 201)

    async def _texts(self, request: Request) -> Response:
        query = request.query_params
        messages = self._texting.book.between(query.get("to"), query.get("from"))
        return JSONResponse({"texts": [message.as_json() for message in messages[:MAX_SHOWN]]})

    async def _counts(self, _: Request) -> Response:
        book = self._texting.book
        return JSONResponse(
            {
                "requests": book.requests_in_all,
                "waiting": self._desk.pending,
                "statuses": {status: number for status, number in book.statuses.items() if number},
                "sent_to": book.sent_to,
                "sent_from": book.sent_from,
            }
        )

    async def _requests(self, _: Request) -> Response:
        latest = islice(reversed(self._texting.book.requests), MAX_SHOWN)
        return JSONResponse({"requests": [entry.as_json() for entry in latest]})

    async def _set_recipient(self, request: Request) -> Response:
        try:
            recipient = msgspec.json.decode(await request.body(), type=Recipient)
        except msgspec.DecodeError as error:
            return _refusal(400, error)
        self._texting.recipients[request.path_params["e164"]] = recipient
        return Response(status_code=204)

    async def _set_service(self, request: Request) -> Response:
        try:
            service = msgspec.json.decode(await request.body(), type=Service)
        except msgspec.DecodeError as error:
            return _refusal(400, error)
        self._texting.services[request.path_params["sid"]] = service
        return Response(status_code=204)

    async def _set_texting(self, request: Request) -> Response:
        try:
            settings = msgspec.json.decode(await request.body(), type=TextingSettings)
        except msgspec.DecodeError as error:
            return _refusal(400, error)
        if settings.segments_per_second is not None:
            self._texting.pace.segments_per_second = settings.segments_per_second
        if settings.answers_keywords is not None:
            self._texting.answers_keywords = settings.answers_keywords
        return Response(status_code=204)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise msgspec.DecodeError(f"a file is not base64: {error}") from error


def _refusal(status: int, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status)
