"""Opting out and in.  A repetition changes nothing, and nobody is told of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum import ids
from hum.ids import Kind
from hum.v1 import events_pb2
from storage import events, opt_outs
from storage.db import Tx
from storage.opt_outs import Change


@dataclass(frozen=True, slots=True)
class Evidence:
    """How we know: the word, the message, and its conversation; `at` is for a message that control learns of later."""

    keyword: str | None = None
    message_id: UUID | None = None
    conversation_id: UUID | None = None
    at: datetime | None = None


NONE = Evidence()


async def opt_out(
    tx: Tx, org: UUID, contact_e164: str, source: str, evidence: Evidence = NONE, *, carrier_blocks: bool = False
) -> bool:
    """The contact wants no more texts: what waits is not sent either.  False if that was known.

    `source`: `keyword`, `carrier`, `api`, `human`, `agent`; `carrier_blocks`: the carrier refuses texts to it from now on.
    """
    change = Change(source, evidence.keyword, evidence.message_id, evidence.at)
    changed = await opt_outs.opt_out(tx, org, contact_e164, change, carrier_blocks=carrier_blocks)
    if not changed:
        if carrier_blocks:
            await opt_outs.set_blocked(tx, org, contact_e164, blocked=True, at=evidence.at)
        return False
    await opt_outs.end_pending(tx, org, contact_e164)  # campaigns follow by a trigger
    event = events_pb2.SmsOptOutEvent(contact_e164=contact_e164, source=source, **_shown(evidence))
    await events.append(tx, org, evidence.conversation_id or org, event)
    return True


async def opt_in(
    tx: Tx, org: UUID, contact_e164: str, source: str, evidence: Evidence = NONE, *, carrier_lifts: bool = False
) -> bool:
    """The contact wants texts again; False if it was not opted out.

    `carrier_lifts`: the carrier lets texts through again, which it does when the handset says so and never for us.
    """
    change = Change(source, evidence.keyword, evidence.message_id, evidence.at)
    changed = await opt_outs.opt_in(tx, org, contact_e164, change, carrier_lifts=carrier_lifts)
    if not changed:
        if carrier_lifts:
            await opt_outs.set_blocked(tx, org, contact_e164, blocked=False, at=evidence.at)
        return False
    event = events_pb2.SmsOptInEvent(contact_e164=contact_e164, source=source, **_shown(evidence))
    await events.append(tx, org, evidence.conversation_id or org, event)
    return True


async def carrier_says_blocked(
    tx: Tx,
    org: UUID,
    contact_e164: str,
    message_id: UUID | None = None,
    conversation_id: UUID | None = None,
    *,
    at: datetime | None = None,
) -> bool:
    """The carrier refused a text (21610), at once or later, because the contact had replied STOP: it is opted out here too.

    `at`: when the text was sent; a contact that has wanted texts again since then is left alone.  False if it was known.
    """
    evidence = Evidence(message_id=message_id, conversation_id=conversation_id, at=at)
    return await opt_out(tx, org, contact_e164, "carrier", evidence, carrier_blocks=True)


def _shown(evidence: Evidence) -> dict[str, str | None]:
    conversation, message = evidence.conversation_id, evidence.message_id
    return {
        "conversation_id": ids.show(Kind.CONVERSATION, conversation) if conversation else None,
        "message_id": ids.show(Kind.MESSAGE, message) if message else None,
    }
