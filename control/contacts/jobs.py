"""Jobs on contacts: carrier lookups, indexing of their calls under the current name, backfills from past calls."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from prometheus_client import Counter

from control import jobs
from control.clients.twilio import Lookup, Lookups
from control.contacts import carrierlookups, usecases
from control.usage import otherentries as usage
from hum import ids
from hum.contract.errors import CarrierBusy, CarrierError, NotFound
from hum.contract.validation import bad_e164
from hum.observe.logs import log
from storage import contacts
from storage.db import Db

LOG = log(__name__)
LOOKUPS = Counter("hum_contact_lookups_total", "Contacts looked up at the carrier", ["how"])
#: How long a worker's claim on a lookup lasts; then another worker may claim it.
CLAIM = timedelta(minutes=1)
BATCH = 500
#: A cursor above all calls.
NEWEST = (datetime.max.replace(tzinfo=UTC), UUID(int=(1 << 128) - 1))


async def look_up_contact(db: Db, carrier: Lookups, keep: timedelta, most_a_day: int, org: UUID, id: UUID) -> bool:
    """Look a contact up at the carrier, unless its last lookup is younger than `keep` (zero: never look up); return
    False if no lookup was stored.  An organization has at most `most_a_day`.

    A failed lookup is repeated when the contact next calls, not before: it is not urgent.  Raises CarrierBusy.
    """
    async with db.tenant(org) as tx:
        number = await contacts.claim_lookup(tx, id, keep, CLAIM) if keep else None
        if number is not None and not await contacts.count_lookup(tx, org, most_a_day):
            LOOKUPS.labels("too_many").inc()
            await contacts.release_lookup(tx, id)
            number = None
    if number is None:
        return False
    try:
        answer = await carrier.look_up(number)
    except CarrierBusy:
        LOOKUPS.labels("busy").inc()
        async with db.tenant(org) as tx:
            await contacts.release_lookup(tx, id)
        raise  # the worker retries later
    except CarrierError as error:
        LOOKUPS.labels("failed").inc()
        LOG.warning("could not look up a contact at the carrier", error=str(error)[:300])
        return False
    LOOKUPS.labels("answered" if answer else "unknown").inc()
    async with db.tenant(org) as tx:
        if answer is not None:
            await usage.record_lookup(tx, org)
        try:
            before = await contacts.get(tx, id, lock=True)
        except NotFound:
            return False  # deleted meanwhile
        await contacts.record_lookup(tx, id, from_lookup(answer) if answer else {})
        await usecases.index_if_renamed(tx, org, before, await contacts.get(tx, id))
    return True


def from_lookup(answer: Lookup) -> dict[str, str]:
    """Convert a lookup's answer to a contact's fields; the registered name serves until a better source has one."""
    fields = {
        "name": answer.caller_name,
        "caller_name": answer.caller_name,
        "carrier": answer.carrier,
        "line_type": answer.line_type,
    }
    return {name: text[:200] for name, text in fields.items() if text}


async def index_contact(db: Db, org: UUID, id: UUID) -> None:
    """Index all calls of a contact under its current name."""
    cursor: tuple[datetime, UUID] | None = NEWEST
    while cursor is not None:
        async with db.tenant(org) as tx:
            cursor = await contacts.index_calls(tx, id, cursor, BATCH)


async def backfill_contacts(db: Db, org: UUID, id: UUID) -> None:
    """Create contacts from past calls, then enqueue their lookups.  Each batch commits with its progress: a backfill
    that is killed resumes after its last batch, and two jobs of the same backfill alternate.
    """
    while await _next_batch(db, org, id):
        pass


async def _next_batch(db: Db, org: UUID, id: UUID) -> bool:
    """Run one batch; return False at the end."""
    async with db.tenant(org) as tx:
        backfill = await contacts.lock_backfill(tx, id)
        if backfill is None:
            return False
        if calls := await contacts.callers(tx, backfill, BATCH):
            open_calls = [call for call in calls if call.contact_id is None and not bad_e164(call.contact_e164)]
            created = await contacts.create_missing(tx, {call.contact_e164: ids.new() for call in open_calls})
            linked = await contacts.link_calls(tx, [call.id for call in open_calls])
            await contacts.advance_backfill(tx, id, calls, created, linked)
            return True
        pending = await contacts.never_looked_up(tx, backfill.after_contact, BATCH) if backfill.lookup else []
        if not pending:
            await contacts.end_backfill(tx, id)
            return False
        await jobs.enqueue_all(tx, carrierlookups.LOOK_UP_CONTACT, org, pending)
        await contacts.advance_lookups(tx, id, pending)
        return True
