"""Making, launching, pausing and canceling campaigns: each a transition under the campaign's lock."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from control.base import phone
from control.billing import limits
from control.campaigns import choosing, rules
from control.campaigns.rules import Launch, Limits
from control.numbers.flows import own_flow
from control.texts import templates
from control.texts.rules import bad_media_url
from control.texts.templates import BadTemplate
from hum import ids
from hum.clock import now
from hum.errors import FieldError, InvalidRequest, NotFound, PlanLimit
from hum.ids import Kind
from hum.principal import Principal
from hum.v1 import campaigns_pb2 as pb
from hum.v1 import events_pb2
from storage import campaigns, events, numbers, recipients
from storage.campaigns import CampaignRow, Plan, SenderRow
from storage.db import Tx
from storage.recipients import NewRecipient

#: Numbers that are read before others get their turn.
AT_ONCE = 200
#: Bad texts that are told of at once.
MOST_ERRORS = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """A draft as it is asked for."""

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
class Added:
    added: int
    duplicates: int
    invalid: int


async def create(tx: Tx, who: Principal, wish: Wish, people: Sequence[pb.NewRecipient], limits: Limits) -> CampaignRow:
    """Raises InvalidRequest, PlanLimit."""
    id = ids.new()
    await campaigns.create(tx, id, who.org_id, await _plan(tx, wish))
    if people:
        await _add(tx, await campaigns.get(tx, id), people, limits)
    return await campaigns.get(tx, id)


async def change(tx: Tx, id: UUID, wish: Wish) -> CampaignRow:
    """Change a draft that is locked.  Raises InvalidRequest, InvalidState."""
    before = await campaigns.get(tx, id)
    rules.may_change(before.status)
    await campaigns.update(tx, id, before.org_id, await _plan(tx, wish))
    return await campaigns.get(tx, id)


async def delete(tx: Tx, id: UUID) -> None:
    """Raises NotFound, InvalidState."""
    rules.may_change((await campaigns.get(tx, id, lock=True)).status)
    await campaigns.delete(tx, id)


async def _plan(tx: Tx, wish: Wish) -> Plan:
    """Raises InvalidRequest."""
    if not wish.body_template.strip() and not wish.media_urls:
        raise InvalidRequest([FieldError("body_template", "must not be empty without media")])
    if (reason := _bad_template(wish.body_template)) is not None:
        raise InvalidRequest([FieldError("body_template", reason)])
    bad = [(index, bad_media_url(url)) for index, url in enumerate(wish.media_urls)]
    if fields := [FieldError(f"media_urls[{index}]", reason) for index, reason in bad if reason is not None]:
        raise InvalidRequest(fields)
    if wish.expires_at and wish.expires_at <= (wish.scheduled_start_at or now()):
        raise InvalidRequest([FieldError("expires_at", "must be after the start")])
    return Plan(
        name=wish.name,
        number_id=await _own_number(tx, wish.number),
        flow_id=await own_flow(tx, wish.flow, "flow_id", "sms"),
        body_template=wish.body_template,
        media_urls=wish.media_urls,
        throttle_per_minute=wish.throttle_per_minute,
        scheduled_start_at=wish.scheduled_start_at,
        expires_at=wish.expires_at,
        honor_quiet_hours=wish.honor_quiet_hours,
    )


def _bad_template(body: str) -> str | None:
    """What is wrong with a text; None if nothing is.  A variable that is not known may be a recipient's own."""
    try:
        templates.parse(body)
    except BadTemplate as error:
        return str(error)
    return None


async def _own_number(tx: Tx, name: str) -> UUID:
    """Raises InvalidRequest."""
    id = ids.parse(Kind.NUMBER, name)
    try:
        return (await numbers.get(tx, id or UUID(int=0))).id
    except NotFound as error:
        raise InvalidRequest([FieldError("twilio_number_id", "does not exist")]) from error


# --- recipients ---------------------------------------------------------------------------------------------------


async def add(tx: Tx, id: UUID, people: Sequence[pb.NewRecipient], tag: str, limits: Limits) -> Added:
    """Add a page of recipients to a draft, or all contacts with a tag.  Raises what `Refused` lists."""
    if bool(people) == bool(tag):
        raise InvalidRequest([FieldError("recipients", "either these or `tag` must be given")])
    row = await campaigns.get(tx, id, lock=True)
    rules.may_change(row.status)
    if people:
        return await _add(tx, row, people, limits)
    wanted = await recipients.tagged(tx, row.org_id, tag)
    _admit(row, wanted, limits)
    added = await recipients.add_tagged(tx, row.org_id, id, tag)
    return await _folded(tx, row, Added(added, wanted - added, 0))


