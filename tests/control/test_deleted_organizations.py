"""`hum admin delete-org`: nothing of an organization is left, and nothing of its neighbours' is touched."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import grpc
import pytest
from grpc import aio

from control.calls import filecheck, reports
from control.retention import files, organizations
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.objects.files import Files
from hum.v1 import identity_pb2, identity_pb2_grpc, options_pb2, runtime_pb2, runtime_pb2_grpc
from storage import deleted_organizations
from storage.db import Db
from tests.control.conftest import Plane
from tests.control.numbers.desk import Desk
from tests.control.test_hang_up import ringing

COLUMNS = """
    SELECT c.relname::text AS table, a.attname::text AS column, format_type(a.atttypid, NULL) AS type,
           NOT a.attnotnull OR a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' AS optional
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = c.oid AND o.attname = 'org_id')
     ORDER BY 1, a.attnum
"""
CHECKS = """
    SELECT conrelid::regclass::text AS table, conname::text AS name FROM pg_constraint
     WHERE contype = 'c' AND connamespace = 'public'::regnamespace AND conislocal
"""
#: A session is a person's; it leaves the organization.
SESSIONS = "sessions"


async def organization(plane: Plane, name: str) -> UUID:
    admin = runtime_pb2_grpc.AdminServiceStub(plane.channel)
    request = runtime_pb2.CreateOrganizationRequest(name=name, owner_email=f"{name.lower()}@a.example")
    return ids.require(Kind.ORGANIZATION, (await admin.CreateOrganization(request, metadata=plane.node("admin"))).id)


def made_up(org: UUID, table: str, column: str, type: str) -> object:
    """Some value, which no other organization has."""
    unique = uuid5(org, table + column)
    values: Mapping[str, object] = {
        "uuid": unique,
        "text": str(unique),
        "bytea": unique.bytes,
        "boolean": False,
        "integer": unique.int % 1_000_000,
        "smallint": 1,
        "bigint": unique.int % (1 << 60),
        "numeric": 1,
        "real": 1.0,
        "double precision": 1.0,
        "date": now().date(),
        "timestamp with time zone": now(),
        "json": "{}",
        "jsonb": "{}",
        "tsvector": "",
        "interval": timedelta(1),
        "tstzrange": asyncpg.Range(now(), now() + timedelta(1)),
    }
    return [] if type.endswith("[]") else values[type]


async def fill(connection: Any, org: UUID) -> set[str]:
    """A row of the organization in every table that has one; the names of these tables."""
    tables: dict[str, dict[str, object]] = {}
    for row in await connection.fetch(COLUMNS):
        found = tables.setdefault(row["table"], {})
        if row["column"] == "org_id":
            found["org_id"] = org
        elif not row["optional"]:
            found[row["column"]] = made_up(org, row["table"], row["column"], row["type"])
    for table, values in tables.items():
        names = ", ".join(f'"{name}"' for name in values)
        places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        await connection.execute(
            f"INSERT INTO {table} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING", *values.values()
        )
    return set(tables)


async def counted(connection: Any, tables: set[str], org: UUID) -> dict[str, int]:
    return {
        table: await connection.fetchval(f"SELECT count(*) FROM {table} WHERE org_id = $1", org)
        for table in sorted(tables)
    }


async def test_no_row_is_left_in_any_table_and_no_neighbours_row_is_gone(plane: Plane) -> None:
    plane.settings.recordings_dir.mkdir(parents=True, exist_ok=True)
    mine, yours = await organization(plane, "Mine"), await organization(plane, "Yours")
    connection = await asyncpg.connect(plane.control.db.url)
    try:
        for row in await connection.fetch(CHECKS):
            await connection.execute(f"ALTER TABLE {row['table']} DROP CONSTRAINT {row['name']}")
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            for org in (mine, yours):
                tables = await fill(connection, org)
            await connection.execute("UPDATE billing_checkouts SET ended_at = now()")
        before, neighbours = await counted(connection, tables, mine), await counted(connection, tables, yours)
        assert len(before) > 90 and all(before.values()), (
            f"empty: {[name for name, count in before.items() if not count]}"
        )
        deleted = await organizations.delete(plane.control.db, Files.of(plane.settings), None, mine, "Mine", 60)
        assert deleted.is_done
        assert {name: count for name, count in (await counted(connection, tables, mine)).items() if count} == {}
        left = await counted(connection, tables, yours)
        # Files that a neighbour owed were deleted, which the sweep would have done.
        assert left | {"erased_media": 1} == neighbours
        # What is left is that it was deleted, by whom.
        known = await connection.fetch(
            "SELECT id, name, actor, ended_at IS NOT NULL AS done FROM deleted_organizations"
        )
        assert [tuple(each) for each in known] == [(mine, "Mine", "operator", True)]
        assert await connection.fetchval("SELECT count(*) FROM sessions") == 2
    finally:
        await connection.close()


async def test_an_audit_log_goes_with_its_organization_alone(plane: Plane) -> None:
    org = await organization(plane, "Mine")
    db: Db = plane.control.db
    async with db.system() as tx:
        assert await tx.fetchval("SELECT hum.delete_audit_of($1, 'audit_log', 100)", org) == 0, (
            "it is not being deleted"
        )
        assert await tx.fetchval("SELECT count(*) FROM audit_log WHERE org_id = $1", org) == 1


async def test_what_is_refused_and_what_ends_at_once(plane: Plane) -> None:
    admin = runtime_pb2_grpc.AdminServiceStub(plane.channel)
    desk = Desk(plane, await plane.tenant("Clinic"))
    me = await identity_pb2_grpc.IdentityServiceStub(plane.channel).GetMe(
        identity_pb2.GetMeRequest(), metadata=desk.who
    )
    call = await ringing(desk)
    request = runtime_pb2.DeleteOrganizationRequest(organization_id=me.organization.id, name="clinic")
    for name, code, told in (
        ("clinic", grpc.StatusCode.INVALID_ARGUMENT, "name"),
        ("Clinic", grpc.StatusCode.FAILED_PRECONDITION, "live call"),
    ):
        request.name = name
        with pytest.raises(aio.AioRpcError) as refused:
            await admin.DeleteOrganization(request, metadata=plane.node("admin"))
        assert refused.value.code() == code and told in str(refused.value.details()) + str(
            refused.value.trailing_metadata()
        )
    with pytest.raises(aio.AioRpcError):
        await admin.DeleteOrganization(request, metadata=desk.who)
    async with plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET status = 'completed', ended_at = now() WHERE id = $1", call)
    answer = await admin.DeleteOrganization(request, metadata=plane.node("admin"))
    assert answer.done and list(answer.numbers) and not plane.carrier.released
    with pytest.raises(aio.AioRpcError) as unknown:
        await identity_pb2_grpc.IdentityServiceStub(plane.channel).GetMe(identity_pb2.GetMeRequest(), metadata=desk.who)
    assert unknown.value.code() == grpc.StatusCode.UNAUTHENTICATED
    # Asked again, it is as before; and its numbers are anybody's.
    assert await admin.DeleteOrganization(request, metadata=plane.node("admin")) == answer
    other = await organization(plane, "Other")
    await admin.AssignNumber(
        runtime_pb2.AssignNumberRequest(organization_id=ids.show(Kind.ORGANIZATION, other), e164=answer.numbers[0]),
        metadata=plane.node("admin"),
    )


async def test_a_deletion_that_was_broken_off_is_carried_on(plane: Plane) -> None:
    org = await organization(plane, "Mine")
    db, store = plane.control.db, Files.of(plane.settings)
    assert not (await organizations.delete(db, store, None, org, "Mine", 0)).is_done
    assert await organizations.continue_deletions(db, store, 60) == 1
    assert (await organizations.delete(db, store, None, org, "Mine", 0)).is_done


async def test_what_is_being_deleted_gets_no_key_and_no_number(plane: Plane) -> None:
    admin = runtime_pb2_grpc.AdminServiceStub(plane.channel)
    org = await organization(plane, "Mine")
    shown, who = ids.show(Kind.ORGANIZATION, org), plane.node("admin")
    assert not (await organizations.delete(plane.control.db, Files.of(plane.settings), None, org, "Mine", 0)).is_done
    key = runtime_pb2.IssueApiKeyRequest(organization_id=shown, role=options_pb2.ROLE_VIEWER)
    number = runtime_pb2.AssignNumberRequest(organization_id=shown, e164="+13175550100")
    for ask in (admin.IssueApiKey(key, metadata=who), admin.AssignNumber(number, metadata=who)):
        with pytest.raises(aio.AioRpcError) as refused:
            await ask
        assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "being deleted" in str(refused.value.details())
    async with plane.control.db.system() as tx:
        for table in ("api_keys", "numbers"):
            assert await tx.fetchval(f"SELECT count(*) FROM {table} WHERE org_id = $1", org) == 0
    assert await organizations.continue_deletions(plane.control.db, Files.of(plane.settings), 60) == 1
    with pytest.raises(aio.AioRpcError) as unknown:
        await admin.IssueApiKey(key, metadata=who)
    assert unknown.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_recording_that_is_told_of_after_the_deletion_goes_too(plane: Plane) -> None:
    """A media process had its report on disk while control was away."""
    db, store, root = plane.control.db, Files.of(plane.settings), plane.settings.recordings_dir
    mine, yours = await organization(plane, "Mine"), await organization(plane, "Yours")
    assert (await organizations.delete(db, store, None, mine, "Mine", 60)).is_done
    calls = {org: ids.new() for org in (mine, yours)}
    paths = {org: f"{ids.show(Kind.ORGANIZATION, org)}/{ids.show(Kind.CALL, calls[org])}.wav" for org in calls}
    for path in paths.values():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"RIFF")
    # Where recordings wait for a bucket, the machine that has them asks.
    assert await filecheck.check(db, [*paths.values()]) == ([paths[mine]], [paths[yours]])
    told = [
        runtime_pb2.Report(
            call_id=ids.show(Kind.CALL, calls[org]), seq=1, recording=runtime_pb2.RecordingStored(path=path)
        )
        for org, path in paths.items()
    ]
    await reports.apply_batch(db, "m", runtime_pb2.ReportBatch(seq=1, reports=told))
    assert await organizations.continue_deletions(db, store, 60) == 1
    assert not (root / paths[mine]).exists() and (root / paths[yours]).exists()
    async with db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM erased_calls") == 0
    assert await organizations.continue_deletions(db, store, 60) == 0


async def test_files_of_which_nobody_ever_tells_go_with_their_organization(plane: Plane) -> None:
    """A media process died before its report, or wrote once more when the deletion was done."""
    db, store, root = plane.control.db, Files.of(plane.settings), plane.settings.recordings_dir
    mine, yours = await organization(plane, "Mine"), await organization(plane, "Yours")
    # Of `unknown` the database has never heard: it may be one restored from an older backup.
    unknown = ids.new()
    for org in (mine, yours, unknown):
        folder = root / ids.show(Kind.ORGANIZATION, org)
        (folder / "texts").mkdir(parents=True)
        call = ids.show(Kind.CALL, ids.new())
        for name in (f"{call}.wav", f"{call}.wav.peaks", f"{call}.2.wav", "texts/a.0", "texts/a.0.part"):
            (folder / name).write_bytes(b"RIFF")

    def left(org: UUID) -> int:
        return sum(path.is_file() for path in (root / ids.show(Kind.ORGANIZATION, org)).rglob("*"))

    assert await files.delete_files_of_organizations(db, store, 100) == 0
    assert (await organizations.delete(db, store, None, mine, "Mine", 60)).is_done
    assert left(mine) == 5
    assert [await files.delete_files_of_organizations(db, store, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert not (root / ids.show(Kind.ORGANIZATION, mine)).exists()
    assert left(yours) == left(unknown) == 5


async def test_a_deletion_that_fails_delays_no_other(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    db, store = plane.control.db, Files.of(plane.settings)
    stuck, other = await organization(plane, "Stuck"), await organization(plane, "Other")
    for org, name in ((stuck, "Stuck"), (other, "Other")):
        await organizations.delete(db, store, None, org, name, 0)
    erase = organizations._erase_calls

    async def fails(db: Db, org: UUID) -> int:
        if org == stuck:
            raise asyncpg.ForeignKeyViolationError("a table of a later release")
        return await erase(db, org)

    monkeypatch.setattr(organizations, "_erase_calls", fails)
    assert await organizations.continue_deletions(db, store, 60) == 1
    async with db.system() as tx:
        assert list(await deleted_organizations.unfinished(tx)) == [stuck]
