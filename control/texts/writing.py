"""The one entry of outbound texts, for people, keys, the AI, campaigns and mandatory replies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from control.billing import limits
from control.texts import outbox, quiethours, segments, sendgate
from control.texts.sendgate import Decision, Send, SendFacts, Stop, Wait
from hum import ids
from hum.contract.errors import BillingRequired, ConversationClosed, InvalidState
from hum.contract.validation import bad_e164
from storage import conversations, messages, sends
from storage.conversations import ConversationState
from storage.db import Tx
from storage.messages import MessageRow, NewMessage, RulesRow

#: The default expiry of a text, after the time at which it is due.
KEEPS = timedelta(days=1)
#: Texts that an organization may write at once: with fewer left of its plan, they are counted one after the other.
AT_ONCE = 100
CONVERSATION_LANE, CAMPAIGN_LANE = 0, 1
#: Whose texts put a campaign's conversation into the inbox.
ANSWERS = frozenset({"human", "api", "ai"})


@dataclass(frozen=True, slots=True)
class TextDraft:
    """A text to write."""

    body: str
    sent_by: str
    media_urls: Sequence[str] = ()
    honors_hours: bool = True
    scheduled_at: datetime | None = None
    expires_at: datetime | None = None
    #: Why it is scheduled, unless the hours delay it.
    source: str = "manual"
    author_id: UUID | None = None
    run_id: UUID | None = None
    campaign_id: UUID | None = None
    recipient_id: UUID | None = None


async def write(tx: Tx, thread: ConversationState, draft: TextDraft, at: datetime) -> MessageRow:
    """Write a text in a locked conversation: queued, scheduled, or stored as `opted_out`.

    Raises ConversationClosed, BillingRequired, and InvalidState if the number can't send texts, or no open hours ever come.
    """
    allowance = await limits.find(tx, thread.org_id, "messages") if draft.sent_by != "system" else None
    if allowance is not None and allowance.left < AT_ONCE:
        allowance = await limits.find(tx, thread.org_id, "messages", lock=True)
    within_plan = allowance is None or allowance.left > 0
    try:
        new = _new(thread, draft, await messages.rules(tx, thread.id), at, within_plan)
    except BillingRequired as error:
        raise (await limits.refusal(tx, allowance) if allowance is not None else error) from None
    first = await messages.is_first(tx, thread.id)
    written = await messages.write(tx, new, draft.media_urls)
    if thread.campaign_only and draft.sent_by in ANSWERS:
        await conversations.admit(tx, thread.id)
    if new.status != "scheduled":
        await conversations.touch(tx, thread.id, at, draft.body, "outbound")
    if first:
        await outbox.started(tx, thread, "outbound")
    if new.status == "queued":
        await sends.notify_workers(tx, thread.number_e164)
    return written


async def write_all(
    tx: Tx, org: UUID, drafts: Sequence[tuple[ConversationState, TextDraft]], at: datetime
) -> list[NewMessage]:
    """Do as `write`, a text in each of several conversations of an organization, with as few queries as for one.

    The caller has checked that the plan allows so many.
    """
    threads = {thread.id: thread for thread, _ in drafts}
    rules = await messages.rules_of(tx, list(threads))
    first = await messages.first_of(tx, list(threads))
    new_messages = [_new(thread, draft, rules[thread.id], at) for thread, draft in drafts]
    await messages.write_all(
        tx, [(new, draft.media_urls) for new, (_, draft) in zip(new_messages, drafts, strict=True)]
    )
    await conversations.touch_all(
        tx, {new.conversation_id: new.body for new in new_messages if new.status != "scheduled"}, at, "outbound"
    )
    await outbox.started_all(tx, org, (threads[id] for id in threads if id in first), "outbound")
    for number in {new.number_e164 for new in new_messages if new.status == "queued"}:
        await sends.notify_workers(tx, number)
    return new_messages


def _new(
    thread: ConversationState, draft: TextDraft, row: RulesRow, at: datetime, is_within_plan: bool = True
) -> NewMessage:
    """Return the row of a text by the gate's decision.  Raises ConversationClosed, InvalidState, BillingRequired."""
    gate_facts = facts(row, draft.sent_by, draft.honors_hours, draft.scheduled_at, draft.expires_at, is_within_plan)
    initial = _initial(sendgate.decide_send(gate_facts, at), draft.source, at)
    return NewMessage(
        id=ids.new(),
        org_id=thread.org_id,
        conversation_id=thread.id,
        number_e164=thread.number_e164,
        contact_e164=thread.contact_e164,
        body=draft.body,
        status=initial.status,
        error_code=initial.reason,
        segments=segments.count(draft.body),
        sent_by=draft.sent_by,
        source=initial.source,
        author_id=draft.author_id,
        scheduled_at=draft.scheduled_at,
        expires_at=draft.expires_at or (initial.due_at or at) + KEEPS,
        honors_hours=draft.honors_hours,
        held_by=initial.held_by,
        lane=CAMPAIGN_LANE if draft.sent_by == "campaign" else CONVERSATION_LANE,
        due_at=initial.due_at,
        run_id=draft.run_id,
        campaign_id=draft.campaign_id,
        recipient_id=draft.recipient_id,
    )


def facts(
    row: RulesRow,
    sent_by: str,
    honors_hours: bool,
    wanted_at: datetime | None,
    expires_at: datetime | None,
    is_within_plan: bool = True,
) -> SendFacts:
    """Return the facts for the gate."""
    return SendFacts(
        closed=row.closed,
        opted_out=row.opted_out,
        can_send=bool(row.number_active and row.sms_enabled and "sms" in (row.capabilities or ())),
        honored=quiethours.honored(row) if honors_hours else (),
        is_system=sent_by == "system",
        wanted_at=wanted_at,
        expires_at=expires_at,
        is_reachable=bad_e164(row.contact_e164) is None,
        is_within_plan=is_within_plan,
        awake_until=_awake_until(row, sent_by),
    )


def _awake_until(row: RulesRow, sent_by: str) -> datetime | None:
    """Return until when the contact counts as awake; a campaign answers nobody."""
    if sent_by == "campaign" or row.last_inbound_at is None:
        return None
    return row.last_inbound_at + quiethours.AWAKE


@dataclass(frozen=True, slots=True)
class _Initial:
    """The initial status of a message."""

    status: str
    due_at: datetime | None = None
    source: str | None = None
    held_by: str | None = None
    reason: str | None = None


def _initial(decision: Decision, source: str, at: datetime) -> _Initial:
    """Return the initial status by the gate's decision.

    Raises the refusals that the writer learns at once.  An opt-out is none: the request was valid.
    """
    match decision:
        case Send():
            return _Initial("queued", due_at=at)
        case Wait(until, None):
            return _Initial("scheduled", due_at=sendgate.minute(until), source=source)
        case Wait(until, held_by):
            return _Initial("scheduled", due_at=until, source="quiet_hours", held_by=held_by)
        case Stop(_, "closed"):
            raise ConversationClosed
        case Stop(_, sendgate.PLAN_LIMIT):
            raise BillingRequired
        case Stop(_, "number_off"):
            raise InvalidState("The conversation's number can't send texts: it was given up, or its texts are off.")
        case Stop(_, "no_number"):
            raise InvalidState("The contact is a name or a short code, which can't be texted.")
        case Stop(_, "never_open"):
            raise InvalidState("The hours in which it may be sent never come.")
        case Stop("expired", _):
            raise InvalidState("The message would expire before it may be sent.")
        case Stop(status, reason):
            return _Initial(status, reason=reason)
