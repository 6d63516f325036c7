"""Texts between the account's numbers and handsets: queued, sent, delivered or not; received, and replied to if keywords.

An outbound text is queued, sent, and then delivered or undelivered, or it fails before it is sent; with a Messaging Service it is
accepted first.  Example: at one segment a second the third text is queued at 0 s, sent at 2 s, and delivered `after_ms` later.

Sources: Twilio's Message resource, "Outbound message status in status callbacks" (the first status is not called back),
"Understanding Twilio rate limits and message queues" and its dictionary of errors: a queue holds ten hours of segments (21611;
30001 with a Messaging Service), a message that waits longer than its ValidityPeriod fails with 30036, and a text to a handset that
has sent STOP is refused with 21610, or, with a Messaging Service, fails later.  Pure: its clock is its owner's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

import msgspec

from realtime.stage import Clock
from sandbox.twilio.faults import PendingFaults
from sandbox.twilio.keywords import ANSWERS, Kind, keyword
from sandbox.twilio.message import MediaFile, Message, new_sid
from sandbox.twilio.messagebook import MessageBook, Request
from sandbox.twilio.numbers import Number, NumberBook

MAX_QUEUE_S = 36_000.0
UNSUBSCRIBED = "Attempt to send to unsubscribed recipient"


class CannotSend(Exception):  # noqa: N818 - it says what is wrong
    """A message that is refused at once, with Twilio's error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Recipient(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The fate of texts to a number."""

    refuses: int | None = None
    """Error code with which the request is refused."""
    fails: int | None = None
    """Error code with which an accepted message ends."""
    ends: Literal["undelivered", "failed"] = "undelivered"
    """`failed`: the message is never sent."""
    reports: bool = True
    """False: the network reports nothing, and the message stays `sent`."""
    after_ms: int = 0
    """Time from sending to arrival."""
    replies: str | None = None
    """The handset's reply to each text."""


