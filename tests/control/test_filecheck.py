"""Which of a machine's recordings are wanted, and that what is dropped goes however long the store is away."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from control.calls import filecheck
from control.retention import files as deletion
from control.retention import jobs, usecases
from hum import ids, recordings
from hum.clock import now
from hum.ids import Kind
from hum.objects.bucket import Bucket, StoreFault
from hum.objects.files import Files
from storage import dropped_recordings
from tests.control.test_retention import World, world

__all__ = ["world"]


class Away(Bucket):
    """A bucket that is away when told so, and counts what is deleted."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.is_away = False
        self.deleted: list[str] = []

    async def delete(self, path: str) -> None:
        if self.is_away:
            raise StoreFault("no answer")
        self.deleted.append(path)
        await super().delete(path)


def paths(org: object, call: object) -> tuple[str, str]:
    """A recording and its peaks."""
    name = f"{ids.show(Kind.ORGANIZATION, org)}/{ids.show(Kind.CALL, call)}.0a1b.wav"  # type: ignore[arg-type]
    return name, name + recordings.PEAKS


async def test_a_call_that_is_there_one_that_was_deleted_and_one_that_nobody_knows(world: World) -> None:
    call, erased, foreign = (
        await world.call(world.mine, 1),
        await world.call(world.mine, 1),
        await world.call(world.yours, 1),
    )
    dropped = paths(world.mine, call)[0].replace("0a1b", "0c0d")
    async with world.db.tenant(world.mine) as tx:
        await usecases.erase_call(tx, erased)
        await dropped_recordings.drop(tx, call, [dropped])
        await dropped_recordings.drop(tx, foreign, [paths(world.yours, foreign)[0]])  # as another's tenant: nothing
    young, old = ids.new(), ids.new(now().replace(year=2020))
    asked = [
        *paths(world.mine, call), dropped, dropped + recordings.PEAKS, *paths(world.mine, erased), *paths(world.yours, foreign),
        *paths(world.yours, call), *paths(world.mine, young), *paths(world.mine, old), "x.wav",
    ]  # fmt: skip
    unwanted, unknown = await filecheck.check(world.db, asked)
    assert unwanted == [dropped, dropped + recordings.PEAKS, *paths(world.mine, erased), *paths(world.mine, old)]
    assert sorted(unknown) == sorted([*paths(world.yours, call), *paths(world.mine, young), "x.wav"])
    assert await filecheck.check(world.db, []) == ([], [])


@pytest.fixture
async def bucket(world: World) -> AsyncIterator[Away]:
    yield Away()


async def test_a_deleted_call_leaves_nothing_in_a_bucket_that_was_away(
    world: World, bucket: Away, tmp_path: Path
) -> None:
    store = Files(tmp_path / "elsewhere", bucket)
    call, other = await world.call(world.mine, 1), await world.call(world.mine, 1)
    mine = [*paths(world.mine, call), paths(world.mine, call)[0].replace("0a1b", "ffff")]
    for path in (*mine, *paths(world.mine, other)):
        await bucket.put(path, b"RIFF")
    async with world.db.tenant(world.mine) as tx:
        await usecases.erase_call(tx, call)
    bucket.is_away = True
    for _ in range(2):
        assert await jobs.delete_files(world.db, store) == 0
    assert jobs.FILES_WAIT._value.get() > 0 and await bucket.size(mine[0]) == 4
    bucket.is_away = False
    assert await jobs.delete_files(world.db, store) == 1
    assert [await bucket.size(path) for path in mine] == [None] * 3
    assert [await bucket.size(path) for path in paths(world.mine, other)] == [4, 4]
    asked = len(bucket.deleted)
    assert await jobs.delete_files(world.db, store) == 0 and len(bucket.deleted) == asked, "once"
    assert jobs.FILES_WAIT._value.get() == 0


async def test_a_message_that_is_dropped_goes_once_the_store_is_back_and_stays_unwanted(
    world: World, bucket: Away, tmp_path: Path
) -> None:
    store, call = Files(tmp_path / "elsewhere", bucket), await world.call(world.mine, 1)
    path = paths(world.mine, call)[0]
    await bucket.put(path, b"RIFF")
    async with world.db.tenant(world.mine) as tx:
        await dropped_recordings.drop(tx, call, [path, path])
        await dropped_recordings.drop(tx, call, [path])
    bucket.is_away = True
    assert await deletion.delete_dropped_files(world.db, store, 10) == 0
    bucket.is_away = False
    assert await deletion.delete_dropped_files(world.db, store, 10) == 1
    assert await deletion.delete_dropped_files(world.db, store, 10) == 0
    assert await bucket.size(path) is None
    # A machine that comes back with it later learns that it is wanted no more, before and after the call is deleted.
    assert await filecheck.check(world.db, [path]) == ([path], [])
    async with world.db.tenant(world.mine) as tx:
        await usecases.erase_call(tx, call)
    assert await filecheck.check(world.db, [path]) == ([path], [])
    assert await world.number("dropped_recordings") == 0
