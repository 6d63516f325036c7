"""Deletion: all of a call goes, whatever dies meanwhile; nothing else does, and the figures stay."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from control.app import build_worker
from control.calls import reports
from control.retention import deletionlimits, files, jobs, usecases
from hum import ids
from hum.clock import now
from hum.contract.errors import InvalidState, NotFound
from hum.ids import Kind
from hum.objects import files as objects
from hum.objects.files import Files
from hum.settings import ControlSettings
from hum.v1 import events_pb2, runtime_pb2
from storage import (
    call_events,
    calls,
    contact_imports,
    contacts,
    erasures,
    events,
    identity,
    quarantine,
    voicemails,
)
from storage.contact_imports import ImportColumns
from storage.db import Db, Tx
from tests.control.conftest import FakeCarrier, fake_clients
from tests.support import callfacts
from tests.support.waits import patience

CALLER, OTHER = "+13175550142", "+13175550199"
#: What hangs on a call.
TABLES = (
    "calls", "call_streams", "call_turns", "call_tags", "call_search", "call_notes", "call_events", "tool_runs",
    *callfacts.TABLES, "call_stages", "voicemails", "reports_set_aside",
)  # fmt: skip


@dataclass
class World:
    db: Db
    url: str
    settings: ControlSettings
    mine: UUID
    yours: UUID

    @property
    def store(self) -> Files:
        return Files(self.root)

    @property
    def root(self) -> Path:
        return self.settings.recordings_dir

    async def call(self, org: UUID, days_ago: float, *, phone: str = CALLER, status: str = "completed") -> UUID:
        """A call of so long ago with everything that a call can have."""
        id, at = ids.new(), now() - timedelta(days=days_ago)
        ended_at = None if status == "in_progress" else at + timedelta(minutes=2)
        path = f"{ids.show(Kind.ORGANIZATION, org)}/{ids.show(Kind.CALL, id)}"
        streams = (f"{path}.wav", f"{path}.2.wav", f"{path}.40.wav")
        untold = f"{path}.5.wav"  # behind two that are gone
        for name in (*streams, untold, f"{path}-voicemail.wav"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(b"RIFF")
        async with self.db.system() as tx:
            await tx.execute(
                "INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, created_at, answered_at, ended_at)"
                " VALUES ($1, $2, 'inbound', $3, $4, '+13175550100', $5, $5, $6)",
                id, org, status, phone, at, ended_at,
            )  # fmt: skip
            for number, stream in enumerate(streams, 1):
                await tx.execute("INSERT INTO call_streams (org_id, call_id, number, stream_sid, node, recording_path) VALUES ($1, $2, $3, 'MZ', 'm', $4)", org, id, number, stream)  # fmt: skip
            turn = calls.TurnRow(1, "caller", "My number is 5", None, 0, 10, interrupted=False)
            await calls.add_turn(tx, org, id, turn)
            await tx.execute("INSERT INTO call_tags (org_id, call_id, tag, called_at) VALUES ($1, $2, 'vip', $3)", org, id, at)  # fmt: skip
            await tx.execute("INSERT INTO call_notes (id, org_id, call_id, body, author) VALUES ($1, $2, $3, 'a note', 'Ann')", ids.new(), org, id)  # fmt: skip
            await tx.execute("INSERT INTO tool_runs (id, org_id, channel, purpose, call_id, tool_call_id, name, status, arguments) VALUES ($3, $1, 'call', 'agent', $2, 'c', 'x', 'ok', '{}')", org, id, ids.new())  # fmt: skip
            await callfacts.add(tx, org, id)
            await call_events.append(tx, id, "transcript.turn", "{}")
            await voicemails.upsert(tx, ids.new(), org, id, f"{path}-voicemail.wav", 1500)
            await quarantine.add_report(tx, "m", int(id) % 2**60, 0, id, b"My number", "reason")
            await events.append(tx, org, id, events_pb2.CallCompletedEvent(from_e164=phone), at=at)
        return id

    async def number(self, query: str, *arguments: object) -> int:
        async with self.db.system() as tx:
            found: int = await tx.fetchval(f"SELECT count(*) FROM {query}", *arguments)
        return found

    async def hanging_on(self, id: UUID) -> dict[str, int]:
        """How many rows of each table are about a call, and its files."""
        found = {
            name: await self.number(f"{name} WHERE {'id' if name == 'calls' else 'call_id'} = $1", id)
            for name in TABLES
        }
        found["events"] = await self.number("events WHERE subject_id = $1 AND data IS NOT NULL", id)
        return {**found, "files": len(list(self.root.rglob(f"{ids.show(Kind.CALL, id)}*")))}

    async def is_gone(self, id: UUID) -> bool:
        return not any((await self.hanging_on(id)).values())

    async def is_whole(self, id: UUID) -> bool:
        return all((await self.hanging_on(id)).values())

    async def owed(self) -> list[tuple[UUID, UUID]]:
        """The deletions that the sweep finds to be due."""
        await jobs.begin_due_retention(self.db)
        async with self.db.system() as tx:
            return await erasures.unfinished(tx)

    async def audited(self) -> list[tuple[str, list[str]]]:
        async with self.db.system() as tx:
            rows = await tx.fetch("SELECT action, fields FROM audit_log WHERE actor = 'system' ORDER BY id")
        return [(row["action"], row["fields"]) for row in rows]


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    settings = ControlSettings(
        home=tmp_path, worker_idle_seconds=0.05, sweep_seconds=0.2, retention_seconds=0.2, erase_rest=0
    )
    db, mine, yours = await Db.open(database_url), ids.new(), ids.new()
    async with db.system() as tx:
        for org, days in ((mine, 30), (yours, 365)):
            await identity.create_organization(tx, org, "Clinic")
            await tx.execute("UPDATE organizations SET retention_days = $2 WHERE org_id = $1", org, days)
    yield World(db, database_url, settings, mine, yours)
    await db.close()


async def test_what_is_too_old_goes_with_all_that_hangs_on_it_and_nothing_else(world: World) -> None:
    old = [await world.call(world.mine, 31 + n) for n in range(3)]
    kept = [
        await world.call(world.mine, 29),
        await world.call(world.mine, 99, status="in_progress"),
        await world.call(world.yours, 99),
    ]
    ((org, id),) = await world.owed()
    assert org == world.mine
    await jobs.erase(world.db, world.store, world.settings, org, id)
    assert [await world.is_gone(each) for each in old] == [True] * 3
    assert await world.is_whole(kept[0]) and await world.is_whole(kept[2])
    live = await world.hanging_on(kept[1])
    assert live.pop("events") == 0 and all(live.values()), (
        "a live call stays; an event so old has no payload in any case"
    )
    assert await world.audited() == [("erasedByRetention", ["calls=3", "events=7"])]
    assert await world.owed() == []


async def test_an_organization_that_keeps_everything_loses_nothing(world: World) -> None:
    async with world.db.system() as tx:
        await tx.execute("UPDATE organizations SET retention_days = NULL")
    id = await world.call(world.mine, 36_000)
    assert await world.owed() == []
    assert await world.is_whole(id)


async def test_one_that_changes_its_mind_meanwhile_keeps_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletionlimits, "CALLS", 1)
    monkeypatch.setattr(deletionlimits, "STEPS", 1)
    made = [await world.call(world.mine, 40 + n) for n in range(3)]
    ((org, id),) = await world.owed()
    await jobs.erase(world.db, world.store, world.settings, org, id)
    async with world.db.system() as tx:
        await tx.execute("UPDATE organizations SET retention_days = NULL")
    await jobs.erase(world.db, world.store, world.settings, org, id)
    assert [await world.is_gone(each) for each in made] == [False, False, True], "the oldest goes first"
    assert await world.audited() == [("erasedByRetention", ["calls=1", "events=2"])]
    assert await world.number("erasures WHERE ended_at IS NULL") == 0


class Killed(BaseException):
    """The process is gone at this moment; what it had not committed, too."""


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_a_deletion_that_is_killed_anywhere_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """At each commit and at each file that is deleted, just before it or just after."""
    made, kept = [await world.call(world.mine, 31 + n) for n in range(5)], await world.call(world.yours, 31)
    monkeypatch.setattr(deletionlimits, "CALLS", 2)
    real_tenant, real_system, real_remove = world.db.tenant, world.db.system, objects._remove
    steps, deadly = 0, 1

    def died() -> bool:
        nonlocal steps
        steps += 1
        return steps == deadly

    @asynccontextmanager
    async def tenant(org: UUID) -> AsyncIterator[Tx]:
        async with real_tenant(org) as tx:
            yield tx
            if before and died():
                raise Killed
        if not before and died():
            raise Killed

    @asynccontextmanager
    async def system() -> AsyncIterator[Tx]:
        async with real_system() as tx:
            yield tx
            if before and died():
                raise Killed
        if not before and died():
            raise Killed

    def remove(directory: Path, path: str) -> bool:
        if before and died():
            raise Killed
        done = real_remove(directory, path)
        if not before and died():
            raise Killed
        return done

    ((org, id),) = await world.owed()
    monkeypatch.setattr(objects, "_remove", remove)
    deaths = 0
    while True:
        steps, deadly = 0, 1 + deaths % 12
        monkeypatch.setattr(world.db, "tenant", tenant)
        monkeypatch.setattr(world.db, "system", system)
        try:
            await jobs.erase(world.db, world.store, world.settings, org, id)
        except Killed:
            deaths += 1
            assert deaths < 500, "it gets nowhere"
            continue
        finally:
            monkeypatch.setattr(world.db, "tenant", real_tenant)
            monkeypatch.setattr(world.db, "system", real_system)
        if await world.number("erasures WHERE ended_at IS NULL") == 0:
            break
    monkeypatch.setattr(objects, "_remove", real_remove)
    await jobs.delete_files(world.db, world.store)  # what a worker does that is started after the death
    assert deaths > 5
    assert [await world.is_gone(each) for each in made] == [True] * 5
    assert await world.is_whole(kept)
    assert await world.audited() == [("erasedByRetention", ["calls=5", "events=10"])], "once, and all of it"


async def test_a_worker_does_it_by_itself(world: World) -> None:
    import asyncio

    old, stop = [await world.call(world.mine, 31 + n) for n in range(3)], asyncio.Event()
    async with build_worker(world.settings, world.url, fake_clients(FakeCarrier())) as worker:
        task = asyncio.create_task(worker.run(stop))
        async with patience():
            while not await world.audited() or not all([await world.is_gone(each) for each in old]):
                await asyncio.sleep(0.05)
        stop.set()
        await task
    assert len(await world.audited()) == 1


async def test_many_calls_are_deleted_in_bounded_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.db.system() as tx:
        await tx.execute(
            "INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, created_at, ended_at)"
            " SELECT gen_random_uuid(), $1, 'inbound', 'completed', '+1', '+2', now() - interval '40 days', now() - interval '40 days'"
            " FROM generate_series(1, 400)",
            world.mine,
        )
    monkeypatch.setattr(deletionlimits, "STEPS", 3)
    ((org, id),) = await world.owed()
    for left in (250, 100):
        await jobs.erase(world.db, world.store, world.settings, org, id)
        assert await world.number("calls") == left, "a job does its share, and the next one is behind the others'"
        assert await world.number("erasures WHERE ended_at IS NULL") == 1
    await jobs.erase(world.db, world.store, world.settings, org, id)
    assert await world.number("calls") == 0
    assert await world.audited() == [("erasedByRetention", ["calls=400", "events=0"])]
    async with world.db.tenant(org) as tx:
        assert await tx.fetchval("SELECT sum(calls) FROM erased_call_rollups") == 400


async def test_old_events_lose_their_payload_and_are_still_a_place_to_go_on_after(world: World) -> None:
    async with world.db.tenant(world.mine) as tx:
        for days in (50, 40, 3):
            at = now() - timedelta(days=days)
            await events.append(tx, world.mine, world.mine, events_pb2.NumberBlockedEvent(phone_e164=CALLER), at=at)
            await events.append(tx, world.mine, world.mine, events_pb2.CallStartedEvent(from_e164=CALLER), at=at)
    async with world.db.tenant(world.yours) as tx:
        at = now() - timedelta(days=50)
        await events.append(tx, world.yours, world.yours, events_pb2.CallStartedEvent(from_e164=CALLER), at=at)
    async with world.db.system() as tx:
        old = await tx.fetch(
            "SELECT id, public_id FROM events WHERE org_id = $1 AND type = 'call.started' ORDER BY id", world.mine
        )
        await quarantine.add_event(tx, "r", old[0]["id"], CALLER)
    ((org, id),) = await world.owed()
    await jobs.erase(world.db, world.store, world.settings, org, id)
    async with world.db.tenant(world.mine) as tx:
        (listed,) = await events.page(tx, ("0", 0), ["call.started"], 10)
        place = await events.position_of(tx, old[1]["public_id"])
        assert place is not None and [row.public_id for row in await events.page(tx, place, ["call.started"], 10)] == [
            listed.public_id
        ]
        assert await tx.fetchval("SELECT count(*) FROM events WHERE data IS NOT NULL") == 2
    assert await world.number("events WHERE data IS NOT NULL") == 3
    assert await world.number("events_set_aside") == 0, "the reason of a failure may quote the payload"


# --- on request ---------------------------------------------------------------------------------------------------


async def test_a_call_goes_on_request_unless_it_is_live_or_anothers(world: World) -> None:
    id, live, theirs = (
        await world.call(world.mine, 1),
        await world.call(world.mine, 0, status="in_progress"),
        await world.call(world.yours, 1),
    )
    for refused, error in ((live, InvalidState), (theirs, NotFound), (ids.new(), NotFound)):
        with pytest.raises(error):
            async with world.db.tenant(world.mine) as tx:
                await usecases.erase_call(tx, refused)
    async with world.db.tenant(world.mine) as tx:
        await usecases.erase_call(tx, id)
    assert (await world.hanging_on(id))["files"] == 5, "until the sweep"
    assert await jobs.delete_files(world.db, world.store) == 1
    assert await world.is_gone(id) and await world.is_whole(live) and await world.is_whole(theirs)


async def test_a_call_that_was_placed_counts_for_its_limits_for_a_day(world: World) -> None:
    fresh, older = await world.call(world.mine, 0.5), await world.call(world.mine, 2)
    async with world.db.system() as tx:
        await tx.execute("UPDATE calls SET direction = 'outbound'")
    with pytest.raises(InvalidState, match="limits"):
        async with world.db.tenant(world.mine) as tx:
            await usecases.erase_call(tx, fresh)
    async with world.db.tenant(world.mine) as tx:
        await usecases.erase_call(tx, older)
    assert await world.is_whole(fresh)


async def test_a_call_that_was_ordered_long_ago_is_as_old_as_its_end(world: World) -> None:
    id = await world.call(world.mine, 40)
    async with world.db.system() as tx:
        await tx.execute("UPDATE calls SET ended_at = now() - interval '2 days' WHERE id = $1", id)
        await tx.execute("UPDATE organizations SET retention_days = 30")
    async with world.db.tenant(world.mine) as tx:
        assert await erasures.lock_old_calls(tx, now() - timedelta(days=30), 10) == []
        assert await erasures.lock_old_calls(tx, now() - timedelta(days=1), 10) == [id]


async def test_all_of_a_contact_goes_many_calls_by_a_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletionlimits, "CALLS", 2)
    made = [await world.call(world.mine, n) for n in range(1, 6)]
    kept = [await world.call(world.mine, 1, phone=OTHER), await world.call(world.yours, 1)]
    async with world.db.tenant(world.mine) as tx:
        contact = await contacts.create(tx, ids.new(), CALLER, {"name": "Ann"}, None, [])
        await contacts.link_calls(tx, made)
        await events.append(tx, world.mine, contact.id, events_pb2.ContactCreatedEvent(by="Bob"))
    async with world.db.tenant(world.mine) as tx:
        row = await usecases.begin_of_contact(tx, contact.id)
    assert row is not None
    assert await world.number("contacts") == 0
    assert await world.number("call_search WHERE call_id = ANY ($1)", made) == 0, (
        "found by nobody until they are deleted"
    )
    with pytest.raises(NotFound):
        async with world.db.tenant(world.mine) as tx:
            await usecases.begin_of_contact(tx, contact.id)
    async with world.db.tenant(
        world.mine
    ) as tx:  # a backfill meets the number once more, in a call that is still there
        await contacts.create_missing(tx, {CALLER: ids.new()})
    for _ in range(2):  # the job comes twice
        await jobs.erase(world.db, world.store, world.settings, world.mine, row.id)
    assert [await world.is_gone(each) for each in made] == [True] * 5
    assert [await world.is_whole(each) for each in kept] == [True] * 2
    assert await world.number("contacts") == 0
    assert await world.number("erasures WHERE phone_e164 IS NOT NULL") == 0
    assert await world.number("events WHERE subject_id = $1 AND data IS NOT NULL", contact.id) == 0
    assert await world.audited() == [("erasedContact", ["calls=5", "events=10"])]


async def test_a_contact_that_calls_again_meanwhile_keeps_that_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletionlimits, "CALLS", 1)
    made = [await world.call(world.mine, n) for n in (1, 2)]
    async with world.db.tenant(world.mine) as tx:
        contact = await contacts.create(tx, ids.new(), CALLER, {}, None, [])
    async with world.db.tenant(world.mine) as tx:
        row = await usecases.begin_of_contact(tx, contact.id)
    assert row is not None
    again = await world.call(world.mine, -0.0001)
    await jobs.erase(world.db, world.store, world.settings, world.mine, row.id)
    assert [await world.is_gone(each) for each in made] == [True] * 2
    assert await world.is_whole(again)


async def test_a_contact_waits_for_its_live_call_and_for_imports(world: World) -> None:
    live = await world.call(world.mine, 0, status="in_progress")
    async with world.db.tenant(world.mine) as tx:
        contact = await contacts.create(tx, ids.new(), CALLER, {}, None, [])
        csv = f"phone\n{CALLER}\n".encode()
        columns = ImportColumns(["phone"], ["phone_e164"], [], "ymd")
        imported = await contact_imports.create(tx, ids.new(), "Bob", csv, None, columns, dry_run=False)
    with pytest.raises(InvalidState, match="not over"):
        async with world.db.tenant(world.mine) as tx:
            await usecases.begin_of_contact(tx, contact.id)
    async with world.db.system() as tx:
        await tx.execute("UPDATE calls SET status = 'completed', ended_at = now() WHERE id = $1", live)
    with pytest.raises(InvalidState, match="import"):
        async with world.db.tenant(world.mine) as tx:
            await usecases.begin_of_contact(tx, contact.id)
    async with world.db.tenant(world.mine) as tx:
        await contact_imports.end(tx, imported.id, "completed")
        assert await usecases.begin_of_contact(tx, contact.id) is None
    assert await world.number("contacts") == 0 and (await world.hanging_on(live))["calls"] == 0


# --- files --------------------------------------------------------------------------------------------------------


async def test_a_report_that_comes_after_the_deletion_leaves_no_file(world: World) -> None:
    """The media process was cut off, and recorded on: it reports when it is back."""
    id = await world.call(world.mine, 1)
    async with world.db.tenant(world.mine) as tx:
        await usecases.erase_call(tx, id)
    await jobs.delete_files(world.db, world.store)
    path = f"{ids.show(Kind.ORGANIZATION, world.mine)}/{ids.show(Kind.CALL, id)}.wav"
    (world.root / path).write_bytes(b"RIFF")
    recording = runtime_pb2.RecordingStored(path=path, duration_ms=5, size_bytes=4)
    report = runtime_pb2.Report(call_id=ids.show(Kind.CALL, id), seq=9, stream_number=1, recording=recording)
    await reports.apply_batch(world.db, "m", runtime_pb2.ReportBatch(seq=1, reports=[report]))
    assert await jobs.delete_files(world.db, world.store) == 1
    assert await world.is_gone(id)


async def test_files_wait_for_a_folder_that_is_not_there(world: World) -> None:
    id = await world.call(world.mine, 1)
    async with world.db.tenant(world.mine) as tx:
        await usecases.erase_call(tx, id)
    away = world.root.rename(world.root.with_name("unmounted"))
    assert await jobs.delete_files(world.db, world.store) == 0
    assert jobs.FILES_WAIT._value.get() > 0
    away.rename(world.root)
    assert await jobs.delete_files(world.db, world.store) == 1
    assert await world.is_gone(id) and jobs.FILES_WAIT._value.get() == 0


async def test_no_file_elsewhere_is_deleted(world: World) -> None:
    precious = world.root.parent / "precious"
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("keep me")
    world.root.mkdir(exist_ok=True)
    row = erasures.FilesRow(world.mine, ids.new(), ["../precious", str(precious)])
    assert await files.remove(world.store, row) == 0
    assert precious.read_text() == "keep me"


async def test_it_is_forgotten_in_the_end_that_a_call_was_deleted(world: World) -> None:
    id = await world.call(world.mine, 1)
    async with world.db.tenant(world.mine) as tx:
        await usecases.erase_call(tx, id)
    async with world.db.system() as tx:
        await tx.execute("UPDATE erased_calls SET erased_at = $1", datetime(2020, 1, 1, tzinfo=now().tzinfo))
    await jobs.begin_due_retention(world.db)
    assert await world.number("erased_calls") == 1, "its files are not gone yet"
    await jobs.delete_files(world.db, world.store)
    await jobs.begin_due_retention(world.db)
    assert await world.number("erased_calls") == 0


async def test_whatever_belongs_to_a_call_goes_with_it_by_an_index(world: World) -> None:
    """A table that gets a reference to calls must say what a deletion does to it, and not be read whole for that."""
    async with world.db.system() as tx:
        rows = await tx.fetch("""
            SELECT c.conrelid::regclass::text AS name, c.confdeltype::text AS deletes,
                   EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]) AS indexed
              FROM pg_constraint c WHERE c.contype = 'f' AND c.confrelid = 'calls'::regclass
        """)
    assert {row["name"] for row in rows} > {"call_turns", "voicemails", "tool_runs"}
    assert [row["name"] for row in rows if row["deletes"] not in ("c", "n") or not row["indexed"]] == []


def test_counts_are_words_without_contents() -> None:
    assert json.dumps(deletionlimits.counted(calls=3, events=0, messages=0)) == '["calls=3", "events=0"]'
    assert deletionlimits.counted(calls=0, events=2, messages=1) == ("calls=0", "events=2", "messages=1")
