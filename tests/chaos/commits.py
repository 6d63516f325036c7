"""`python -m tests.chaos.commits URL SECONDS`: how many transactions a second commit, without news, with news inside, and after.

Each writes one row of its own, as a batch of reports does at least.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

import uvloop

from storage import media_links
from storage.db import Db, Tx, notify

WRITERS = 32
CHANNEL = "chaos_commits"


async def nothing(_: Tx) -> None:
    pass


async def inside(tx: Tx) -> None:
    await tx.execute("SELECT pg_notify($1, 'news')", CHANNEL)


async def after(tx: Tx) -> None:
    await notify(tx, CHANNEL, "news")


async def commits_per_second(db: Db, tell: Callable[[Tx], Awaitable[None]], seconds: float) -> float:
    until = time.monotonic() + seconds

    async def write(number: int) -> int:
        count = 0
        while time.monotonic() < until:
            async with db.system() as tx:
                await media_links.set_seq(tx, f"writer-{number}", count)
                await tell(tx)
            count += 1
        return count

    return sum(await asyncio.gather(*(write(number) for number in range(WRITERS)))) / seconds


async def run(url: str, seconds: float) -> dict[str, float]:
    db = await Db.open(url, size=WRITERS, idle=WRITERS)
    listening = await db.listen()
    heard = 0

    def hear(*_: object) -> None:
        nonlocal heard
        heard += 1

    await listening.add_listener(CHANNEL, hear)
    await commits_per_second(db, nothing, 0.5)
    found = {each.__name__: await commits_per_second(db, each, seconds) for each in (nothing, inside, after)}
    await asyncio.sleep(0.5)
    await listening.close()
    await db.close()
    return found | {"heard": heard / seconds}


def main() -> None:
    url, seconds = sys.argv[1:]
    sys.stdout.write(json.dumps(uvloop.run(run(url, float(seconds)))) + "\n")


if __name__ == "__main__":
    main()
