"""What goes wrong between the carrier and its customer, as a test asks for it.  Pure.

    {"on": "create", "do": "cut"}                      the call is created, and the connection cut instead of a response
    {"on": "create", "do": "hang"}                     the call is created, and nothing is ever answered
    {"on": "create", "do": "late", "ms": 5000}         the call is created at once, the response comes late
    {"on": "create", "do": "error", "stage": "before"} 503 (or `status`), and nothing was created
    {"on": "create", "do": "busy", "stage": "before"}  429 with Twilio's error 20429
    {"on": "callback", "do": "late", "ms": 3000, "event": "ringing"}   late: those behind it overtake it
    {"on": "callback", "do": "twice"}                  delivered twice
    {"on": "callback", "do": "never"}                  not delivered
`on` is also `update`, `fetch` or `list` (of calls), and `amd` for the callback of machine detection.  For texts it is `message`
(one is created), `message_fetch`, `message_list`, `media` (a file is fetched), `message_callback` (`event` is a status), and
    {"on": "message", "do": "refuse", "code": 21614}   refused with an error code, and nothing was created
    {"on": "delivery", "do": "fail", "code": 30007}    it leaves, and ends as undelivered
    {"on": "inbound", "do": "twice"}                   the customer is told of a received text twice
`to` restricts a fault (of what is created, listed, delivered or called back) to one called number, `event` to one of initiated,
ringing, answered, completed; `times` is how often it happens (1); `share` is the chance that it happens each time (1.0).
"""

import random
from typing import Literal

import msgspec

On = Literal[
    "create", "update", "fetch", "list", "callback", "amd",
    "message", "message_fetch", "message_list", "media", "message_callback", "delivery", "inbound",
]  # fmt: skip
Do = Literal["cut", "hang", "late", "error", "busy", "refuse", "twice", "never", "fail"]
REQUEST_DOINGS = frozenset({"cut", "hang", "late", "error", "busy"})
CALLBACK_DOINGS = frozenset({"late", "twice", "never"})
OTHER_DOINGS: dict[str, frozenset[str]] = {
    "callback": CALLBACK_DOINGS,
    "amd": CALLBACK_DOINGS,
    "message_callback": CALLBACK_DOINGS,
    "message": REQUEST_DOINGS | {"refuse"},
    "delivery": frozenset({"fail"}),
    "inbound": CALLBACK_DOINGS,
}


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    on: On
    do: Do
    stage: Literal["before", "after"] = "after"
    """Whether the request has its effect (`after`), or not (`before`)."""
    to: str | None = None
    event: str | None = None
    ms: int = 0
    status: int = 503
    times: int = 1
    code: int | None = None
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.do not in OTHER_DOINGS.get(self.on, REQUEST_DOINGS):
            raise ValueError(f"{self.on} cannot {self.do}")
        if (self.do in {"refuse", "fail"}) != (self.code is not None):
            raise ValueError(f"{self.do} {'has no' if self.code else 'needs a'} code")


class Faults:
    """Those that are still to happen, oldest first.  Chance is drawn from a seeded generator."""

    def __init__(self, seed: int = 0) -> None:
        self.pending: list[Fault] = []
        self._random = random.Random(seed)

    def add(self, *faults: Fault) -> None:
        self.pending += faults

    def take(self, on: On, to: str | None = None, event: str | None = None) -> Fault | None:
        """The fault that happens to this request or callback, if any; it is used up after `times`."""
        for each in self.pending:
            if each.on == on and each.to in {None, to} and each.event in {None, event}:
                if each.share < 1.0 and self._random.random() >= each.share:
                    continue
                each.times -= 1
                if each.times <= 0:
                    self.pending.remove(each)
                return each
        return None
