"""All messages of the account, by sid, by parties, and page by page.  Pure.

Bounded: beyond the limit messages are purged, those that have been final the longest first; counters remain.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from sandbox.twilio.message import Message

MAX_MESSAGES = 150_000
MAX_REQUESTS = 20_000


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send a message, and its outcome."""

    at_monotonic: float
    from_: str
    to: str
    body: str
    outcome: str
    """The new message's sid, or the error code of a refusal."""

    def as_json(self) -> dict[str, object]:
        fields = asdict(self)
        return {"from": fields.pop("from_"), **fields}


class MessageBook:
    """`sent_to` and `sent_from` count the messages that left, by number, also those purged since."""

    def __init__(self, max_messages: int = MAX_MESSAGES) -> None:
        self._max_messages = max_messages
        self._by_sid: dict[str, Message] = {}
        self._by_to: dict[str, dict[str, Message]] = {}
        self._final: dict[str, Message] = {}
        """By sid, in the order in which they became final."""
        self.requests: deque[Request] = deque(maxlen=MAX_REQUESTS)
        self.requests_in_all = 0
        self.sent_to: Counter[str] = Counter()
        self.sent_from: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        """How many messages have each status, purged ones included."""

    def __iter__(self) -> Iterator[Message]:
        return iter(self._by_sid.values())

    def add(self, message: Message) -> None:
        if len(self._by_sid) >= self._max_messages:
            self._purge(next(iter((self._final or self._by_sid).values())))
        self._by_sid[message.sid] = message
        self._by_to.setdefault(message.to, {})[message.sid] = message
        self.statuses[message.status] += 1
        if message.is_over:
            self._final[message.sid] = message

    def note_request(self, request: Request) -> None:
        self.requests.append(request)
        self.requests_in_all += 1

    def get(self, sid: str) -> Message | None:
        return self._by_sid.get(sid)

    def set_status(self, message: Message, status: str) -> None:
        self.statuses[message.status] -= 1
        message.status = status
        self.statuses[status] += 1
        if message.is_over and message.sid in self._by_sid:
            self._final[message.sid] = message

    def mark_sent(self, message: Message) -> None:
        """Count a message that is now on its way to the handset and can no longer be canceled."""
        self.sent_to[message.to] += 1
        self.sent_from[message.from_] += 1

    def between(self, to: str | None, from_: str | None) -> Sequence[Message]:
        """Return the messages between these numbers, newest first; None is any number."""
        messages = self._by_to.get(to, {}) if to is not None else self._by_sid
        return [message for message in reversed(messages.values()) if from_ is None or message.from_ == from_]

    def _purge(self, message: Message) -> None:
        del self._by_sid[message.sid]
        self._final.pop(message.sid, None)
        siblings = self._by_to[message.to]
        del siblings[message.sid]
        if not siblings:
            del self._by_to[message.to]
