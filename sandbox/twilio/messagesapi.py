"""The Messages resource of the REST API: create, read, list, and the files of a message.

Source: Twilio's Message and Media resources and its dictionary of errors.  `date_sent` is empty until a message has left,
so a filter on it misses messages that are still queued.  Reading a file needs the account's credentials; the response redirects to
a public host.
"""

import itertools
from collections.abc import Callable, Sequence
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.twilio.call import API_VERSION
from sandbox.twilio.dialplan import e164_of
from sandbox.twilio.errors import ApiError
from sandbox.twilio.exchange import Exchange
from sandbox.twilio.forms import MAX_PAGE, Json, not_found, page, rfc2822, text, whole, within
from sandbox.twilio.message import MediaFile, Message, new_sid
from sandbox.twilio.texting import MAX_QUEUE_S, CannotSend, MessageRequest

MAX_BODY_CHARS = 1600
MAX_MEDIA = 10
CONTENT_PATH = "/media.twiliocdn.com"


class MessagesApi:
    """Endpoints for one exchange's messages."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def create(self, request: Request) -> Response:
        form = await request.form()
        order = self._order(form)
        try:
            message = self._exchange.texting.send(order)
        except CannotSend as refused:
            raise ApiError(refused.code, str(refused)) from refused
        return JSONResponse(self._json(message), 201)

    async def list(self, request: Request) -> Response:
        query = request.query_params
        matches = _filter(query)
        messages = self._exchange.texting.book.between(query.get("To") or None, query.get("From") or None)
        return self._page(request, [message for message in messages if matches(message)])

    async def fetch(self, request: Request) -> Response:
        return JSONResponse(self._json(self._message(request)))

    async def list_media(self, request: Request) -> Response:
        message = self._message(request)
        return page(request, "media_list", [self._media_json(message, file) for file in message.media])

    async def fetch_media(self, request: Request) -> Response:
        message, sid = self._message(request), request.path_params["media_sid"]
        for file in message.media:
            if sid == f"{file.sid}.json":
                return JSONResponse(self._media_json(message, file))
            if sid == file.sid:
                return Response(status_code=307, headers={"Location": f"{CONTENT_PATH}/{message.sid}/{file.sid}"})
        raise not_found(request)

    async def content(self, request: Request) -> Response:
        """Serve a file's content, without authentication."""
        message = self._exchange.texting.book.get(request.path_params["sid"])
        for file in message.media if message is not None else ():
            if file.sid == request.path_params["media_sid"]:
                return Response(file.content, media_type=file.content_type)
        return Response(status_code=404)

    def _order(self, form: FormData) -> MessageRequest:
        to, from_, service = text(form, "To"), text(form, "From"), text(form, "MessagingServiceSid")
        body, callback, urls = (
            text(form, "Body"),
            text(form, "StatusCallback"),
            [str(u) for u in form.getlist("MediaUrl")],
        )
        if not to:
            raise ApiError(21604, "A 'To' phone number is required.")
        if not from_ and not service:
            raise ApiError(21603, "A 'From' phone number is required.")
        if not body and not urls:
            raise ApiError(21602, "Message body is required.")
        recipient = e164_of(to)
        if recipient is None:
            raise ApiError(21211, f"Invalid 'To' Phone Number: {to}")
        if from_ and recipient == e164_of(from_):
            raise ApiError(21266, f"'To' and 'From' number cannot be the same: {to}")
        if self._exchange.unreachable(recipient):
            raise ApiError(21408, f"Permission to send an SMS has not been enabled for the region indicated by {to}.")
        if len(body) > MAX_BODY_CHARS:
            raise ApiError(21617, f"The concatenated message body exceeds the {MAX_BODY_CHARS} character limit")
        if len(urls) > MAX_MEDIA:
            raise ApiError(21623, "Number of media files exceeds allowed limit")
        if not all(_is_url(url) for url in urls):
            raise ApiError(21620, "Invalid media URL(s)")
        if callback and not _is_url(callback):
            raise ApiError(21609, f"The 'StatusCallback' URL {callback} is not a valid URL.")
        validity = text(form, "ValidityPeriod")
        if validity and not (validity.isdecimal() and 1 <= int(validity) <= MAX_QUEUE_S):
            raise ApiError(20001, f"Invalid ValidityPeriod: {validity}")
        return MessageRequest(
            to=recipient,
            body=body,
            from_=e164_of(from_) or from_,
            service_sid=service or None,
            media=tuple(MediaFile(new_sid("ME"), "", url=url) for url in urls),
            callback=callback,
            validity_s=whole(validity, int(MAX_QUEUE_S)),
        )

    def _message(self, request: Request) -> Message:
        message = self._exchange.texting.book.get(request.path_params["sid"])
        if message is None:
            raise not_found(request)
        return message

    def _page(self, request: Request, messages: Sequence[Message]) -> Response:
        """Return one page, newest first.  Its token names the last message shown, so that new messages shift no page."""
        query = request.query_params
        size, number = min(MAX_PAGE, max(1, whole(query.get("PageSize"), 50))), whole(query.get("Page"), 0)
        if token := query.get("PageToken", ""):
            messages = list(itertools.dropwhile(lambda message: message.sid != token[2:], messages))[1:]
        shown = messages[:size]
        filters = {key: value for key, value in query.items() if key not in {"Page", "PageSize", "PageToken"}}

        def uri(page: int, token: str) -> str:
            more = {"PageSize": size, "Page": page} | ({"PageToken": token} if token else {})
            return f"{request.url.path}?{urlencode(filters | more)}"

        return JSONResponse(
            {
                "messages": [self._json(message) for message in shown],
                "page": number,
                "page_size": size,
                "start": number * size,
                "end": number * size + max(0, len(shown) - 1),
                "uri": uri(number, token),
                "first_page_uri": uri(0, ""),
                "previous_page_uri": None,
                "next_page_uri": uri(number + 1, f"PA{shown[-1].sid}") if len(messages) > size else None,
            }
        )

    def _json(self, message: Message) -> Json:
        return message_json(self._exchange.account.sid, message)

    def _media_json(self, message: Message, media: MediaFile) -> Json:
        return {
            "sid": media.sid,
            "account_sid": self._exchange.account.sid,
            "parent_sid": message.sid,
            "content_type": media.content_type,
            "date_created": rfc2822(message.created_at),
            "date_updated": rfc2822(message.created_at),
            "uri": f"/{API_VERSION}/Accounts/{self._exchange.account.sid}/Messages/{message.sid}/Media/{media.sid}.json",
        }


