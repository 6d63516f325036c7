"""Webhooks about texts: status callbacks, and messages that handsets sent.

Sources: Twilio's guides "Outbound message status in status callbacks" and "Messaging webhooks".  The callbacks of one message
are sent one after the other; a late one is overtaken by those behind it.  A received message goes to the URL of the number, or of
its Messaging Service; if that fails, to the fallback URL with ErrorCode and ErrorUrl; if that fails too, it is not sent again.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from sandbox.loopclock import LoopClock, now
from sandbox.twilio.call import API_VERSION
from sandbox.twilio.geography import place_of
from sandbox.twilio.keywords import Kind
from sandbox.twilio.message import MediaFile, Message, Notice
from sandbox.twilio.numbers import Number
from sandbox.twilio.pool import Pool
from sandbox.twilio.texting import CannotSend, MessageRequest, Service, Texting
from sandbox.twilio.twiml import XML_TYPES
from sandbox.twilio.webhooks import Courier, Webhook

MAX_CALLBACKS, MAX_RECEIVED, MAX_FETCHES = 64, 64, 64
#: Twilio, "Accepted content types for media": of a text and its files together; the types that it sends as MMS.
MAX_MESSAGE_BYTES = 5_000_000
ACCEPTED_TYPES = frozenset(
    [
        "image/jpeg",
        "image/jpg",
        "image/gif",
        "image/png",
        "image/bmp",
        "image/tiff",
        "image/heic",
        "image/heif",
        "audio/basic",
        "audio/mp4",
        "audio/mpeg",
        "audio/ogg",
        "audio/3gpp",
        "audio/3gpp2",
        "audio/ac3",
        "audio/webm",
        "audio/amr",
        "audio/amr-nb",
        "video/mpeg",
        "video/mp4",
        "video/quicktime",
        "video/webm",
        "video/3gpp",
        "video/3gpp2",
        "text/vcard",
        "text/x-vcard",
        "text/csv",
        "text/rtf",
        "text/calendar",
        "application/pdf",
        "application/vcard",
    ]
)
#: Errors of Twilio's dictionary.
RETRIEVAL_FAILURE, INVALID_CONTENT_TYPE, MEDIA_TOO_LARGE = 11200, 12300, 11751


class TextDesk:
    """Sender of one exchange's webhooks about texts."""

    def __init__(self, account_sid: str, courier: Courier, texting: Texting, clock: LoopClock) -> None:
        self._account_sid = account_sid
        self._courier = courier
        self._texting = texting
        self._callbacks, self._received, self._fetches = Pool(MAX_CALLBACKS), Pool(MAX_RECEIVED), Pool(MAX_FETCHES)
        self._clock = clock
        self._late = 0
        self.base_url = ""
        """The URL under which files of received messages are served."""

    def queue_status_callback(self, message: Message) -> None:
        status, code, fields = message.status, message.error_code, self._status_fields(message)
        fault = self._texting.faults.take("message_callback", message.to, status)
        if fault is not None and fault.do == "never":
            message.notices.append(Notice(status, code, now(), None, lost=True))
            return

        async def send() -> None:
            sent = await self._courier.send("sms_status", message.callback, fields)
            message.notices.append(Notice(status, code, now(), sent.answer.status))

        if fault is not None and fault.do == "late":
            self._after(fault.ms, lambda: self._callbacks.push(f"{message.sid}/{status}", send))
            return
        for _ in range(2 if fault else 1):
            self._callbacks.push(message.sid, send)

    def fetch_media(self, message: Message, then: Callable[[int | None], None]) -> None:
        """Fetch the files of a message that its customer serves, and call `then` with None, or with an error code.

        The customer is known by the status callback's URL.  Files elsewhere count as fetched: the stand-in asks no strangers.
        """
        own = urlsplit(message.callback)[:2]

        async def fetch() -> None:
            files, code, size = list[MediaFile](), None, len(message.body.encode())
            for file in message.media:
                if code is None and file.url and urlsplit(file.url)[:2] == own:
                    file, code = await self._fetch(file, MAX_MESSAGE_BYTES - size)
                    size += len(file.content)
                files.append(file)
            message.media = tuple(files)
            then(code)

        self._fetches.push(message.sid, fetch)

    async def _fetch(self, file: MediaFile, max_bytes: int) -> tuple[MediaFile, int | None]:
        answer = await self._courier.fetch(file.url, max_bytes)
        if answer is None:
            return file, RETRIEVAL_FAILURE
        kind = answer.content_type.partition(";")[0].strip().lower()
        if kind not in ACCEPTED_TYPES:
            return file, INVALID_CONTENT_TYPE
        if len(answer.content) > max_bytes:
            return file, MEDIA_TOO_LARGE
        return MediaFile(file.sid, kind, answer.content, file.url), None

    def queue_inbound_webhook(
        self, message: Message, number: Number, service: Service | None, opted: Kind | None
    ) -> None:
        fields = self._received_fields(message) | ({"OptOutType": opted} if opted else {})
        url = (service.inbound_url if service else None) or (
            "" if number.get("sms_application_sid") else number.get("sms_url")
        )
        fault = self._texting.faults.take("inbound", message.to)

        async def send() -> None:
            await self._deliver(message, number, url, fields)

        if fault is not None and fault.do == "never":
            message.notices.append(Notice("received", None, now(), None, lost=True))
        elif fault is not None and fault.do == "late":
            self._after(fault.ms, lambda: self._received.push(message.sid, send))
        else:
            for _ in range(2 if fault else 1):
                self._received.push(message.sid, send)

    @property
    def pending(self) -> int:
        """How many steps of messages and webhooks are pending."""
        in_pools = self._callbacks.pending + self._received.pending + self._fetches.pending
        return self._late + in_pools + self._texting.pending

    async def settled(self) -> None:
        """Wait until no text and no webhook is pending, delayed callbacks included."""
        while self.pending:
            await self._fetches.settled()
            await self._callbacks.settled()
            await self._received.settled()
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        self._clock.stop()
        await self._fetches.close()
        await self._callbacks.close()
        await self._received.close()

    def _after(self, delay_ms: int, do: Callable[[], None]) -> None:
        def due() -> None:
            self._late -= 1
            do()

        self._late += 1
        self._clock.at(self._clock.now + delay_ms / 1000, due)

    async def _deliver(self, message: Message, number: Number, url: str, fields: dict[str, str]) -> None:
        if message.sent_at is None:
            message.sent_at = message.created_at
        if not url:
            return
        sent = await self._courier.send("sms", url, fields, number.get("sms_method"))
        message.notices.append(Notice("received", sent.error_code, now(), sent.answer.status))
        fallback = number.get("sms_fallback_url")
        if sent.error_code is not None and fallback:
            more = {"ErrorCode": str(sent.error_code), "ErrorUrl": sent.url}
            sent = await self._courier.send("sms_fallback", fallback, fields | more, number.get("sms_fallback_method"))
            message.notices.append(Notice("received", sent.error_code, now(), sent.answer.status))
        for body in replies(sent):
            try:
                self._texting.send(MessageRequest(message.from_, body, from_=message.to, direction="outbound-reply"))
            # At Twilio this is an entry in the debugger, without a callback.
            except CannotSend:
                return

    def _status_fields(self, message: Message) -> dict[str, str]:
        fields = {
            "AccountSid": self._account_sid,
            "ApiVersion": API_VERSION,
            "From": message.from_,
            "MessageSid": message.sid,
            "MessageStatus": message.status,
            "SmsSid": message.sid,
            "SmsStatus": message.status,
            "To": message.to,
        }
        if message.service_sid:
            fields["MessagingServiceSid"] = message.service_sid
        if message.error_code is not None:
            fields["ErrorCode"] = str(message.error_code)
        if message.status in {"delivered", "undelivered"} and message.updated_at is not None:
            fields["RawDlrDoneDate"] = message.updated_at.strftime("%y%m%d%H%M")
        return fields

    def _received_fields(self, message: Message) -> dict[str, str]:
        fields = {
            "AccountSid": self._account_sid,
            "ApiVersion": API_VERSION,
            "Body": message.body,
            "From": message.from_,
            "MessageSid": message.sid,
            "NumMedia": str(len(message.media)),
            "NumSegments": str(message.segments),
            "SmsMessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsStatus": "received",
            "To": message.to,
        }
        for side, e164 in (("From", message.from_), ("To", message.to)):
            fields |= {side + name: value for name, value in place_of(e164).items()}
        for index, media in enumerate(message.media):
            fields[f"MediaUrl{index}"] = (
                f"{self.base_url}/{API_VERSION}/Accounts/{self._account_sid}/Messages/{message.sid}/Media/{media.sid}"
            )
            fields[f"MediaContentType{index}"] = media.content_type
        if message.service_sid:
            fields["MessagingServiceSid"] = message.service_sid
        return fields


def replies(webhook: Webhook) -> list[str]:
    """Return the texts of the application's response: <Message> verbs, or the whole of a plain text."""
    answer = webhook.answer
    kind = answer.content_type.partition(";")[0].strip().lower()
    if answer.failure is not None or not answer.body.strip():
        return []
    if kind == "text/plain":
        return [answer.body]
    if kind not in XML_TYPES:
        return []
    try:
        # The body comes from our own gateway or a test.
        root = ET.fromstring(answer.body)  # noqa: S314
    except ET.ParseError:
        return []
    return ["".join(verb.itertext()).strip() for verb in root if verb.tag in {"Message", "Sms"}]
