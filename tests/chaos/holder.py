"""`python -m tests.chaos.holder URL`: a process of control that has locked the media places, and is in the middle of its transaction."""

import asyncio
import sys

from storage import media_places
from storage.db import Db


async def main(url: str) -> None:
    db = await Db.open(url, size=2)
    async with db.system() as tx:
        await media_places.lock(tx)
        sys.stdout.write("held\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
