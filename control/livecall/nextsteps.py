"""The pending next step of a call, taken after its stream was left on purpose, in the column `calls.next_step`.  Pure.

An agent's tool, a person or routing stores the step with `calls.set_next_step`.  It is due once the stream has ended with a
reason in `LEAVES`.  If the stream dies before, an agent's step is dropped: the agent of the next stream decides anew.

For example: an agent calls the tool for a transfer, which stores a `Transfer` and leaves the stream with `transfer`.
The carrier requests the next step, the transfer is due, and the answer is its dial.
"""

from uuid import UUID

import msgspec

AGENT = "agent"


class Transfer(msgspec.Struct, frozen=True, tag="transfer"):
    """Ring a person's telephone."""

    #: The id of the transfer's row, so that a repeated request causes no second transfer.
    id: UUID
    to_e164: str
    #: The target's name in the flow's transfer map; empty: a number that a person gave.
    label: str = ""
    #: Spoken to the person before they are connected.
    summary: str = ""
    #: `agent`, or the actor's name in the audit log.
    asked_by: str = AGENT
    #: Whether the person hears a whisper first, and whether they must press a key.
    whispers: bool = True
    needs_key: bool = False
    #: How long it rings; 0: the deployment's setting.
    ring_seconds: int = 0
    #: Where the caller goes if the person does not take the call: `agent`, `voicemail`.
    unanswered: str = AGENT


class TakeMessage(msgspec.Struct, frozen=True, tag="voicemail"):
    """Take a message in the mailbox."""

    #: `agent`, `after_hours`, `unanswered`.
    why: str = "agent"
    #: The carrier speaks the prompt before the beep of the last stream that it was offered, since not all clips are
    #: rendered.
    by_carrier: bool = False


NextStep = Transfer | TakeMessage
#: The reasons with which a stream ends while its call continues.
TRANSFER, VOICEMAIL = "transfer", "voicemail"
LEAVES = frozenset({TRANSFER, VOICEMAIL})

_decoder: msgspec.json.Decoder[NextStep] = msgspec.json.Decoder(NextStep)


def encode(step: NextStep) -> str:
    """Encode a step for storage."""
    return msgspec.json.encode(step).decode()


def decode(text: str | None) -> NextStep | None:
    """Decode a stored step; return None for one that another release has stored and this one can't decode."""
    try:
        return None if text is None else _decoder.decode(text)
    except msgspec.DecodeError:
        return None


def is_due(step: NextStep | None, *, marked: bool) -> bool:
    """Tell whether a call with a closed stream takes this step now; `marked`: it is recorded as due.

    A person's transfer is due even if the stream died before it was left.  An agent's is not: the agent of the next
    stream decides anew.
    """
    return step is not None and (marked or (isinstance(step, Transfer) and step.asked_by != AGENT))
