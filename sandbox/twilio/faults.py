"""Faults between the carrier and its customer, injected by tests.  Pure.

    {"on": "create", "do": "cut"}                      the call is created, and the connection cut instead of a response
    {"on": "create", "do": "hang"}                     the call is created, and no response ever comes
    {"on": "create", "do": "late", "ms": 5000}         the call is created at once, the response comes late
    {"on": "create", "do": "error", "stage": "before"} 503 (or `status`), and no call is created
    {"on": "create", "do": "busy", "stage": "before"}  429 with Twilio's error 20429
    {"on": "callback", "do": "late", "ms": 3000, "event": "ringing"}   late: the callbacks behind it overtake it
    {"on": "callback", "do": "twice"}                  delivered twice
    {"on": "callback", "do": "never"}                  not delivered
`on` is also `update`, `fetch` or `list` (of calls), and `amd` for the callback of machine detection.  For texts it is `message`
(one is created), `message_fetch`, `message_list`, `media` (a file is fetched), `message_callback` (`event` is a status), and
    {"on": "message", "do": "refuse", "code": 21614}   refused with an error code, and no message is created
    {"on": "delivery", "do": "fail", "code": 30007}    the text leaves, and ends as undelivered
    {"on": "inbound", "do": "twice"}                   the webhook of a received text is sent twice
`to` restricts a fault (of a creation, a list, a delivery or a callback) to one called number, `event` to one of initiated,
ringing, answered, completed; `times` is how often it happens (1); `share` is its chance each time (1.0).
"""

import random
from typing import Literal

import msgspec

On = Literal[
    "create", "update", "fetch", "list", "callback", "amd",
    "message", "message_fetch", "message_list", "media", "message_callback", "delivery", "inbound",
]  # fmt: skip
Do = Literal["cut", "hang", "late", "error", "busy", "refuse", "twice", "never", "fail"]
REQUEST_FAULTS = frozenset({"cut", "hang", "late", "error", "busy"})
CALLBACK_FAULTS = frozenset({"late", "twice", "never"})
FAULTS_BY_TARGET: dict[str, frozenset[str]] = {
    "callback": CALLBACK_FAULTS,
    "amd": CALLBACK_FAULTS,
    "message_callback": CALLBACK_FAULTS,
    "message": REQUEST_FAULTS | {"refuse"},
    "delivery": frozenset({"fail"}),
    "inbound": CALLBACK_FAULTS,
}


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    on: On
    do: Do
    stage: Literal["before", "after"] = "after"
    """Whether the fault happens `before` the request takes effect, or `after` it."""
    to: str | None = None
    event: str | None = None
    ms: int = 0
    status: int = 503
    times: int = 1
    code: int | None = None
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.do not in FAULTS_BY_TARGET.get(self.on, REQUEST_FAULTS):
            raise ValueError(f"{self.on} has no fault {self.do}")
        if (self.do in {"refuse", "fail"}) != (self.code is not None):
            raise ValueError(f"{self.do} {'has no' if self.code else 'needs a'} code")


class PendingFaults:
    """Pending faults, oldest first.  Chance is drawn from a seeded generator."""

    def __init__(self, seed: int = 0) -> None:
        self.pending: list[Fault] = []
        self._random = random.Random(seed)

    def add(self, *faults: Fault) -> None:
        self.pending += faults

    def take(self, on: On, to: str | None = None, event: str | None = None) -> Fault | None:
        """Return the fault that applies to this request or callback, if any, and count it against its `times`."""
        for fault in self.pending:
            if fault.on == on and fault.to in {None, to} and fault.event in {None, event}:
                if fault.share < 1.0 and self._random.random() >= fault.share:
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self.pending.remove(fault)
                return fault
        return None