def message_json(account_sid: str, message: Message) -> Json:
    """Return a Message resource."""
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{message.sid}.json"
    return {
        "sid": message.sid,
        "account_sid": account_sid,
        "messaging_service_sid": message.service_sid,
        "from": None if message.status in {"accepted", "scheduled"} else message.from_,
        "to": message.to,
        "body": message.body,
        "status": message.status,
        "direction": message.direction,
        "num_segments": str(message.shown_segments),
        "num_media": str(len(message.media)),
        "error_code": message.error_code,
        "error_message": f"Error {message.error_code}" if message.error_code else None,
        "date_created": rfc2822(message.created_at),
        "date_updated": rfc2822(message.updated_at or message.created_at),
        "date_sent": rfc2822(message.sent_at),
        "price": None,
        "price_unit": "USD",
        "api_version": API_VERSION,
        "uri": uri,
        "subresource_uris": {
            "media": uri.replace(".json", "/Media.json"),
            "feedback": uri.replace(".json", "/Feedback.json"),
        },
    }


def _filter(query: QueryParams) -> Callable[[Message], bool]:
    bounds = [
        (relation, query["DateSent" + relation]) for relation in ("", "<", ">") if query.get("DateSent" + relation)
    ]
    return lambda message: all(within(message.sent_at, bound, relation) for relation, bound in bounds)


def _is_url(text: str) -> bool:
    """Return whether Twilio accepts the URL; it refuses hosts with an underscore."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "_" not in (parts.hostname or "")
