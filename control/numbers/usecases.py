"""The use cases of numbers: register, assign, change, synchronize, release."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from control.audit.usecases import OPERATOR, append_action, append_operator_action
from control.base.texttemplates import BadTextTemplate
from control.billing import limits
from control.clients.twilio import CarrierClient, CarrierNumber, Webhooks, is_refusal
from control.numbers.flows import own_flow
from control.retention.organizations import require_not_deleted
from control.rows import each_row
from control.texts import missedcalls
from hum import ids
from hum.clock import now
from hum.contract.errors import CarrierError, FieldError, Forbidden, InvalidRequest, InvalidState, NotAtCarrier
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import events_pb2
from hum.v1 import numbers_pb2 as pb
from storage import events, identity, numbers
from storage.db import Db, Tx
from storage.numbers import NumberRow

# --- registering --------------------------------------------------------------------------------------------------


async def register(
    db: Db, carrier: CarrierClient, webhooks: Webhooks, principal: Principal, number: pb.Number, request_id: str
) -> NumberRow:
    """Register a number that the carrier account holds.

    With several organizations only site admins may, and the refusal reveals nothing about the number.  Raises Forbidden,
    NotAtCarrier, AlreadyExists, InvalidRequest, BillingRequired, CarrierError.
    """
    async with db.tenant(principal.org_id) as tx:
        if not principal.site_admin and not await numbers.is_only_organization(tx):
            raise Forbidden(
                "This deployment has several organizations, so its operator assigns the numbers of the carrier account "
                "(hum admin assign-number); buy a number, or ask the operator for one."
            )
        # Refuse before the carrier is changed.
        await _flows(tx, number)
        _check_missed_call_text(
            number.missed_call_text if number.HasField("missed_call_text") else None, number.sms_enabled
        )
        await limits.require(tx, principal.org_id, "numbers")
    at_carrier = await _point(carrier, webhooks, number.e164)
    async with db.tenant(principal.org_id) as tx:
        await limits.require(tx, principal.org_id, "numbers")
        row = await _record(tx, principal.org_id, principal.name, number, at_carrier)
        fields = [field.name for field, _ in number.ListFields()]
        await append_action(
            tx, principal.org_id, principal, "registerNumber", ids.show(Kind.NUMBER, row.id), fields, request_id
        )
    return row


async def assign(db: Db, carrier: CarrierClient, webhooks: Webhooks, org: UUID, e164: str) -> UUID:
    """Assign a number of the carrier account to an organization, as an operator; return its id.

    Raises NotFound, InvalidState for an organization that is being deleted, NotAtCarrier, AlreadyExists, CarrierError.
    """
    async with db.system() as tx:
        await require_not_deleted(tx, org)
    async with db.tenant(org) as tx:
        await identity.organization(tx, org)
    at_carrier = await _point(carrier, webhooks, e164)
    async with db.tenant(org) as tx:
        row = await _record(tx, org, OPERATOR, pb.Number(e164=e164), at_carrier)
        await append_operator_action(tx, org, "assignNumber", ids.show(Kind.NUMBER, row.id), ["e164"])
    return row.id


async def _point(carrier: CarrierClient, webhooks: Webhooks, e164: str) -> CarrierNumber:
    """Set the webhooks of a number of the carrier account; return the number.  Raises NotAtCarrier.

    The URLs don't depend on the organization.  So concurrent requests set the same ones, and the unique index decides afterwards
    which organization gets the number.
    """
    at_carrier = await carrier.find_number(e164)
    if at_carrier is None:
        raise NotAtCarrier
    if at_carrier.webhooks != webhooks:
        await carrier.point_number(at_carrier.sid, webhooks)
    return at_carrier


async def _record(tx: Tx, org: UUID, by: str, number: pb.Number, at_carrier: CarrierNumber) -> NumberRow:
    flow_id, sms_flow_id = await _flows(tx, number)
    row = NumberRow(
        id=ids.new(),
        e164=number.e164,
        carrier_sid=at_carrier.sid,
        friendly_name=number.friendly_name if number.HasField("friendly_name") else at_carrier.friendly_name,
        flow_id=flow_id,
        sms_flow_id=sms_flow_id,
        sms_enabled=number.sms_enabled,
        missed_call_text=number.missed_call_text if number.HasField("missed_call_text") else None,
        capabilities=list(at_carrier.capabilities),
        status="active",
        created_at=now(),
        account_sid=at_carrier.account_sid,
    )
    _check_missed_call_text(row.missed_call_text, _texts(row))
    row = await numbers.create(tx, row)
    await events.append(tx, org, row.id, events_pb2.NumberRegisteredEvent(by=by))
    return row


async def _flows(tx: Tx, number: pb.Number) -> tuple[UUID | None, UUID | None]:
    """Return the flows that a new number answers with.  Raises InvalidRequest."""
    return (
        await own_flow(tx, number.flow_id, "number.flow_id", "voice"),
        await own_flow(tx, number.sms_flow_id, "number.sms_flow_id", "sms"),
    )


# --- changing -----------------------------------------------------------------------------------------------------


async def change(tx: Tx, principal: Principal, id: UUID, number: pb.Number, paths: list[str]) -> NumberRow:
    before = await numbers.get(tx, id, lock=True)
    after = before
    for path in paths or [field.name for field, _ in number.ListFields()]:
        if path == "friendly_name":
            after = replace(after, friendly_name=number.friendly_name if number.HasField("friendly_name") else None)
        elif path == "flow_id":
            after = replace(after, flow_id=await own_flow(tx, number.flow_id, "number.flow_id", "voice"))
        elif path == "sms_flow_id":
            after = replace(after, sms_flow_id=await own_flow(tx, number.sms_flow_id, "number.sms_flow_id", "sms"))
        elif path == "sms_enabled":
            after = replace(after, sms_enabled=number.sms_enabled)
        elif path == "missed_call_text":
            text = number.missed_call_text if number.HasField("missed_call_text") else None
            after = replace(after, missed_call_text=text)
    if after.missed_call_text != before.missed_call_text:
        _check_missed_call_text(after.missed_call_text, _texts(after))
    await numbers.update(tx, after)
    await events.append(tx, principal.org_id, id, events_pb2.NumberUpdatedEvent(by=principal.name))
    return after


def _texts(row: NumberRow) -> bool:
    """Tell whether a number can text, and its texts are on."""
    return row.sms_enabled and "sms" in row.capabilities


def _check_missed_call_text(text: str | None, is_texting: bool) -> None:
    """Check a number's text to whoever reaches nobody.  Raises InvalidRequest."""
    if text is None:
        return
    if not is_texting:
        raise InvalidRequest([FieldError("number.missed_call_text", "needs a number that can text, and its texts on")])
    try:
        missedcalls.check(text)
    except BadTextTemplate as error:
        raise InvalidRequest([FieldError("number.missed_call_text", str(error))]) from error


