"""Transitions of campaigns, each under the campaign's lock: create, launch, pause, cancel."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from control.base import phone, texttemplates
from control.base.texttemplates import BadTextTemplate
from control.billing import limits
from control.campaigns import choosing, transitions
from control.campaigns.halting import CampaignLimits
from control.campaigns.transitions import Launch
from control.numbers.flows import own_flow
from control.texts.inboxchecks import FURTHEST, bad_media_url
from hum import ids
from hum.clock import now
from hum.contract.errors import FieldError, InvalidRequest, NotFound, PlanLimit
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import campaigns_pb2 as pb
from hum.v1 import events_pb2
from storage import campaigns, events, numbers, recipients
from storage.campaigns import CampaignRow, CampaignValues, SenderRow
from storage.db import Tx
from storage.recipients import NewRecipient

#: Numbers that are parsed before yielding to other tasks.
YIELD_EVERY = 200
#: Most invalid texts in an error.
MAX_ERRORS = 100


@dataclass(frozen=True, slots=True)
class CampaignDraft:
    """The requested state of a draft."""

    name: str
    number: str
    flow: str
    body_template: str
    media_urls: Sequence[str]
    throttle_per_minute: int | None
    scheduled_start_at: datetime | None
    expires_at: datetime | None
    honor_quiet_hours: bool


@dataclass(frozen=True, slots=True)
class AddCounts:
    """The result of adding recipients."""

    added: int
    duplicates: int
    invalid: int


async def create(
    tx: Tx,
    principal: Principal,
    draft: CampaignDraft,
    new_recipients: Sequence[pb.NewRecipient],
    limits: CampaignLimits,
) -> CampaignRow:
    """Create a draft with recipients.  Raises InvalidRequest, PlanLimit."""
    id = ids.new()
    await campaigns.create(tx, id, principal.org_id, await _values(tx, draft))
    if new_recipients:
        await _add(tx, await campaigns.get(tx, id), new_recipients, limits)
    return await campaigns.get(tx, id)


async def change(tx: Tx, id: UUID, draft: CampaignDraft) -> CampaignRow:
    """Change a draft that is locked.  Raises InvalidRequest, InvalidState."""
    before = await campaigns.get(tx, id)
    transitions.may_change(before.status)
    await campaigns.update(tx, id, before.org_id, await _values(tx, draft))
    return await campaigns.get(tx, id)


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a draft.  Raises NotFound, InvalidState."""
    transitions.may_change((await campaigns.get(tx, id, lock=True)).status)
    await campaigns.delete(tx, id)


async def _values(tx: Tx, draft: CampaignDraft) -> CampaignValues:
    """Validate a draft and return its row's fields.  Raises InvalidRequest."""
    if not draft.body_template.strip() and not draft.media_urls:
        raise InvalidRequest([FieldError("body_template", "must not be empty without media")])
    if (reason := _bad_template(draft.body_template)) is not None:
        raise InvalidRequest([FieldError("body_template", reason)])
    bad = [(index, bad_media_url(url)) for index, url in enumerate(draft.media_urls)]
    if fields := [FieldError(f"media_urls[{index}]", reason) for index, reason in bad if reason is not None]:
        raise InvalidRequest(fields)
    starts_at = draft.scheduled_start_at or now()
    if starts_at > now() + FURTHEST:
        raise InvalidRequest([FieldError("scheduled_start_at", "must be within a year")])
    if draft.expires_at and draft.expires_at <= starts_at:
        raise InvalidRequest([FieldError("expires_at", "must be after the start")])
    if draft.expires_at and draft.expires_at > starts_at + FURTHEST:
        raise InvalidRequest([FieldError("expires_at", "must be within a year of the start")])
    return CampaignValues(
        name=draft.name,
        number_id=await _own_number(tx, draft.number),
        flow_id=await own_flow(tx, draft.flow, "flow_id", "sms"),
        body_template=draft.body_template,
        media_urls=draft.media_urls,
        throttle_per_minute=draft.throttle_per_minute,
        scheduled_start_at=draft.scheduled_start_at,
        expires_at=draft.expires_at,
        honor_quiet_hours=draft.honor_quiet_hours,
    )


def _bad_template(body: str) -> str | None:
    """Return what is wrong with a template, or None.  An unknown variable may be a recipient's own."""
    try:
        texttemplates.parse(body)
    except BadTextTemplate as error:
        return str(error)
    return None


async def _own_number(tx: Tx, name: str) -> UUID:
    """Return the id of a number of the organization.  Raises InvalidRequest."""
    id = ids.parse(Kind.NUMBER, name)
    try:
        return (await numbers.get(tx, id or UUID(int=0))).id
    except NotFound as error:
        raise InvalidRequest([FieldError("twilio_number_id", "does not exist")]) from error


# --- recipients ---------------------------------------------------------------------------------------------------


async def add(
    tx: Tx, id: UUID, new_recipients: Sequence[pb.NewRecipient], tag: str, limits: CampaignLimits
) -> AddCounts:
    """Add a page of recipients to a draft, or all contacts with a tag.

    Raises InvalidRequest, NotFound, InvalidState, PlanLimit.
    """
    if bool(new_recipients) == bool(tag):
        raise InvalidRequest([FieldError("recipients", "either these or `tag` must be given")])
    row = await campaigns.get(tx, id, lock=True)
    transitions.may_change(row.status)
    if new_recipients:
        return await _add(tx, row, new_recipients, limits)
    count = await recipients.count_tagged(tx, row.org_id, tag)
    _require_capacity(row, count, limits)
    added = await recipients.add_tagged(tx, row.org_id, id, tag)
    return await _record_duplicates(tx, row, AddCounts(added, count - added, 0))


