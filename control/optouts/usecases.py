"""Opt-outs and opt-ins.  A repetition changes nothing and appends no event."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum import ids
from hum.ids import Kind
from hum.v1 import events_pb2
from storage import events, opt_outs
from storage.db import Tx
from storage.opt_outs import OptOutChange


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence: keyword, message and conversation; `at`: when, for a message that control learns of later."""

    keyword: str | None = None
    message_id: UUID | None = None
    conversation_id: UUID | None = None
    at: datetime | None = None


NONE = Evidence()


async def opt_out(
    tx: Tx, org: UUID, contact_e164: str, source: str, evidence: Evidence = NONE, *, carrier_blocks: bool = False
) -> bool:
    """Opt the contact out, and cancel its pending texts.  Return False if it was opted out already.

    `source`: `keyword`, `carrier`, `api`, `human`, `agent`; `carrier_blocks`: the carrier refuses texts to it from now on.
    """
    change = OptOutChange(source, evidence.keyword, evidence.message_id, evidence.at)
    changed = await opt_outs.opt_out(tx, org, contact_e164, change, carrier_blocks=carrier_blocks)
    if not changed:
        if carrier_blocks:
            await opt_outs.set_blocked(tx, org, contact_e164, blocked=True, at=evidence.at)
        return False
    await opt_outs.end_pending(tx, org, contact_e164)  # a trigger updates campaigns
    event = events_pb2.SmsOptOutEvent(contact_e164=contact_e164, source=source, **_event_ids(evidence))
    await events.append(tx, org, evidence.conversation_id or org, event)
    return True


async def opt_in(
    tx: Tx, org: UUID, contact_e164: str, source: str, evidence: Evidence = NONE, *, carrier_lifts: bool = False
) -> bool:
    """Opt the contact in; return False if it was not opted out.

    `carrier_lifts`: the carrier has lifted its block, which only a keyword from the handset makes it do.
    """
    change = OptOutChange(source, evidence.keyword, evidence.message_id, evidence.at)
    changed = await opt_outs.opt_in(tx, org, contact_e164, change, carrier_lifts=carrier_lifts)
    if not changed:
        if carrier_lifts:
            await opt_outs.set_blocked(tx, org, contact_e164, blocked=False, at=evidence.at)
        return False
    event = events_pb2.SmsOptInEvent(contact_e164=contact_e164, source=source, **_event_ids(evidence))
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
    """Opt the contact out because the carrier refused a text (21610): the contact had replied STOP.

    `at`: when the text was sent; a later opt-in stays.  Return False if nothing changed.
    """
    evidence = Evidence(message_id=message_id, conversation_id=conversation_id, at=at)
    return await opt_out(tx, org, contact_e164, "carrier", evidence, carrier_blocks=True)


def _event_ids(evidence: Evidence) -> dict[str, str | None]:
    conversation, message = evidence.conversation_id, evidence.message_id
    return {
        "conversation_id": ids.show(Kind.CONVERSATION, conversation) if conversation else None,
        "message_id": ids.show(Kind.MESSAGE, message) if message else None,
    }
