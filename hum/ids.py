"""Ids: `<prefix>_<ULID>` for clients, the same 128 bits as `uuid` in the database.

ULID: 48 bits of Unix milliseconds, 80 random bits, 26 characters of Crockford's base 32
(https://github.com/ulid/spec).  So ids sort by creation time, and a list can be paged by id.
"""

import re
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from hum.clock import now
from hum.contract.errors import NotFound

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE = {char: value for value, char in enumerate(ALPHABET)} | {
    char.lower(): value for value, char in enumerate(ALPHABET)
}
ULID_CHARS = 26
RANDOM_BITS = 80
#: Of the step to the next id of a millisecond: a step beyond the millisecond's last id is as good as impossible.
STEP_BITS = 64
#: An id from before 2020, or from more than a day ahead, was not made here.
FIRST_MS, DAY_SECONDS = 1_577_836_800_000, 86_400
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Kind(StrEnum):
    """The kind of thing that an id identifies; the value is its prefix.  A number's id has none."""

    ORGANIZATION = "org"
    USER = "user"
    API_KEY = "key"
    FLOW = "flow"
    NUMBER = ""
    CALL = "call"
    #: An attempt at an outbound call; only the carrier sees its id, in URLs.
    ATTEMPT = "attempt"
    CONTACT = "contact"
    NOTE = "note"
    BACKFILL = "backfill"
    IMPORT = "import"
    VOICEMAIL = "voicemail"
    INTERVENTION = "intervention"
    INVITE = "invite"
    SIGN_IN = "signin"
    EVENT = "evt"
    TRANSFER = "transfer"
    CONVERSATION = "conv"
    MESSAGE = "msg"
    #: An attempt at sending a message; only the carrier sees its id, in URLs.
    SEND = "send"
    CAMPAIGN = "camp"
    RECIPIENT = "rcpt"
    RUN = "run"
    #: A file that is stored for a text.
    UPLOAD = "upl"
    TEMPLATE = "tmpl"
    WEBHOOK = "wh"
    DELIVERY = "del"
    TRIGGER = "trig"
    TRIGGER_DELIVERY = "tdel"
    EMAIL = "email"
    CRM_CONNECTOR = "crm"
    #: A request to a connector; its `X-HUM-Delivery`.
    CRM_DELIVERY = "crmdel"
    CRM_LOG = "crmlog"
    TOOL = "tool"
    FLOW_TOOL = "ftool"
    TOOL_SECRET = "tsec"  # noqa: S105 - a prefix
    TOOL_EXECUTION = "texec"
    KNOWLEDGE = "doc"
    MCP_SERVER = "mcp"
    MCP_TOOL = "mcptool"
    APPROVAL = "appr"
    BOOKING_RESOURCE = "res"
    BOOKABLE_SERVICE = "svc"
    TIME_OFF = "off"
    #: A hold; once booked, it is the appointment with the same ULID.
    HOLD = "hold"
    APPOINTMENT = "appt"
    CONFLICT = "conflict"
    WAIT = "wait"


class _Sequence:
    """The ids of a process: those of one millisecond ascend, by steps that can't be guessed."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, ms: int) -> int:
        if self._last >> RANDOM_BITS == ms:
            self._last += 1 + secrets.randbits(STEP_BITS)
        else:
            self._last = ms << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
        return self._last


_sequence = _Sequence()


def new(at: datetime | None = None) -> UUID:
    """Return a new ULID as a UUID, with the current time or `at`.  What a process makes in one millisecond sorts, too."""
    return UUID(int=_sequence.next(_ms(at or now())))


def lowest_at(at: datetime) -> UUID:
    """Return the least id that may be made at this time."""
    return UUID(int=_ms(at) << RANDOM_BITS)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def created_at(id: UUID) -> datetime | None:
    """Return when an id was made; None if its time is implausible, as in an id that was not made here."""
    ms = id.int >> RANDOM_BITS
    return (
        datetime.fromtimestamp(ms / 1000, UTC) if FIRST_MS <= ms <= (now().timestamp() + DAY_SECONDS) * 1000 else None
    )


def request_id(sent: str) -> str:
    """Return the request id that a client sent, if logs may hold it, else a new one."""
    return sent if SANE_REQUEST_ID.fullmatch(sent) else f"req_{new().hex}"


def show(kind: Kind, id: UUID) -> str:
    """Return the id as clients see it."""
    remaining, characters = id.int, []
    for _ in range(ULID_CHARS):
        characters.append(ALPHABET[remaining & 31])
        remaining >>= 5
    ulid = "".join(reversed(characters))
    return f"{kind.value}_{ulid}" if kind.value else ulid


def parse(kind: Kind, text: str) -> UUID | None:
    """Return the UUID behind an id that a client sent; None if it is not an id of this kind."""
    prefix, _, ulid = text.rpartition("_")
    if prefix != kind.value or len(ulid) != ULID_CHARS or ulid[0] not in "01234567":
        return None
    value = 0
    for char in ulid:
        if (digit := _VALUE.get(char)) is None:
            return None
        value = value << 5 | digit
    return UUID(int=value)


def require(kind: Kind, text: str) -> UUID:
    """Return what `parse` does, but raise NotFound for an invalid id, exactly as for one that does not exist."""
    if (id := parse(kind, text)) is None:
        raise NotFound(f"There is no {kind.name.lower().replace('_', ' ')} {text[:60]!r}.")
    return id