class Service(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A Messaging Service: chooses the sender, and shares opt-outs between its numbers."""

    senders: list[str]
    advanced_opt_out: bool = False
    inbound_url: str | None = None
    """None: the number's own URL."""


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A message that the customer wants sent."""

    to: str
    body: str
    from_: str = ""
    service_sid: str | None = None
    media: tuple[MediaFile, ...] = ()
    callback: str = ""
    validity_s: int = 36_000
    direction: str = "outbound-api"


class TextWebhookSender(Protocol):
    """The sender of webhooks about texts."""

    def queue_status_callback(self, message: Message) -> None: ...
    def fetch_media(self, message: Message, then: Callable[[int | None], None]) -> None: ...
    def queue_inbound_webhook(
        self, message: Message, number: Number, service: Service | None, opted: Kind | None
    ) -> None: ...


@dataclass(slots=True)
class Pace:
    """Segments per second that each number sends, and when each is free next; 0 is no limit."""

    segments_per_second: float = 0.0
    free_at: dict[str, float] = field(default_factory=dict)

    def wait_s(self, from_: str, at: float) -> float:
        return max(0.0, self.free_at.get(from_, 0.0) - at) if self.segments_per_second else 0.0

    def reserve(self, from_: str, segments: int, at: float) -> None:
        if self.segments_per_second:
            self.free_at[from_] = at + self.wait_s(from_, at) + segments / self.segments_per_second


class _Time:
    """The clock's time as a date, and the number of pending steps."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pending = 0
        self._began, self._began_s = datetime.now(UTC), clock.now

    def wall_time(self) -> datetime:
        return self._began + timedelta(seconds=self.clock.now - self._began_s)

    def later(self, delay_s: float, do: Callable[[], None]) -> None:
        def due() -> None:
            self.pending -= 1
            do()

        self.pending += 1
        self.clock.at(self.clock.now + delay_s, due)


class Texting:
    """One account's texts."""

    def __init__(self, numbers: NumberBook, faults: PendingFaults, clock: Clock) -> None:
        self.numbers = numbers
        self.faults = faults
        self.desk: TextWebhookSender | None = None
        self.book = MessageBook()
        self.recipients: dict[str, Recipient] = {}
        """The fate of texts to a number (`*`: to any other)."""
        self.services: dict[str, Service] = {}
        self.blocked: set[tuple[str, str]] = set()
        """Pairs (sender or Messaging Service, handset) that have opted out."""
        self.answers_keywords = True
        self.pace = Pace()
        self._time = _Time(clock)

    # --- out

    def send(self, order: MessageRequest) -> Message:
        """Accept a message, as the REST API does.  Raises CannotSend."""
        at = self._time.clock.now
        try:
            message = self._accept(order, at)
        except CannotSend as refused:
            self.book.note_request(Request(at, order.from_, order.to, order.body, str(refused.code)))
            raise
        self.book.note_request(Request(at, message.from_, order.to, order.body, message.sid))
        return message

    @property
    def pending(self) -> int:
        """How many steps of messages are pending."""
        return self._time.pending

    def _accept(self, order: MessageRequest, at: float) -> Message:
        service = self._service(order)
        from_ = (
            order.from_ or service.senders[sum(order.to.encode()) % len(service.senders)] if service else order.from_
        )
        if self.numbers.find(from_) is None:
            raise CannotSend(
                21606, f"The 'From' phone number provided ({from_}) is not a valid message-capable Twilio phone number."
            )
        recipient = self._recipient(order.to)
        code = 21610 if self._is_blocked(order.to, from_, order.service_sid) else recipient.refuses
        if code is not None and not (service and code == 21610):
            raise CannotSend(code, UNSUBSCRIBED if code == 21610 else f"The message to {order.to} can't be sent")
        message = Message(
            new_sid("MM" if order.media else "SM"),
            order.direction,
            from_,
            order.to,
            order.body,
            "accepted" if service else "queued",
            self._time.wall_time(),
            service_sid=order.service_sid,
            media=order.media,
            callback=order.callback,
            validity_s=order.validity_s,
        )
        wait_s = self.pace.wait_s(from_, at)
        if wait_s > MAX_QUEUE_S and code is None:
            if not service:
                raise CannotSend(
                    21611, f"This 'From' number {from_} has exceeded the maximum number of queued messages"
                )
            code = 30001
        self.book.add(message)
        if service:
            self._time.later(0.0, lambda: self._set_status(message, "queued"))
        if code is not None:
            failed = code
            self._time.later(0.0, lambda: self._end(message, "failed", failed))
        elif wait_s > order.validity_s:
            self._time.later(order.validity_s, lambda: self._end(message, "failed", 30036))
        else:
            self.pace.reserve(from_, message.segments, at)
            self._time.later(wait_s, lambda: self._dispatch(message))
        return message

    def _service(self, order: MessageRequest) -> Service | None:
        if order.service_sid is None:
            return None
        service = self.services.get(order.service_sid)
        if service is None:
            raise CannotSend(21701, f"The Messaging Service {order.service_sid} does not exist")
        if order.from_ and order.from_ not in service.senders:
            raise CannotSend(21712, f"{order.from_} is not a sender of the Messaging Service {order.service_sid}")
        return service

    def _recipient(self, e164: str) -> Recipient:
        return self.recipients.get(e164) or self.recipients.get("*") or Recipient()

    def _is_blocked(self, to: str, from_: str, service_sid: str | None) -> bool:
        return (service_sid or from_, to) in self.blocked

    def _dispatch(self, message: Message) -> None:
        """Send a message out, once its files are fetched; one that can't be fetched fails the message."""

        def fetched(code: int | None) -> None:
            if code is None:
                self._send_out(message)
            else:
                self._end(message, "failed", code)

        if self.desk is None or not message.media:
            self._send_out(message)
        else:
            self.desk.fetch_media(message, fetched)

    def _send_out(self, message: Message) -> None:
        recipient, fault = self._recipient(message.to), self.faults.take("delivery", message.to)
        code = fault.code if fault else recipient.fails
        if code is not None and not fault and recipient.ends == "failed":
            self._end(message, "failed", code)
            return
        message.sent_at = self._time.wall_time()
        self.book.mark_sent(message)
        self._set_status(message, "sent")
        if code is not None:
            self._time.later(recipient.after_ms / 1000, lambda: self._end(message, "undelivered", code))
        else:
            self._time.later(recipient.after_ms / 1000, lambda: self._deliver(message, recipient))

    def _deliver(self, message: Message, recipient: Recipient) -> None:
        message.arrived_at = self._time.wall_time()
        if recipient.reports:
            self._set_status(message, "delivered")
        if recipient.replies is not None:
            self.receive(message.to, message.from_, recipient.replies)
        elif self.numbers.find(message.to) is not None:
            self.receive(message.from_, message.to, message.body, message.media)

    def _end(self, message: Message, status: str, code: int) -> None:
        message.error_code = code
        self._set_status(message, status)

    def _set_status(self, message: Message, status: str) -> None:
        self.book.set_status(message, status)
        message.updated_at = self._time.wall_time()
        if message.callback and self.desk is not None:
            self.desk.queue_status_callback(message)

    # --- in

    def receive(self, from_: str, to: str, body: str, media: Sequence[MediaFile] = ()) -> Message:
        """Receive a handset's text to one of the account's numbers.  Raises LookupError if the account does not have it."""
        number = self.numbers.find(to)
        if number is None:
            raise LookupError(f"the account does not have {to}")
        service_sid, service = self._service_of(to)
        message = Message(
            new_sid("MM" if media else "SM"),
            "inbound",
            from_,
            to,
            body,
            "received",
            self._time.wall_time(),
            service_sid=service_sid,
            media=tuple(media),
        )
        self.book.add(message)
        word = keyword(body)
        if word is not None and self.answers_keywords:
            self._apply_keyword(word, message)
        if self.desk is not None:
            opted = word if service is not None and service.advanced_opt_out else None
            self.desk.queue_inbound_webhook(message, number, service, opted)
        return message

    def _service_of(self, e164: str) -> tuple[str | None, Service | None]:
        return next(((sid, service) for sid, service in self.services.items() if e164 in service.senders), (None, None))

    def _apply_keyword(self, word: Kind, message: Message) -> None:
        """Opt the handset out or in, and reply: once for STOP and START, each time for HELP."""
        pair = (message.service_sid or message.to, message.from_)
        was_blocked = pair in self.blocked
        if word == "STOP":
            self.blocked.add(pair)
        elif word == "START":
            self.blocked.discard(pair)
        if word == "HELP" or was_blocked != (pair in self.blocked):
            self._reply(message, ANSWERS[word])

    def _reply(self, message: Message, body: str) -> None:
        """Send the carrier's own reply, which opt-outs do not block."""
        reply = Message(
            new_sid("SM"), "outbound-reply", message.to, message.from_, body, "queued", self._time.wall_time(),
            service_sid=message.service_sid,
        )  # fmt: skip
        self.book.add(reply)
        self._time.later(0.0, lambda: self._send_out(reply))
