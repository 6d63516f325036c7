"""Contacts and their search where SQL decides: the migration of existing rows, the search functions, and races."""

import asyncio
from uuid import UUID

from hum import ids
from hum.clock import now
from storage import call_events, calls, contacts, voicemails
from storage.calls import NewCall
from storage.contacts import ImportedContact
from tests.storage.conftest import Two

ORG = UUID(int=1)


async def test_the_door_knows_one_organization(two: Two) -> None:
    async with two.db.tenant(two.mine) as tx:
        await contacts.create(tx, ids.new(), "+13175550199", {"name": "Ann"}, None, ["vip"])
    for org, count in ((two.mine, 1), (two.yours, 0)):
        async with two.db.tenant(org) as tx:
            assert len(await contacts.search(tx, "ann", None, None, None, 5)) == count
            assert len(await contacts.search(tx, "ann", None, "vip", None, 5)) == count
            assert len(await contacts.page(tx, None, 5, "vip")) == count
    async with two.db.authenticated(b"nobody's") as (tx, _):
        assert await tx.fetchval("SELECT count(*) FROM hum.search_contacts('ann', NULL, NULL, NULL, 5)") == 0
    async with two.db.system() as tx:
        assert await tx.fetchval("SELECT has_function_privilege('hum_app', 'hum.index_contact()', 'EXECUTE')") is False


async def test_a_caller_an_import_and_a_person_at_once_make_one(two: Two) -> None:
    number = "+13175550199"

    async def call() -> None:
        async with two.db.system() as tx:
            await contacts.find_or_create(tx, ids.new(), two.mine, number, "ACME INC")

    async def take() -> None:
        async with two.db.tenant(two.mine) as tx:
            rows = [
                ImportedContact(f"+1317555019{n}", {"email": "a@x.example"}, None, ["vip"]) for n in range(9, 0, -1)
            ]
            await contacts.import_contacts(tx, rows, dry_run=False)

    await asyncio.gather(*(each() for each in (call, take) * 10))
    async with two.db.tenant(two.mine) as tx:
        (row,) = await contacts.search(tx, "", "3175550199", None, None, 5)
        assert (row.name, row.email, row.tags) == ("ACME INC", "a@x.example", ["vip"])
        assert len(await contacts.page(tx, None, 50)) == 9


async def test_a_voicemail_is_stored_once_and_told(two: Two) -> None:
    call = ids.new()
    async with two.db.system() as tx:
        await tx.execute(
            """INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164)
               VALUES ($1, $2, 'inbound', 'completed', '+13175550199', '+13175550100')""",
            call,
            two.mine,
        )
        stored = [await voicemails.upsert(tx, ids.new(), two.mine, call, "v.wav", 1200) for _ in range(2)]
        assert stored[0] is not None and stored[1] is None
        told = await tx.fetch("SELECT data->>'call_id' AS call FROM events WHERE type = 'voicemail.received'")
        assert [row["call"] for row in told] == [ids.show(ids.Kind.CALL, call)]
    async with two.db.tenant(two.mine) as tx:
        row = await voicemails.of_call(tx, call)
        assert row is not None and (row.duration_ms, row.heard_at) == (1200, None)
        assert (await voicemails.mark_heard(tx, row.id, "Ann", heard=True)).heard_by == "Ann"
        assert (await voicemails.mark_heard(tx, row.id, "Bob", heard=True)).heard_by == "Ann"
        assert [each.id for each in await voicemails.page(tx, True, None, 5)] == [row.id]
        assert await voicemails.page(tx, False, None, 5) == []


async def test_who_changes_a_contact_delays_none_of_its_calls_reports(two: Two) -> None:
    """The second change of a row in one transaction checks its keys again; with the contact's row locked as if for deletion,
    that waited for whoever had the contact, and who had the contact waited for the call.
    """
    contact, call = ids.new(), ids.new()
    async with two.db.tenant(two.mine) as tx:
        await contacts.create(tx, contact, "+13175550199", {}, None, [])
    async with two.db.system() as tx:
        await calls.create(
            tx, NewCall(call, two.mine, "CA1", "inbound", "ringing", "+1", "+2", None, None, None, contact)
        )
    async with two.db.tenant(two.mine) as changes, two.db.system() as reports:
        await contacts.get(changes, contact, lock=True)
        await calls.lock(reports, call)
        await reports.execute("SET LOCAL lock_timeout = '200ms'")
        await calls.answer(reports, call, now())
        await call_events.append(reports, call, "state", "{}", now())
