"""What a sign-in records of a person."""

import asyncio

from hum import ids
from storage import identity, sessions
from tests.storage.conftest import Two
from tests.support.waits import patience

NEW = "ada@new.example"


async def test_of_two_who_move_to_one_address_at_once_one_keeps_the_old(two: Two) -> None:
    async with two.db.system() as tx:
        first = await identity.upsert_user(tx, ids.new(), "ada@old.example")
        second = await identity.upsert_user(tx, ids.new(), "eve@old.example")

    async def sign_in_too() -> None:
        async with two.db.system() as tx:
            await sessions.record_sign_in(tx, second, "Eve", NEW)

    async with two.db.system() as tx:
        await sessions.record_sign_in(tx, first, "Ada", NEW)
        moving = asyncio.create_task(sign_in_too())
        async with patience():
            while not await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
    await moving
    async with two.db.system() as tx:
        rows = await tx.fetch("SELECT id, email, name FROM users")
    assert {row["id"]: (row["email"], row["name"]) for row in rows if row["id"] in {first, second}} == {
        first: (NEW, "Ada"),
        second: ("eve@old.example", "Eve"),
    }
