"""A database with two organizations."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import pytest

from hum import ids
from storage import identity
from storage.db import Db


@dataclass
class Two:
    db: Db
    url: str
    mine: UUID
    yours: UUID


@asynccontextmanager
async def two_organizations(database_url: str) -> AsyncIterator[Two]:
    db = await Db.open(database_url, size=4)
    mine, yours = ids.new(), ids.new()
    async with db.system() as tx:
        for org in (mine, yours):
            await identity.create_organization(tx, org, str(org))
    yield Two(db, database_url, mine, yours)
    await db.close()


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[Two]:
    async with two_organizations(database_url) as made:
        yield made
