"""An organization that texts: a number, a thread, and what decides about it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from hum import ids
from hum.clock import now
from storage import conversations, identity, numbers
from storage.conversations import ConversationState
from storage.db import Db, Tx
from storage.numbers import NumberRow

NUMBER, CONTACT = "+12125550100", "+13175551234"


@dataclass
class Texting:
    db: Db
    org: UUID
    number: UUID

    async def thread(self, tx: Tx, contact_e164: str = CONTACT) -> ConversationState:
        found, _ = await conversations.find_or_create(tx, ids.new(), self.org, self.number, NUMBER, contact_e164, None)
        return found


@pytest.fixture
async def texting(database_url: str) -> AsyncIterator[Texting]:
    db = await Db.open(database_url, size=4)
    org, number = ids.new(), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    async with db.tenant(org) as tx:
        row = NumberRow(number, NUMBER, "PN" + "0" * 32, None, None, None, True, ["sms"], "active", now(), None)
        await numbers.create(tx, row)
    yield Texting(db, org, number)
    await db.close()
