"""The bus: typed channels, on which a bad message or listener does not affect the others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from control.bus import DROPPED, UP, PostgresBus, of_messages
from hum.v1 import runtime_pb2
from storage.db import Db, notify
from tests.support.waits import patience

WORDS = of_messages("test_words", runtime_pb2.NodeCommand)
OTHERS = of_messages("test_others", runtime_pb2.CallDeltas)


@pytest.fixture
async def bus(database_url: str) -> AsyncIterator[PostgresBus]:
    db = await Db.open(database_url, size=2)
    bus = PostgresBus(db, retry_seconds=0.05)
    await bus.start([WORDS, OTHERS])
    yield bus
    await bus.stop()
    await db.close()


class Ear:
    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.woken = asyncio.Event()

    def __call__(self, message: Any) -> None:
        self.heard.append(message)
        self.woken.set()

    async def wait(self, count: int) -> list[Any]:
        async with patience():
            while len(self.heard) < count:
                self.woken.clear()
                await self.woken.wait()
        return self.heard


async def test_what_is_not_known_is_dropped_and_the_next_is_heard(bus: PostgresBus) -> None:
    ear, dropped = Ear(), DROPPED.labels("test_words", "unknown")._value
    bus.subscribe(WORDS, ear)
    before = dropped.get()
    for payload in ("", "garbage", '{"node": "m", "command": "jump"}', "////"):
        async with bus._db.system() as tx:
            await notify(tx, WORDS.name, payload)
    message = runtime_pb2.NodeCommand(node="m")
    assert await bus.publish(WORDS, message)
    assert await ear.wait(2) == [runtime_pb2.NodeCommand(), message], "an empty payload is an empty message"
    assert dropped.get() - before == 3


async def test_a_listener_that_fails_is_not_the_others_loss(bus: PostgresBus) -> None:
    ear = Ear()

    def fail(_: runtime_pb2.NodeCommand | None) -> None:
        raise RuntimeError("a bug")

    ends = [bus.subscribe(WORDS, listener) for listener in (fail, ear, fail)]
    await bus.publish(WORDS, runtime_pb2.NodeCommand(node="m"))
    assert len(await ear.wait(1)) == 1
    ends[1]()
    later = Ear()
    bus.subscribe(WORDS, later)
    await bus.publish(OTHERS, runtime_pb2.CallDeltas())
    await bus.publish(WORDS, runtime_pb2.NodeCommand(node="m"))
    assert len(await later.wait(1)) == 1
    assert len(ear.heard) == 1, "it had left, and the other channel was never its own"


async def test_what_is_too_large_is_dropped(bus: PostgresBus) -> None:
    assert not await bus.publish(WORDS, runtime_pb2.NodeCommand(node="m" * 6000))
    with pytest.raises(AssertionError, match="no feature"):
        bus.subscribe(of_messages("nobodys", runtime_pb2.NodeCommand), Ear())


async def test_whatever_is_raised_while_it_listens_the_bus_goes_on(
    bus: PostgresBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear, listen, failures = Ear(), bus._db.listen, [RuntimeError("a bug"), KeyError("another"), OSError("away")]
    up, was_up = UP.labels("postgresql")._value, list[float]()
    bus.subscribe(WORDS, ear)
    assert up.get() == 1

    async def fails() -> object:
        was_up.append(up.get())
        if failures:
            raise failures.pop()
        return await listen()

    monkeypatch.setattr(bus._db, "listen", fails)
    administrator = await asyncpg.connect(bus._db.url)
    await administrator.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'hum_listen' AND datname = current_database()"
    )
    await administrator.close()
    assert await ear.wait(1) == [None], "listeners are told that something may have been missed"
    assert not failures
    assert (set(was_up), up.get()) == ({0}, 1)
    message = runtime_pb2.NodeCommand(node="m")
    await bus.publish(WORDS, message)
    assert (await ear.wait(2))[1] == message


async def test_listeners_look_now_and_then_although_nobody_told_them_to(database_url: str) -> None:
    db = await Db.open(database_url, size=2)
    bus, ears = PostgresBus(db, retry_seconds=0.05, poll_seconds=0.1), [Ear() for _ in range(3)]
    await bus.start([WORDS, OTHERS])
    try:
        ends = [bus.subscribe(WORDS, ear) for ear in ears]
        for ear in ears:
            assert set(await ear.wait(2)) == {None}
        ends[0]()
        heard = len(ears[0].heard)
        await ears[1].wait(len(ears[1].heard) + 2)
        assert len(ears[0].heard) == heard, "it has left"
    finally:
        await bus.stop()
        await db.close()
