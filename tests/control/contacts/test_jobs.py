"""Jobs on contacts: lookups at the carrier, indexing calls under the current name, backfills from past calls."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from control import jobs as owed
from control.calls import carriersteps
from control.calls.carriersteps import StepContext
from control.clients.twilio import Lookup, Twilio
from control.contacts import carrierlookups, jobs
from control.flows.choices import Choices
from control.voicemail.mailboxprompts import Mailboxes
from hum import ids
from hum.contract.errors import CarrierBusy, CarrierError
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2
from sandbox.twilio import Carrier, Listing
from storage import call_records, contacts, identity
from storage.call_records import CallFilter, Query
from storage.db import Db
from tests.control.places import call_admission

CALLER, OURS = "+13175550199", "+13175550100"
MONTH, MANY = timedelta(days=30), 1_000
MAILBOXES = Mailboxes(Choices(("marin",), ("m",)))


@dataclass
class World:
    db: Db
    org: UUID
    number: UUID = field(default_factory=ids.new)

    async def ring(self, caller: str = CALLER, keep: timedelta = MONTH) -> None:
        asked = runtime_pb2.RouteCallRequest(call_sid=f"CA{ids.new().hex}", from_e164=caller, to_e164=OURS)
        await carriersteps.route_inbound(self.db, StepContext(call_admission(self.db), MAILBOXES, 20), asked, keep)

    async def past_calls(self, count: int, *, numbers: int) -> None:
        """Calls of so many numbers, none of which has a contact."""
        async with self.db.system() as tx:
            await tx.execute(
                """INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, created_at)
                   SELECT gen_random_uuid(), $1, 'inbound', 'completed', '+1317555' || lpad((n % $3)::text, 4, '0'), $2,
                          now() - make_interval(mins => n)
                     FROM generate_series(1, $4) AS n""",
                self.org,
                OURS,
                numbers,
                count,
            )

    async def owed(self, job: str) -> list[UUID]:
        """The rows of the waiting jobs, which are removed."""
        async with self.db.system() as tx:
            rows = await tx.fetch("DELETE FROM pgqueuer WHERE entrypoint = $1 RETURNING payload", job)
            parked = await tx.fetch("DELETE FROM parked_jobs WHERE job = $1 RETURNING row_id", job)
        return [owed.read_payload(row["payload"])[1] for row in rows] + [row["row_id"] for row in parked]

    async def contacts(self) -> list[contacts.ContactRow]:
        async with self.db.tenant(self.org) as tx:
            return await contacts.page(tx, None, 100)

    async def found(self, q: str) -> int:
        async with self.db.tenant(self.org) as tx:
            return len(await call_records.search(tx, Query(q), CallFilter(), None, 100))

    async def backfill(self, *, lookup: bool = True) -> UUID:
        async with self.db.tenant(self.org) as tx:
            return (await contacts.begin_backfill(tx, ids.new(), lookup=lookup)).id

    async def progress(self) -> Mapping[str, Any]:
        async with self.db.tenant(self.org) as tx:
            row = await contacts.latest_backfill(tx)
        return {name: getattr(row, name) for name in ("calls_seen", "contacts_created", "calls_linked", "lookups")}


@dataclass
class Directory:
    answer: Lookup | Exception | None = field(default_factory=lambda: Lookup("ACME INC", "Wireless", "mobile"))
    asked: list[str] = field(default_factory=list)

    async def look_up(self, e164: str) -> Lookup | None:
        self.asked.append(e164)
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    db = await Db.open(database_url, size=6)
    world = World(db, ids.new())
    async with db.system() as tx:
        await identity.create_organization(tx, world.org, "Clinic")
        await tx.execute(
            "INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities) VALUES ($1, $2, $3, 'PN1', '{voice}')",
            world.number,
            world.org,
            OURS,
        )
    yield world
    await db.close()


# --- lookups ------------------------------------------------------------------------------------------------------


async def test_a_caller_is_looked_up_once_and_off_the_calls_path(world: World) -> None:
    directory = Directory()
    for _ in range(3):
        await world.ring()
    waiting = await world.owed(carrierlookups.LOOK_UP_CONTACT.name)
    assert (len(waiting), len(set(waiting)), directory.asked) == (3, 1, [])
    done = await asyncio.gather(
        *(jobs.look_up_contact(world.db, directory, MONTH, MANY, world.org, id) for id in waiting)
    )
    assert (sorted(done), directory.asked) == ([False, False, True], [CALLER])
    (contact,) = await world.contacts()
    assert (contact.name, contact.caller_name, contact.carrier, contact.line_type) == (
        "ACME INC",
        "ACME INC",
        "Wireless",
        "mobile",
    )
    assert contact.looked_up_at is not None
    await world.ring()
    assert await world.owed(carrierlookups.LOOK_UP_CONTACT.name) == [], "the answer is recent enough"
    async with world.db.system() as tx:
        await tx.execute("UPDATE contacts SET looked_up_at = now() - interval '31 days'")
    await world.ring()
    assert await world.owed(carrierlookups.LOOK_UP_CONTACT.name) == [contact.id]


async def test_of_many_callers_so_many_a_day_are_looked_up(world: World) -> None:
    directory = Directory()
    for n in range(6):
        await world.ring(f"+1317555030{n}")
    owed = await world.owed(carrierlookups.LOOK_UP_CONTACT.name)
    done = [await jobs.look_up_contact(world.db, directory, MONTH, 4, world.org, id) for id in owed]
    assert done == [True] * 4 + [False] * 2 and len(directory.asked) == 4


async def test_nobody_is_looked_up_when_that_is_off_blocked_or_anonymous(world: World) -> None:
    async with world.db.system() as tx:
        await tx.execute("INSERT INTO blocklist (org_id, phone_e164) VALUES ($1, '+13175550666')", world.org)
    await world.ring("+13175550666")
    await world.ring("anonymous")
    await world.ring(keep=timedelta(0))
    assert await world.owed(carrierlookups.LOOK_UP_CONTACT.name) == []
    directory, id = Directory(), (await world.contacts())[0].id
    assert not await jobs.look_up_contact(world.db, directory, timedelta(0), MANY, world.org, id)
    assert directory.asked == []


async def test_a_carrier_that_fails_is_not_pressed(world: World) -> None:
    await world.ring()
    (id,) = await world.owed(carrierlookups.LOOK_UP_CONTACT.name)
    directory = Directory(CarrierError("away"))
    before = jobs.LOOKUPS.labels("failed")._value.get()
    assert not await jobs.look_up_contact(world.db, directory, MONTH, MANY, world.org, id)
    assert not await jobs.look_up_contact(world.db, directory, MONTH, MANY, world.org, id)
    assert (len(directory.asked), jobs.LOOKUPS.labels("failed")._value.get() - before) == (1, 1)
    (contact,) = await world.contacts()
    assert (contact.name, contact.looked_up_at) == (None, None)
    async with world.db.system() as tx:
        await tx.execute("UPDATE contacts SET lookup_claimed_at = now() - interval '2 minutes'")
    directory.answer = None  # a number that the carrier does not know
    assert await jobs.look_up_contact(world.db, directory, MONTH, MANY, world.org, id)
    (contact,) = await world.contacts()
    assert (contact.name, contact.looked_up_at is not None) == (None, True)


async def test_a_carrier_that_is_asked_too_often_is_asked_again_later(world: World) -> None:
    await world.ring()
    (id,) = await world.owed(carrierlookups.LOOK_UP_CONTACT.name)
    directory = Directory(CarrierBusy(7))
    with pytest.raises(CarrierBusy) as busy:
        await jobs.look_up_contact(world.db, directory, MONTH, MANY, world.org, id)
    assert busy.value.retry_after_seconds == 7
    directory.answer = Directory().answer
    assert await jobs.look_up_contact(world.db, directory, MONTH, MANY, world.org, id), "nobody holds the claim"
    assert (await world.contacts())[0].looked_up_at is not None


async def test_a_contact_that_is_gone_is_nobody(world: World) -> None:
    await world.ring()
    (id,) = await world.owed(carrierlookups.LOOK_UP_CONTACT.name)

    class Deleting(Directory):
        async def look_up(self, e164: str) -> Lookup | None:
            async with world.db.tenant(world.org) as tx:
                await contacts.delete(tx, id)
            return await super().look_up(e164)

    assert not await jobs.look_up_contact(world.db, Deleting(), MONTH, MANY, world.org, id)
    assert not await jobs.look_up_contact(world.db, Directory(), MONTH, MANY, world.org, id)
    assert await world.contacts() == []


async def test_the_real_wire(world: World) -> None:
    account = "AC" + "2" * 32
    async with Carrier.serve(account_sid=account, auth_token="t") as carrier:
        carrier.directory.listings[CALLER] = Listing("ACME INC", "BUSINESS", "Verizon", "landline")
        twilio = Twilio(
            ControlSettings(twilio_account_sid=account, twilio_auth_token="t", twilio_api_base_url=carrier.url), 5
        )
        await world.ring()
        (id,) = await world.owed(carrierlookups.LOOK_UP_CONTACT.name)
        assert await jobs.look_up_contact(world.db, twilio, MONTH, MANY, world.org, id)
        await twilio.close()
        assert carrier.directory.lookups == [CALLER]
    (contact,) = await world.contacts()
    assert contact.said_by_lookup == {
        "name": "ACME INC",
        "caller_name": "ACME INC",
        "carrier": "Verizon",
        "line_type": "landline",
    }


async def test_calls_are_found_by_their_contacts_present_name(world: World) -> None:
    for _ in range(3):
        await world.ring()
    assert (await world.found("acme"), await world.found("5550199")) == (0, 3)
    (id, *_) = await world.owed(carrierlookups.LOOK_UP_CONTACT.name)
    await jobs.look_up_contact(world.db, Directory(), MONTH, MANY, world.org, id)
    assert await world.owed(carrierlookups.INDEX_CONTACT.name) == [id]
    jobs.BATCH, before = 2, jobs.BATCH
    await jobs.index_contact(world.db, world.org, id)
    jobs.BATCH = before
    assert await world.found("Acme inc") == 3
    await world.ring()
    assert await world.found("acme") == 4, "a new call has it at once"
    async with world.db.tenant(world.org) as tx:
        await contacts.delete(tx, id)
    assert await world.found("acme") == 0


# --- the backfill -------------------------------------------------------------------------------------------------


async def test_past_calls_get_contacts_and_these_are_looked_up(world: World) -> None:
    await world.past_calls(1200, numbers=7)
    async with world.db.system() as tx:
        await tx.execute("UPDATE calls SET from_e164 = 'anonymous' WHERE from_e164 LIKE '%0000'")
    id = await world.backfill()
    await jobs.backfill_contacts(world.db, world.org, id)
    anonymous = len(range(7, 1201, 7))
    assert await world.progress() == {
        "calls_seen": 1200,
        "contacts_created": 6,
        "calls_linked": 1200 - anonymous,
        "lookups": 6,
    }
    assert sorted(await world.owed(carrierlookups.LOOK_UP_CONTACT.name)) == sorted(
        row.id for row in await world.contacts()
    )
    again = await world.backfill(lookup=False)
    assert again != id, "the first has ended"
    await jobs.backfill_contacts(world.db, world.org, again)
    await jobs.backfill_contacts(world.db, world.org, again)
    assert (await world.progress())["contacts_created"] == 0
    assert await world.owed(carrierlookups.LOOK_UP_CONTACT.name) == []


async def test_killed_anywhere_it_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BATCH", 100)
    await world.past_calls(1000, numbers=50)
    id = await world.backfill()
    steps = 0
    while True:
        killed = asyncio.create_task(jobs.backfill_contacts(world.db, world.org, id))
        await asyncio.sleep(0.003 * steps)  # at an arbitrary point
        killed.cancel()
        steps += 1
        try:
            await killed
        except (asyncio.CancelledError, asyncpg.InterfaceError):
            continue
        break
    assert await world.progress() == {"calls_seen": 1000, "contacts_created": 50, "calls_linked": 1000, "lookups": 50}
    assert len(await world.owed(carrierlookups.LOOK_UP_CONTACT.name)) == 50


async def test_two_take_turns(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BATCH", 50)
    await world.past_calls(1000, numbers=30)
    id, same = await world.backfill(), await world.backfill()
    assert id == same
    await asyncio.gather(*(jobs.backfill_contacts(world.db, world.org, id) for _ in range(3)))
    assert await world.progress() == {"calls_seen": 1000, "contacts_created": 30, "calls_linked": 1000, "lookups": 30}
