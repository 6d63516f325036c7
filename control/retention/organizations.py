"""The deletion of an organization: access ends at once; any process may continue the deletion of its rows and files, in steps."""

from dataclasses import asdict
from uuid import UUID

from control.audit.usecases import OPERATOR, append_operator_action
from control.base.subscriptions import Payments
from control.billing.subscriptionstate import OVER
from control.billing.usecases import close_checkout
from control.retention import deletionlimits, files, usecases
from control.rows import each_row
from hum import ids
from hum.clock import monotonic_ms
from hum.contract.errors import FieldError, InvalidRequest, InvalidState, NotFound
from hum.ids import Kind
from hum.objects.files import Files
from hum.observe.logs import log
from storage import deleted_organizations, revocations
from storage.db import Db, Tx
from storage.deleted_organizations import DeletionRow

LOG = log(__name__)


class OpenCheckout(InvalidState):
    """Only an open checkout hinders the deletion of the organization."""


async def delete(db: Db, store: Files, payments: Payments | None, org: UUID, name: str, seconds: float) -> DeletionRow:
    """Delete an organization, as an operator; a repetition continues the deletion.  Return its progress after `seconds`.

    `name` confirms the deletion.  Raises NotFound, InvalidRequest for another name, InvalidState while something hinders
    it, PaymentError.
    """
    try:
        await _begin(db, org, name)
    except OpenCheckout:
        if not await close_checkout(db, payments, org):
            raise
        await _begin(db, org, name)
    return await resume(db, store, org, seconds)


async def continue_deletions(db: Db, store: Files, seconds: float) -> int:
    """Continue the open deletions; return how many have finished."""
    async with db.system() as tx:
        open_deletions = await deleted_organizations.unfinished(tx)

    async def go_on(org: UUID) -> bool:
        return (await resume(db, store, org, seconds)).is_done

    return await each_row("deletions of organizations", open_deletions, go_on)


async def resume(db: Db, store: Files, org: UUID, seconds: float) -> DeletionRow:
    """Continue a deletion, a batch per transaction; return its progress.

    It returns when it is finished, when only files are left that can't be deleted now, or after `seconds`.
    """
    began_ms = monotonic_ms()
    while monotonic_ms() - began_ms < seconds * 1000:
        progressed = await _erase_calls(db, org) or await _delete_rows(db, org)
        swept = await files.delete_owed_files(db, store, deletionlimits.FILES)
        if not progressed and (await _end(db, org) or not swept):
            break
    async with db.system() as tx:
        row = await deleted_organizations.get(tx, org)
    assert row is not None, "it has begun"
    return row


async def require_not_deleted(tx: Tx, org: UUID) -> None:
    """Check, as the system, that an organization is not being deleted.  Raises InvalidState."""
    row = await deleted_organizations.get(tx, org)
    if row is not None and not row.is_done:
        raise InvalidState("The organization is being deleted.")


async def _begin(db: Db, org: UUID, name: str) -> None:
    async with db.system() as tx:
        if await deleted_organizations.get(tx, org) is None:
            await _begin_in(tx, org, name)


async def _begin_in(tx: Tx, org: UUID, name: str) -> None:
    if (actual_name := await deleted_organizations.lock(tx, org)) is None:
        raise NotFound("There is no such organization.")
    if name != actual_name:
        raise InvalidRequest([FieldError("name", "is not the organization's name")])
    facts = await deleted_organizations.hindrances(tx, org, sorted(OVER), deletionlimits.LATE_NOTICE)
    if (reason := deletionlimits.hindrance(**asdict(facts))) is not None:
        raise OpenCheckout(reason) if reason == deletionlimits.OPEN_CHECKOUT else InvalidState(reason)
    for principal in await deleted_organizations.begin(tx, org, OPERATOR):
        await revocations.publish(tx, principal)
    public_id = ids.show(Kind.ORGANIZATION, org)
    await append_operator_action(tx, org, "deleteOrganization", public_id)
    LOG.warning("an operator deletes an organization", organization_id=public_id)


async def _erase_calls(db: Db, org: UUID) -> int:
    """Delete a batch of calls, which owe their files' deletion; return how many."""
    async with db.tenant(org) as tx:
        call_ids = await deleted_organizations.lock_calls(tx, deletionlimits.CALLS)
        if call_ids:
            await usecases.erase(tx, call_ids)
    async with db.system() as tx:
        await deleted_organizations.count(tx, org, len(call_ids))
    return len(call_ids)


async def _delete_rows(db: Db, org: UUID) -> int:
    """Delete a batch of rows from the first tables that have any; return how many."""
    deleted = 0
    async with db.system() as tx:
        if not await deleted_organizations.lock_open(tx, org):
            return 0
        for table in await deleted_organizations.tables(tx):
            if table in deleted_organizations.FILE_TABLES and await deleted_organizations.has_files(tx, org):
                break
            deleted += await deleted_organizations.delete_rows(tx, org, table, deletionlimits.ROWS - deleted)
            if deleted >= deletionlimits.ROWS:
                break
        await deleted_organizations.count(tx, org, deleted)
    return deleted


async def _end(db: Db, org: UUID) -> bool:
    async with db.system() as tx:
        if not await deleted_organizations.lock_open(tx, org):
            return True
        if await deleted_organizations.has_files(tx, org):
            return False
        await deleted_organizations.end(tx, org)
    LOG.warning("an organization is deleted", organization_id=ids.show(Kind.ORGANIZATION, org))
    return True
