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
from hum.errors import NotFound

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE = {char: value for value, char in enumerate(ALPHABET)} | {
    char.lower(): value for value, char in enumerate(ALPHABET)
}
ULID_CHARS = 26
#: No id is from before 2020, or from tomorrow.
FIRST_MS, DAY_SECONDS = 1_577_836_800_000, 86_400
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Kind(StrEnum):
    """What an id identifies; the value is its prefix.  A number's id has none."""

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
    TEMPLATE = "tmpl"
    WEBHOOK = "wh"
    DELIVERY = "del"
    TRIGGER = "trig"
    TRIGGER_DELIVERY = "tdel"
    EMAIL = "email"
    CRM_CONNECTOR = "crm"
    #: Of a request to a connector: its `X-HUM-Delivery`.
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


def new(at: datetime | None = None) -> UUID:
    """A new ULID as a uuid, of now or of that time."""
    return UUID(int=first_at(at or now()).int | secrets.randbits(80))


def first_at(at: datetime) -> UUID:
    """The least id that may be made at this time."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def made_at(id: UUID) -> datetime | None:
    """When an id was made; None if it says a time that can't be, as an id that was not made here may."""
    ms = id.int >> 80
    return (
        datetime.fromtimestamp(ms / 1000, UTC) if FIRST_MS <= ms <= (now().timestamp() + DAY_SECONDS) * 1000 else None
    )


def request_id(sent: str) -> str:
    """The request id that a client sent, when it is one that any log may hold, else a new one."""
    return sent if SANE_REQUEST_ID.fullmatch(sent) else f"req_{new().hex}"


def show(kind: Kind, id: UUID) -> str:
    """The id as clients see it."""
    rest, characters = id.int, []
    for _ in range(ULID_CHARS):
        characters.append(ALPHABET[rest & 31])
        rest >>= 5
    ulid = "".join(reversed(characters))
    return f"{kind.value}_{ulid}" if kind.value else ulid


def parse(kind: Kind, text: str) -> UUID | None:
    """The uuid behind an id that a client sent; None if it is not an id of this kind."""
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
    """Like `parse`, but an invalid id raises NotFound, exactly like one that does not exist."""
    if (id := parse(kind, text)) is None:
        raise NotFound(f"There is no {kind.name.lower().replace('_', ' ')} {text[:60]!r}.")
    return id
