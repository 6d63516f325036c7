"""What is counted: equal to what was used, to a recount and to a rebuilding, whatever the order in which it becomes known."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from control.flows import usecases as flow_usecases
from control.flows.choices import Choices
from control.identity import usecases as identity
from control.usage import meters, usecases
from hum.contract.principal import Principal
from hum.settings import ControlSettings
from hum.v1 import flows_pb2
from storage.db import Db
from storage.usage import Owner
from tests.control.usage.office import PRICES, Office, model_used

NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    db = await Db.open(database_url, size=4)
    org = await identity.create_organization(db, "Clinic", "a@clinic.example")
    principal, choices = Principal(org, "admin", (), None, None, None, "test"), Choices.of(ControlSettings())
    async with db.tenant(org) as tx:
        flows = [(await flow_usecases.create(tx, principal, flows_pb2.Flow(name=name), choices)).id for name in "AB"]
    yield Office(db, org, flows, NOON)
    await db.close()


async def same(office: Office) -> None:
    await office.count()
    counted = await office.rolled_up()
    assert counted == await office.recounted()
    measured = {key: n for key, n in (await office.sums()).items() if key[0] != meters.STREAM_SECONDS}
    assert measured == {key: n for key, n in office.used.items() if n}


@pytest.mark.parametrize(
    ("seed", "steps"), [(1, 40), (2, 40), *(pytest.param(seed, 150, marks=pytest.mark.fuzz) for seed in (3, 4, 5))]
)
async def test_any_history_is_counted_as_it_was(office: Office, seed: int, steps: int) -> None:
    """Answers that are reported late and twice, calls with several streams, erasure, prices, at any order of counting."""
    chance = random.Random(seed)
    live = list[tuple[UUID, int, datetime]]()
    over = list[tuple[UUID, int]]()
    texts = list[Owner]()
    for _ in range(steps):
        office.at = NOON + timedelta(minutes=chance.randint(0, 2000))
        match chance.randint(0, 9):
            case 0 | 1:
                id = await office.call()
                await office.stream(id, 1, office.at)
                live.append((id, 1, office.at))
            case 2 | 3 if live:
                id, streams, _ = chance.choice(live)
                await office.answer(id, chance.randint(1, streams), model_used(chance))
            case 4 if live:  # its stream died, and another follows
                place = chance.randrange(len(live))
                id, streams, at = live[place]
                await office.stream(id, streams + 1, at + timedelta(seconds=10 * streams))
                live[place] = id, streams + 1, at
            case 5 if live:
                id, streams, at = live.pop(chance.randrange(len(live)))
                await office.end(id, chance.randint(1, 500))
                over.append((id, streams))
            case 6 if over:  # from a spool
                id, streams = chance.choice(over)
                await office.answer(id, chance.randint(1, streams), model_used(chance))
            case 7 if office.batches:  # nobody acknowledged it, or it comes over another link
                await office.bring(chance.choice(office.batches), chance.choice(["m", f"n{chance.random()}"]))
            case 8:
                texts.append(await office.text(chance.randint(1, 4), office.at))
                if chance.random() < 0.5:
                    await office.price(chance.choice(texts), chance.choice(["0.0079", "0.02"]))
            case 9:
                if over and chance.random() < 0.4:
                    await office.erase(over.pop(chance.randrange(len(over)))[0])
                await office.count()
    for id, _, _ in live:
        await office.end(id, 30)
    await same(office)
    before = await office.rolled_up()
    await office.count_again()
    assert await office.rolled_up() == before
    async with office.db.system() as tx:
        await tx.execute("DELETE FROM usage_rollups WHERE random() < 0.5")
    await usecases.rebuild(office.db, PRICES)
    assert await office.rolled_up() == before
