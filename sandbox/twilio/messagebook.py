"""All messages of the account, found by sid, by parties, and page by page.  Pure.

Bounded: the oldest that are over are forgotten, and only counted.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from sandbox.twilio.message import Message

MOST_MESSAGES = 150_000
MOST_REQUESTS = 20_000


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send a message: what it asked for, and what came of it."""

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
    """`sent_to` and `sent_from` count the messages that truly left, by their number; they forget nothing."""

    def __init__(self, most: int = MOST_MESSAGES) -> None:
        self._most = most
        self._by_sid: dict[str, Message] = {}
        self._by_to: dict[str, dict[str, Message]] = {}
        self.requests: deque[Request] = deque(maxlen=MOST_REQUESTS)
        self.requests_in_all = 0
        self.sent_to: Counter[str] = Counter()
        self.sent_from: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        """How many messages stand at each status, those forgotten too."""

    def __iter__(self) -> Iterator[Message]:
        return iter(self._by_sid.values())

    def add(self, message: Message) -> None:
        self._by_sid[message.sid] = message
        self._by_to.setdefault(message.to, {})[message.sid] = message
        self.statuses[message.status] += 1
        if len(self._by_sid) > self._most:
            self._forget(next(iter(self._by_sid.values())))

    def note_request(self, request: Request) -> None:
        self.requests.append(request)
        self.requests_in_all += 1

    def get(self, sid: str) -> Message | None:
        return self._by_sid.get(sid)

    def move(self, message: Message, status: str) -> None:
        self.statuses[message.status] -= 1
        message.status = status
        self.statuses[status] += 1

    def left(self, message: Message) -> None:
        """It is on its way to the handset: from here on nobody can take it back."""
        self.sent_to[message.to] += 1
        self.sent_from[message.from_] += 1

    def between(self, to: str | None, from_: str | None) -> Sequence[Message]:
        """The messages to and from these numbers, newest first; None is anybody."""
        found = self._by_to.get(to, {}) if to is not None else self._by_sid
        return [each for each in reversed(found.values()) if from_ is None or each.from_ == from_]

    def _forget(self, message: Message) -> None:
        del self._by_sid[message.sid]
        same = self._by_to[message.to]
        del same[message.sid]
        if not same:
            del self._by_to[message.to]
