"""Work in order for each key, a bounded number of pieces at a time, and none left behind."""

import asyncio

from sandbox.twilio.pool import Pool
from tests.support.waits import patience


async def test_each_keys_work_is_done_in_order_and_a_bounded_number_at_a_time() -> None:
    pool, done, inside, most = Pool(3), list[tuple[int, int]](), 0, 0

    async def work(key: int, number: int) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1
        done.append((key, number))

    def push(key: int, number: int) -> None:
        pool.push(str(key), lambda: work(key, number))

    for number in range(20):
        for key in range(10):
            push(key, number)
    assert pool.pending == 200
    await pool.settled()
    assert (len(done), pool.pending, most) == (200, 0, 3)
    assert all([n for k, n in done if k == key] == list(range(20)) for key in range(10))


async def test_work_that_is_pushed_as_the_last_worker_finds_nothing_is_done() -> None:
    pool, done = Pool(1), list[int]()

    async def work(number: int) -> None:
        done.append(number)
        if number < 50:  # in the very step in which the worker ends
            asyncio.get_running_loop().call_soon(pool.push, str(number + 1), lambda: work(number + 1))

    pool.push("0", lambda: work(0))
    async with patience():
        while len(done) < 51:
            await asyncio.sleep(0)


async def test_work_that_fails_holds_up_nothing() -> None:
    pool, done, told = Pool(1), list[str](), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    async def fails() -> None:
        raise ValueError("no")

    async def works() -> None:
        done.append("done")

    for each in (fails, works):
        pool.push("a", each)
        pool.push(each.__name__, each)
    await pool.settled()
    assert (done, len(told), pool.pending) == (["done", "done"], 2, 0)


async def test_it_is_closed_with_work_left() -> None:
    pool = Pool(1)
    never = asyncio.Event()
    for key in "ab":
        pool.push(key, lambda: _wait(never))
    await asyncio.sleep(0)
    await pool.close()


async def _wait(for_: asyncio.Event) -> None:
    await for_.wait()
