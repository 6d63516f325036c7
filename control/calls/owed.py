"""What a call does after its stream was left for it, as `calls.owed` stores it.  Pure.

Whoever decides (an agent's tool, a person, routing) stores it with `calls.owe`; it is due once the stream has ended with
one of the reasons `LEAVES`, so a stream that dies meanwhile loses nothing and does nothing: the agent is back, and decides.
"""

from uuid import UUID

import msgspec

AGENT = "agent"


class Transfer(msgspec.Struct, frozen=True, tag="transfer"):
    """Ring a person's telephone."""

    #: Of the transfer that this becomes: one that is asked for twice is one.
    id: UUID
    to_e164: str
    #: As the flow's transfer map names the target; empty: a number that a person gave.
    label: str = ""
    #: What the person is told before they are connected.
    summary: str = ""
    #: `agent`, or who asked for it as the audit log names them.
    asked_by: str = AGENT
    #: Whoever answers hears something first, and must press a key.
    whispers: bool = True
    needs_key: bool = False
    #: How long it rings; 0: as long as the deployment says.
    ring_seconds: int = 0
    #: Where the caller goes if nobody takes the call: `agent`, `voicemail`.
    unanswered: str = AGENT


class Message(msgspec.Struct, frozen=True, tag="voicemail"):
    """Take a message in the mailbox."""

    #: `agent`, `after_hours`, `unanswered`.
    why: str = "agent"
    #: The carrier itself says what comes before the beep of the stream that it was offered last: not all of it is rendered.
    by_carrier: bool = False


Owed = Transfer | Message
#: The reasons with which a stream ends although its call goes on.
TRANSFER, VOICEMAIL = "transfer", "voicemail"
LEAVES = frozenset({TRANSFER, VOICEMAIL})

_decoder: msgspec.json.Decoder[Owed] = msgspec.json.Decoder(Owed)


def stored(owed: Owed) -> str:
    """As storage keeps it."""
    return msgspec.json.encode(owed).decode()


def read(owed: str | None) -> Owed | None:
    """What storage keeps; None for what another release has stored and this one can't read."""
    try:
        return None if owed is None else _decoder.decode(owed)
    except msgspec.DecodeError:
        return None


def is_due(owed: Owed | None, *, marked: bool) -> bool:
    """Whether a call whose stream has closed does this now.  What a person has asked for is done even if the stream died
    before it could be left; what an agent has asked for is not: another one is back, and decides.
    """
    return owed is not None and (marked or (isinstance(owed, Transfer) and owed.asked_by != AGENT))