async def _add(tx: Tx, row: CampaignRow, people: Sequence[pb.NewRecipient], limits: Limits) -> Added:
    _admit(row, len(people), limits)
    bad = [
        (index, _bad_template(each.body)) for index, each in enumerate(people) if "{" in each.body or "}" in each.body
    ]
    if fields := [FieldError(f"recipients[{index}].body", reason) for index, reason in bad if reason is not None]:
        raise InvalidRequest(fields[:MOST_ERRORS])
    region = phone.region(row.number_e164)
    numbered = list[NewRecipient]()
    for start in range(0, len(people), AT_ONCE):
        numbered += _numbered(people[start : start + AT_ONCE], region)
        await asyncio.sleep(0)  # others get their turn
    added, invalid = await recipients.add(tx, row.org_id, row.id, numbered)
    return await _folded(tx, row, Added(added, len(people) - added, invalid))


def _numbered(people: Iterable[pb.NewRecipient], region: str | None) -> Iterable[NewRecipient]:
    for each in people:
        contact, reason = each.contact_e164, None
        try:
            contact = phone.e164(contact, region)
        except phone.NotANumber:
            reason = "invalid_number"
        body = each.body if each.HasField("body") else None
        yield NewRecipient(ids.new(), contact, body, dict(each.variables), reason)


def _admit(row: CampaignRow, more: int, limits: Limits) -> None:
    """Raises PlanLimit."""
    if row.total + more > limits.recipients:
        raise PlanLimit(f"A campaign has at most {limits.recipients} recipients; this one has {row.total}.")


async def _folded(tx: Tx, row: CampaignRow, added: Added) -> Added:
    if added.duplicates:
        await campaigns.fold(tx, row.id, added.duplicates)
    return added


# --- transitions --------------------------------------------------------------------------------------------------


async def launchable(tx: Tx, id: UUID) -> CampaignRow:
    """A campaign that may be launched, locked.  Raises NotFound, InvalidState."""
    row = await campaigns.get(tx, id, lock=True)
    rules.may_launch(_facts(row, await campaigns.sender(tx, id)), now())
    return row


async def launch(tx: Tx, who: Principal, id: UUID) -> CampaignRow:
    """Queue a draft, or a paused campaign, for the dispatcher.  Raises NotFound, InvalidState, BillingRequired."""
    row = await launchable(tx, id)
    await limits.require(tx, row.org_id, "messages")
    await campaigns.launch(tx, id)
    event = events_pb2.CampaignLaunchedEvent(
        campaign_id=ids.show(Kind.CAMPAIGN, id), by=who.name, resumed=row.status == "paused"
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


async def pause(tx: Tx, who: Principal, id: UUID) -> CampaignRow:
    """Raises NotFound, InvalidState."""
    row = await campaigns.get(tx, id, lock=True)
    rules.may_pause(row.status)
    await paused(tx, row, "person", who.name)
    return await campaigns.get(tx, id)


async def paused(tx: Tx, row: CampaignRow, reason: str, by: str | None = None) -> None:
    """Pause a campaign that is locked, and take its texts back from the sender."""
    await campaigns.stop(tx, row.id, "paused", reason)
    await recipients.withdraw(tx, row.id, "paused", rules.BULK)
    event = events_pb2.CampaignPausedEvent(campaign_id=ids.show(Kind.CAMPAIGN, row.id), by=by, reason=reason)
    await events.append(tx, row.org_id, row.id, event)


async def cancel(tx: Tx, who: Principal, id: UUID) -> CampaignRow:
    """Cancel for good; canceling a canceled one changes nothing.  Raises NotFound, InvalidState."""
    row = await campaigns.get(tx, id, lock=True)
    if row.status == "canceled":
        return row
    rules.may_cancel(row.status)
    await campaigns.stop(tx, id, "canceled", None)
    await give_up(tx, id)
    event = events_pb2.CampaignCanceledEvent(campaign_id=ids.show(Kind.CAMPAIGN, id), by=who.name)
    await events.append(tx, row.org_id, id, event)
    return await campaigns.get(tx, id)


async def failed(tx: Tx, row: CampaignRow, reason: str) -> None:
    """A campaign that is locked can't be carried on."""
    await campaigns.stop(tx, row.id, "failed", reason)
    await give_up(tx, row.id)
    event = events_pb2.CampaignFailedEvent(campaign_id=ids.show(Kind.CAMPAIGN, row.id), reason=reason)
    await events.append(tx, row.org_id, row.id, event)


async def give_up(tx: Tx, id: UUID) -> int:
    """Take texts back from the sender, and cancel who waits for one: a part of them at a time; return how many."""
    withdrawn = await recipients.withdraw(tx, id, "canceled", rules.BULK)
    return withdrawn + await recipients.end_pending(tx, id, "canceled", "canceled", rules.BULK)