# --- synchronizing with the carrier -------------------------------------------------------------------------------


@dataclass(slots=True)
class SyncCounts:
    """The counts of a synchronization with the carrier."""

    added: int = 0
    updated: int = 0
    gone: int = 0
    #: Numbers of the account that other organizations have.
    elsewhere: int = 0


async def sync(db: Db, carrier: CarrierClient, webhooks: Webhooks, principal: Principal, request_id: str) -> SyncCounts:
    """Synchronize the organization's numbers with the carrier account.  A repetition changes nothing."""
    at_carrier = {number.e164: number for number in await carrier.list_numbers()}
    async with db.tenant(principal.org_id) as tx:
        own = await numbers.lock_all(tx)
        synced, changed = await _refresh(tx, own, at_carrier)
        if await numbers.is_only_organization(tx):
            allowance = await limits.find(tx, principal.org_id, "numbers")
            unowned = sorted(at_carrier.keys() - {row.e164 for row in own})
            adopted = await _adopt(tx, unowned if allowance is None else unowned[: allowance.left], at_carrier)
            synced.added = len(adopted)
            changed |= set(adopted)
        await append_action(tx, principal.org_id, principal, "syncNumbers", "", (), request_id)
        if changed:
            await events.append(
                tx, principal.org_id, principal.org_id, events_pb2.NumbersSyncedEvent(by=principal.name)
            )
    for e164 in changed | {row.e164 for row in own if row.status != "releasing"} & at_carrier.keys():
        if at_carrier[e164].webhooks != webhooks:
            await carrier.point_number(at_carrier[e164].sid, webhooks)
            synced.updated += e164 not in changed
    async with db.system() as tx:
        synced.elsewhere = await numbers.count_of_others(tx, list(at_carrier), principal.org_id)
    return synced


