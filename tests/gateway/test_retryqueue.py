"""Webhooks that wait for control: what fails is tried again, and what can't be told holds up nothing behind it."""

import asyncio
import errno
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.controlclient import ControlUnavailable, NotConfirmedYet, TimeLimitMet
from gateway.retryqueue import (
    ENDED,
    MAX_ADOPTED,
    MAX_ATTEMPTS,
    MAX_SLOW_AGE,
    MAX_UNCONFIRMED_AGE,
    RetryQueue,
    StoredWebhook,
)
from hum.clock import now
from hum.settings import GatewaySettings
from hum.spool import Spool
from tests.support.waits import patience, until


class Control:
    """Fails to take the first webhook so many times, each time like this."""

    def __init__(self, fails: int, how: Callable[[], Exception]) -> None:
        self._fails, self._how = fails, how
        self.tries = 0
        self.told: list[str] = []

    async def tell(self, webhook: StoredWebhook) -> None:
        if webhook.path == "/first":
            self.tries += 1
            if self.tries <= self._fails:
                raise self._how()
        self.told.append(webhook.path)


@pytest.mark.parametrize(
    "how", [ZeroDivisionError, lambda: ControlUnavailable("INTERNAL")], ids=["a bug of ours", "a bug of control"]
)
@pytest.mark.parametrize(
    ("fails", "told"), [(2, ["/second", "/first"]), (100, ["/second"])], ids=["for a while", "for ever"]
)
async def test_a_webhook_that_fails_is_tried_again_after_the_others_and_then_given_up(
    tmp_path: Path, fails: int, told: list[str], how: Callable[[], Exception]
) -> None:
    queue = RetryQueue(Spool(tmp_path / "spool"), GatewaySettings(home=tmp_path, postponed_retry_seconds=0.01))
    control = Control(fails, how)
    for path in ("/first", "/second"):
        assert await queue.add(path, b"")
    running = asyncio.create_task(queue.run(control.tell))
    await until(lambda: not len(queue))
    running.cancel()
    assert control.told == told
    assert fails + 1 == control.tries if fails < MAX_ATTEMPTS else MAX_ATTEMPTS <= control.tries <= MAX_ATTEMPTS + 1
    assert not queue.fault
    queue.close()


@pytest.mark.parametrize("how", [NotConfirmedYet, TimeLimitMet])
async def test_a_webhook_that_only_waits_for_itself_delays_no_other(tmp_path: Path, how: type[Exception]) -> None:
    queue = RetryQueue(Spool(tmp_path / "spool"), GatewaySettings(home=tmp_path, postponed_retry_seconds=0.01))
    control = Control(MAX_ATTEMPTS + 3, lambda: how("UNAVAILABLE"))
    for path in ("/first", "/second"):
        assert await queue.add(path, b"")
    running = asyncio.create_task(queue.run(control.tell))
    await until(lambda: control.told == ["/second"] and control.tries > 2)
    await until(lambda: not queue.has_backlog)
    await queue.wait_until_delivered(60)
    await until(lambda: control.told == ["/second", "/first"])
    await until(lambda: not len(queue))
    running.cancel()
    queue.close()


@pytest.mark.parametrize(("how", "age"), [(NotConfirmedYet, MAX_UNCONFIRMED_AGE), (TimeLimitMet, MAX_SLOW_AGE)])
async def test_a_webhook_that_only_waits_for_itself_is_dropped_when_it_is_old(
    tmp_path: Path, how: type[Exception], age: timedelta
) -> None:
    queue = RetryQueue(Spool(tmp_path / "spool"), GatewaySettings(home=tmp_path, postponed_retry_seconds=0.01))
    control = Control(10**9, lambda: how("UNAVAILABLE"))
    assert await queue.add("/first", b"", now() - age - timedelta(seconds=1))
    running = asyncio.create_task(queue.run(control.tell))
    await until(lambda: not len(queue))
    running.cancel()
    assert control.tries == 1 and not control.told
    queue.close()


async def test_what_another_version_wrote_holds_up_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    for record in (b"\xff", b"{}", b'{"path":"/first"}'):
        spool.append(record)
    queue = RetryQueue(spool, GatewaySettings(home=tmp_path))
    control = Control(0, ZeroDivisionError)
    assert await queue.add("/second", b"")
    running = asyncio.create_task(queue.run(control.tell))
    async with patience():
        while not control.told:
            await asyncio.sleep(0.01)
    running.cancel()
    assert control.told == ["/second"]
    queue.close()


class FullDisk(Spool):
    """A spool whose disk takes nothing while it is full."""

    is_full = True

    def append(self, payload: bytes) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().append(payload)


async def test_what_the_carrier_would_not_send_again_is_held_while_the_disk_is_full(tmp_path: Path) -> None:
    """And is told in the order of its arrival, from memory or from the disk that has room again."""
    spool, control = FullDisk(tmp_path / "spool"), Control(0, ZeroDivisionError)
    spool.is_full = False
    queue = RetryQueue(spool, GatewaySettings(home=tmp_path, postponed_webhooks=4))
    assert await queue.add("/stored", b"")
    spool.is_full = True
    assert not await queue.add("/sent again", b""), "the carrier is told to send it again"
    assert [await queue.add(f"/held {n}", b"", keep_in_memory=True) for n in range(4)] == [
        True,
        True,
        True,
        False,
    ], "bounded"
    assert len(queue) == 4 and len(spool) == 1 and queue.has_backlog
    running = asyncio.create_task(queue.run(control.tell))
    await until(lambda: len(control.told) == 4)
    running.cancel()
    assert control.told == ["/stored", "/held 0", "/held 1", "/held 2"] and len(queue) == 0
    assert await queue.add("/held again", b"", keep_in_memory=True)
    spool.is_full = False
    assert await queue.add("/last", b"")
    assert len(spool) == 2, "both are on the disk"
    queue.close()


