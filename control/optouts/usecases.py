"""Opt-outs and opt-ins, in whatever order they are delivered.  A repetition changes nothing and appends no event."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from control.optouts import lastword
from control.optouts.lastword import ConsentWord, Standing
from hum import ids
from hum.ids import Kind
from hum.v1 import events_pb2
from storage import events, opt_outs
from storage.db import Tx
from storage.opt_outs import OptOutStateRow, OptOutWordRow


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence: keyword or sentence, message and conversation; `at`: when it was said, by its own time.  None: now."""

    keyword: str | None = None
    message_id: UUID | None = None
    conversation_id: UUID | None = None
    at: datetime | None = None


NONE = Evidence()


async def opt_out(
    tx: Tx, org: UUID, contact_e164: str, source: str, evidence: Evidence = NONE, *, carrier_blocks: bool = False
) -> bool:
    """Opt the contact out, and cancel its pending texts.  Return False if it was out already, or has opted in since.

    `source`: `keyword`, `carrier`, `api`, `human`, `agent`; `carrier_blocks`: the carrier refuses texts to it from now on.
    """
    if not await _hear(
        tx, org, contact_e164, source, evidence, is_out=True, carrier_blocks=True if carrier_blocks else None
    ):
        return False
    await opt_outs.end_pending(tx, org, contact_e164)  # a trigger updates campaigns
    event = events_pb2.SmsOptOutEvent(contact_e164=contact_e164, source=source, **_event_ids(evidence))
    await events.append(tx, org, evidence.conversation_id or org, event)
    return True


async def opt_in(
    tx: Tx, org: UUID, contact_e164: str, source: str, evidence: Evidence = NONE, *, carrier_lifts: bool = False
) -> bool:
    """Opt the contact in; return False if it was not opted out, or has opted out since.

    `carrier_lifts`: the carrier has lifted its block, which only a keyword from the handset makes it do.
    """
    if not await _hear(
        tx, org, contact_e164, source, evidence, is_out=False, carrier_blocks=False if carrier_lifts else None
    ):
        return False
    event = events_pb2.SmsOptInEvent(contact_e164=contact_e164, source=source, **_event_ids(evidence))
    await events.append(tx, org, evidence.conversation_id or org, event)
    return True


async def _hear(
    tx: Tx, org: UUID, contact_e164: str, source: str, evidence: Evidence, *, is_out: bool, carrier_blocks: bool | None
) -> bool:
    """Store a word; return whether it has opted the contact out or in."""
    row, clock = await opt_outs.lock(tx, org, contact_e164)
    # A gateway's clock that is fast must not outdate the words after this one.
    at = min(evidence.at or clock, clock)
    before = Standing(
        row.opted_out,
        _word(row.first, row.opted_out),
        _word(row.last, row.opted_out),
        row.opposed_at,
        row.ever_out,
        row.carrier_blocked,
        row.carrier_at,
    )
    after = lastword.hear(
        before, ConsentWord(at, is_out, source, evidence.keyword, evidence.message_id, carrier_blocks)
    )
    if after != before:
        new = OptOutStateRow(
            after.is_out,
            _row(after.first),
            _row(after.last),
            after.opposed_at,
            after.was_ever_out,
            after.carrier_blocks,
            after.carrier_at,
        )
        await opt_outs.save(tx, org, contact_e164, new)
    return after.is_out != before.is_out


def _word(row: OptOutWordRow | None, is_out: bool) -> ConsentWord | None:
    return ConsentWord(row.at, is_out, row.source, row.keyword, row.message_id) if row else None


def _row(word: ConsentWord | None) -> OptOutWordRow | None:
    return OptOutWordRow(word.at, word.source, word.keyword, word.message_id) if word else None


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
