"""The sweep of the months of events: what is old is archived and dropped, and nothing that is needed or could not be archived."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from control.events import months
from control.events.months import Unarchived
from hum import ids
from hum.clock import now
from hum.objects.files import Files
from hum.settings import ControlSettings
from storage import events
from storage.event_months import ArchivedRow
from storage.events import ReaderStart
from tests.storage.conftest import Two, two_organizations
from tests.storage.test_event_months import OLD, TICK, old_event

PATH = Path("events/2020-12/000001.jsonl.gz")


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[Two]:
    async with two_organizations(database_url) as made:
        yield made


@pytest.fixture
async def root(two: Two) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The database's administrator; nothing reads but the test."""
    connection = await asyncpg.connect(two.url)
    await connection.execute("DELETE FROM event_cursors")
    yield connection
    await connection.close()


def settings(months: int = 1, archive: str = "whole") -> ControlSettings:
    return ControlSettings.model_validate({"events_months": months, "events_archive": archive})


async def is_there(root: "asyncpg.Connection[asyncpg.Record]") -> bool:
    return bool(await root.fetchval("SELECT to_regclass('events_2020_12') IS NOT NULL"))


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def written_to(root: Path) -> list[Path]:
    return sorted(root.rglob("*.gz"))


async def test_an_old_month_is_archived_in_parts_and_dropped(
    two: Two, root: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(months, "FILE_EVENTS", 2)
    public = [ids.new() for _ in range(5)]
    places = [await old_event(root, two.mine, each, two.yours) for each in public]
    async with two.db.tenant(two.mine) as tx:
        await events.append(tx, two.mine, ids.new(), TICK)
    await months.maintain_months(two.db, Files(tmp_path), settings(months=0))
    assert await is_there(root), "months are kept unless the operator says otherwise"
    await months.maintain_months(two.db, Files(tmp_path), settings())
    assert not await is_there(root)
    written = [line for path in written_to(tmp_path) for line in lines(path)]
    assert [line["public_id"] for line in written] == [str(each) for each in public]
    assert [line["id"] for line in written] == [str(each) for each in places]
    assert written[0] | {"created_at": "", "id": "", "public_id": ""} == {
        "id": "", "public_id": "", "org_id": str(two.mine), "type": "contacts.imported", "version": 1,
        "subject_id": str(two.yours), "created_at": "", "data": {"created": 1},
    }  # fmt: skip
    assert await root.fetchval("SELECT count(*) FROM events") == 1, "the others stay"
    row = await root.fetchrow(
        "SELECT archive_files, dropped_at IS NOT NULL AS dropped FROM event_months WHERE month = $1", OLD
    )
    assert row is not None and tuple(row) == (3, True)
    await months.maintain_months(two.db, Files(tmp_path), settings())


@pytest.mark.parametrize(("archive", "found"), [("bare", [None]), ("none", [])])
async def test_payloads_are_archived_only_if_the_operator_wants_them(
    two: Two, root: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path, archive: str, found: list[None]
) -> None:
    await old_event(root, two.mine, ids.new(), ids.new())
    await months.maintain_months(two.db, Files(tmp_path), settings(archive=archive))
    assert not await is_there(root)
    assert [line["data"] for path in written_to(tmp_path) for line in lines(path)] == found


async def test_a_month_that_can_not_be_archived_stays(
    two: Two, root: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path
) -> None:
    await old_event(root, two.mine, ids.new(), ids.new())
    (tmp_path / "events").write_text("no folder")
    with pytest.raises(Unarchived):
        await months.maintain_months(two.db, Files(tmp_path), settings())
    assert await is_there(root)
    (tmp_path / "events").unlink()
    await months.maintain_months(two.db, Files(tmp_path), settings())
    assert len(lines(tmp_path / PATH)) == 1 and not await is_there(root)


async def test_a_month_that_a_reader_has_not_read_stays(
    two: Two, root: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path
) -> None:
    await old_event(root, two.mine, ids.new(), ids.new())
    async with two.db.system() as tx:
        await events.lock_position(tx, "slow", ReaderStart.BEGINNING)
    await months.maintain_months(two.db, Files(tmp_path), settings())
    assert await is_there(root) and not written_to(tmp_path)
    async with two.db.system() as tx:
        assert len(await events.read_behind_horizon(tx, "slow", ReaderStart.BEGINNING)) == 1
    await months.maintain_months(two.db, Files(tmp_path), settings())
    assert not await is_there(root)


def test_half_of_a_character_is_archived_as_it_was() -> None:
    row = ArchivedRow(1, ids.new(), ids.new(), "call.outcome", 1, ids.new(), now(), r'{"name": "Ana \ud83d ✓"}')
    assert b'"data": {"name": "Ana \\ud83d \xe2\x9c\x93"}' in gzip.decompress(months.packed([row]))