async def _add(
    tx: Tx, row: CampaignRow, new_recipients: Sequence[pb.NewRecipient], limits: CampaignLimits
) -> AddCounts:
    _require_capacity(row, len(new_recipients), limits)
    bad = [
        (index, _bad_template(recipient.body))
        for index, recipient in enumerate(new_recipients)
        if "{" in recipient.body or "}" in recipient.body
    ]
    if fields := [FieldError(f"recipients[{index}].body", reason) for index, reason in bad if reason is not None]:
        raise InvalidRequest(fields[:MAX_ERRORS])
    region = phone.region(row.number_e164)
    normalized = list[NewRecipient]()
    for start in range(0, len(new_recipients), YIELD_EVERY):
        normalized += _normalized(new_recipients[start : start + YIELD_EVERY], region)
        await asyncio.sleep(0)
    added, invalid = await recipients.add(tx, row.org_id, row.id, normalized)
    return await _record_duplicates(tx, row, AddCounts(added, len(new_recipients) - added, invalid))


def _normalized(new_recipients: Iterable[pb.NewRecipient], region: str | None) -> Iterable[NewRecipient]:
    for recipient in new_recipients:
        contact, reason = recipient.contact_e164, None
        try:
            contact = phone.e164(contact, region)
        except phone.NotANumber:
            reason = "invalid_number"
        body = recipient.body if recipient.HasField("body") else None
        yield NewRecipient(ids.new(), contact, body, dict(recipient.variables), reason)


def _require_capacity(row: CampaignRow, additional: int, limits: CampaignLimits) -> None:
    """Raise PlanLimit if the campaign would get too many recipients."""
    if row.total + additional > limits.recipients:
        raise PlanLimit(f"A campaign has at most {limits.recipients} recipients; this one has {row.total}.")


async def _record_duplicates(tx: Tx, row: CampaignRow, added: AddCounts) -> AddCounts:
    if added.duplicates:
        await campaigns.fold(tx, row.id, added.duplicates)
    return added


# --- transitions --------------------------------------------------------------------------------------------------


async def launchable(tx: Tx, id: UUID, *, lock: bool = False) -> CampaignRow:
    """Return a campaign that may be launched.  Raises NotFound, InvalidState."""
    row = await campaigns.get(tx, id, lock=lock)
    transitions.may_launch(_facts(row, await campaigns.sender(tx, id)), now())
    return row


async def launch(tx: Tx, principal: Principal, id: UUID) -> CampaignRow:
    """Queue a draft, or a paused campaign, for the dispatcher.  Raises NotFound, InvalidState, BillingRequired."""
    row = await launchable(tx, id, lock=True)
    await limits.require(tx, row.org_id, "messages")
    await campaigns.launch(tx, id)
    event = events_pb2.CampaignLaunchedEvent(
        campaign_id=ids.show(Kind.CAMPAIGN, id), by=principal.name, resumed=row.status == "paused"
    )
    await events.append(tx, row.org_id, id, event)
    return await campaigns.get(tx, id)


def _facts(row: CampaignRow, sender: SenderRow) -> Launch:
    return Launch(
        status=row.status,
        has_text=bool(row.body_template.strip() or row.media_urls),
        pending=row.pending,
        can_send=choosing.can_send(sender),
        starts_at=row.scheduled_start_at,
        expires_at=row.expires_at,
    )


async def pause(tx: Tx, principal: Principal, id: UUID) -> CampaignRow:
    """Pause a campaign for a person.  Raises NotFound, InvalidState."""
    row = await campaigns.get(tx, id, lock=True)
    transitions.may_pause(row.status)
    await mark_paused(tx, row, "person", principal.name)
    return await campaigns.get(tx, id)


async def mark_paused(tx: Tx, row: CampaignRow, reason: str, by: str | None = None) -> None:
    """Pause a campaign that is locked, and withdraw its texts from the sender."""
    await campaigns.stop(tx, row.id, "paused", reason)
    await recipients.withdraw(tx, row.id, "paused", transitions.BULK)
    event = events_pb2.CampaignPausedEvent(campaign_id=ids.show(Kind.CAMPAIGN, row.id), by=by, reason=reason)
    await events.append(tx, row.org_id, row.id, event)


async def cancel(tx: Tx, principal: Principal, id: UUID) -> CampaignRow:
    """Cancel a campaign for good; idempotent.  Raises NotFound, InvalidState."""
    row = await campaigns.get(tx, id, lock=True)
    if row.status == "canceled":
        return row
    transitions.may_cancel(row.status)
    await campaigns.stop(tx, id, "canceled", None)
    await withdraw_pending(tx, id)
    event = events_pb2.CampaignCanceledEvent(campaign_id=ids.show(Kind.CAMPAIGN, id), by=principal.name)
    await events.append(tx, row.org_id, id, event)
    return await campaigns.get(tx, id)


async def mark_failed(tx: Tx, row: CampaignRow, reason: str) -> None:
    """Mark a campaign that is locked as failed, and cancel its recipients."""
    await campaigns.stop(tx, row.id, "failed", reason)
    await withdraw_pending(tx, row.id)
    event = events_pb2.CampaignFailedEvent(campaign_id=ids.show(Kind.CAMPAIGN, row.id), reason=reason)
    await events.append(tx, row.org_id, row.id, event)


async def withdraw_pending(tx: Tx, id: UUID) -> int:
    """Withdraw texts from the sender and cancel pending recipients, at most `BULK` of each; return how many."""
    withdrawn = await recipients.withdraw(tx, id, "canceled", transitions.BULK)
    return withdrawn + await recipients.end_pending(tx, id, "canceled", "canceled", transitions.BULK)