async def _refresh(
    tx: Tx, own: Sequence[NumberRow], carrier_numbers: dict[str, CarrierNumber]
) -> tuple[SyncCounts, set[str]]:
    """Store the changes at the carrier; return the counts, and the changed numbers that the account holds."""
    synced, changed = SyncCounts(), set[str]()
    for row in own:
        at_carrier = carrier_numbers.get(row.e164)
        if row.status == "releasing":
            continue
        if at_carrier is None:
            if row.status != "gone":
                await numbers.refresh(tx, row.id, row.carrier_sid, row.capabilities, "gone", row.account_sid)
                synced.gone += 1
        elif (row.carrier_sid, row.account_sid, sorted(row.capabilities), row.status) != (
            at_carrier.sid,
            at_carrier.account_sid,
            sorted(at_carrier.capabilities),
            "active",
        ):
            await numbers.refresh(
                tx, row.id, at_carrier.sid, list(at_carrier.capabilities), "active", at_carrier.account_sid
            )
            synced.updated += 1
            changed.add(row.e164)
    return synced, changed


async def _adopt(tx: Tx, unowned: Sequence[str], carrier_numbers: dict[str, CarrierNumber]) -> list[str]:
    return [
        e164
        for e164 in unowned
        if await numbers.adopt(
            tx,
            ids.new(),
            e164,
            carrier_numbers[e164].sid,
            carrier_numbers[e164].friendly_name,
            list(carrier_numbers[e164].capabilities),
            carrier_numbers[e164].account_sid,
        )
    ]


# --- releasing ----------------------------------------------------------------------------------------------------


async def release(db: Db, carrier: CarrierClient, principal: Principal, id: UUID, request_id: str) -> None:
    """Release a number for good.  Raises NotFound, InvalidState, CarrierError.

    From the first commit on it answers no calls.  If the carrier does not answer, the sweep finishes the release.
    """
    async with db.tenant(principal.org_id) as tx:
        row = await numbers.get(tx, id, lock=True)
        if await numbers.is_busy(tx, id):
            raise InvalidState("The number has a call in progress; release it when the call has ended.")
        await numbers.begin_release(tx, id)
        await append_action(tx, principal.org_id, principal, "releaseNumber", ids.show(Kind.NUMBER, id), (), request_id)
    try:
        await _finish_release(db, carrier, principal.org_id, id, row.carrier_sid)
    except CarrierError as error:
        if is_refusal(error):
            async with db.tenant(principal.org_id) as tx:
                await numbers.cancel_release(tx, id)
        raise


async def _finish_release(db: Db, carrier: CarrierClient, org: UUID, id: UUID, sid: str) -> None:
    await carrier.release_number(sid)
    async with db.tenant(org) as tx:
        if await numbers.delete(tx, id):
            await events.append(tx, org, id, events_pb2.NumberReleasedEvent())


async def finish_abandoned_releases(db: Db, carrier: CarrierClient, older: timedelta) -> int:
    """Finish the releases that have been idle for longer than `older`; return how many."""
    async with db.system() as tx:
        unreleased = {row.id: row for row in await numbers.claim_releases(tx, older)}

    async def finish(id: UUID) -> bool:
        row = unreleased[id]
        await _finish_release(db, carrier, row.org_id, row.id, row.carrier_sid)
        return True

    return await each_row("releases", unreleased, finish)
