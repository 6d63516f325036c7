"""python -m bench.whole.prepare URL: creates the schema, and an organization with an API key, which it prints."""

import asyncio
import sys

from control.identity import usecases as identity
from storage.db import Db
from storage.migrate import migrate


async def prepared(url: str) -> str:
    await migrate(url)
    db = await Db.open(url, size=2)
    try:
        org = await identity.create_organization(db, "Clinic", "owner@clinic.example")
        _, secret = await identity.issue_key(db, org, "bench", "admin", [])
    finally:
        await db.close()
    return secret


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(prepared(sys.argv[1])) + "\n")