async def test_a_copy_takes_no_place_that_others_need_and_is_never_lost(tmp_path: Path) -> None:
    spool, lost = FullDisk(tmp_path / "spool"), ENDED.labels("lost")
    before = lost._value.get()
    queue = RetryQueue(spool, GatewaySettings(home=tmp_path, postponed_webhooks=4))
    await queue.add_copy("/full disk", b"")
    spool.is_full = False
    for number in range(3):
        await queue.add_copy(f"/copy {number}", b"")
    assert len(queue) == 2 and lost._value.get() == before
    control = Control(0, ZeroDivisionError)
    running = asyncio.create_task(queue.run(control.tell))
    await until(lambda: control.told == ["/copy 0", "/copy 1"])
    running.cancel()
    queue.close()


async def test_what_is_held_is_stored_at_the_end_if_the_disk_takes_it(tmp_path: Path) -> None:
    spool = FullDisk(tmp_path / "spool")
    queue = RetryQueue(spool, GatewaySettings(home=tmp_path))
    assert await queue.add("/held", b"", keep_in_memory=True)
    spool.is_full = False
    queue.close()
    assert len(Spool(tmp_path / "spool")) == 1


async def test_whoever_leaves_delivers_what_it_has_unless_control_takes_nothing(tmp_path: Path) -> None:
    queue = RetryQueue(Spool(tmp_path / "webhooks/0"), GatewaySettings(home=tmp_path, postponed_retry_seconds=0.01))
    told, takes = list[str](), asyncio.Semaphore(0)

    async def tell(webhook: StoredWebhook) -> None:
        await takes.acquire()
        told.append(webhook.path)

    running = asyncio.create_task(queue.run(tell))
    for path in ("/first", "/second"):
        assert await queue.add(path, b"")
    leaving = asyncio.create_task(queue.wait_until_delivered(60))
    takes.release()
    await until(lambda: told == ["/first"])
    assert not leaving.done()
    takes.release()
    await leaving
    assert told == ["/first", "/second"]

    assert await queue.add("/third", b"")
    await queue.wait_until_delivered(0.05)  # a deadline that is meant to run out
    assert len(queue) == 1, "it stays on disk"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    queue.close()


async def test_what_a_gateway_leaves_is_told_by_one_that_serves_beside_it(tmp_path: Path) -> None:
    settings, told = GatewaySettings(home=tmp_path, postponed_retry_seconds=0.01), list[str]()

    async def tell(webhook: StoredWebhook) -> None:
        told.append(webhook.path)

    leaves, serves = (RetryQueue(Spool(tmp_path / f"webhooks/{number}"), settings) for number in (0, 1))
    running = asyncio.create_task(serves.run(tell))
    for number in range(2 * MAX_ADOPTED + 1):
        assert await leaves.add(f"/{number}", b"")
    assert not told, "they are another one's while it lives"
    leaves.close()
    await until(lambda: len(told) > 2 * MAX_ADOPTED)
    assert told == [f"/{number}" for number in range(2 * MAX_ADOPTED + 1)]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    serves.close()
    assert not len(Spool(tmp_path / "webhooks/0"))


async def test_who_is_cancelled_leaves_the_spool_when_its_thread_has_ended(tmp_path: Path) -> None:
    """So that closing the spool afterwards closes it under no thread that writes."""
    ended, goes_on = list[str](), threading.Event()

    class Slow(Spool):
        def append(self, payload: bytes) -> int:
            goes_on.wait()
            number = super().append(payload)
            ended.append("append")
            return number

    queue = RetryQueue(Slow(tmp_path / "spool"), GatewaySettings(home=tmp_path))
    adding = asyncio.create_task(queue.add("/first", b""))
    await asyncio.sleep(0)
    adding.cancel()
    asyncio.get_running_loop().call_soon(goes_on.set)
    await asyncio.gather(adding, return_exceptions=True)
    assert ended == ["append"] and adding.cancelled()
    queue.close()
    assert len(Spool(tmp_path / "spool")) == 1


async def test_what_is_told_while_the_disk_takes_it_again_loses_nothing_behind_it(tmp_path: Path) -> None:
    writes, goes_on = threading.Event(), threading.Event()

    class Recovering(FullDisk):
        def append(self, payload: bytes) -> int:
            if not self.is_full:
                writes.set()
                goes_on.wait()
            return super().append(payload)

    spool, control = Recovering(tmp_path / "spool"), Control(0, ZeroDivisionError)
    queue = RetryQueue(spool, GatewaySettings(home=tmp_path))
    assert await queue.add("/held", b"", keep_in_memory=True)
    spool.is_full = False
    adding = asyncio.create_task(queue.add("/next", b""))
    await until(writes.is_set)
    running = asyncio.create_task(queue.run(control.tell))
    await until(lambda: control.told == ["/held"])
    goes_on.set()
    assert await adding
    await until(lambda: "/next" in control.told)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert control.told == ["/held", "/held", "/next"], "what was stored meanwhile is told twice, which does no harm"
    queue.close()
