"""Trials under way: how many at once, and what becomes of one that is given up."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from control.clients.openai import ModelReply, ModelToolCall, ModelUsage, Question
from control.flows.choices import Choices
from control.studio.limits import ConcurrencyLimit
from control.studio.trials import Trials
from control.tools import Registry
from hum import ids
from hum.contract.errors import RateLimited, Unavailable
from hum.settings import ControlSettings
from hum.v1 import studio_pb2 as pb
from storage import flows, identity
from storage.db import Db

REQUEST = pb.TryFlowRequest(turns=[pb.TrialTurn(speaker=pb.TRIAL_SPEAKER_CALLER, text="Hello")])


class Slow:
    """Calls a tool that there is not, and then says nothing until it may."""

    text_model = "slow"

    def __init__(self) -> None:
        self.may, self.asked = asyncio.Event(), list[Question]()

    async def respond(self, question: Question) -> ModelReply:
        self.asked.append(question)
        spent = ModelUsage("slow", text_in=100, text_out=10)
        if len(self.asked) % 2:
            return ModelReply("", [ModelToolCall("1", "nothing", "{}")], spent)
        await self.may.wait()
        return ModelReply("Good morning.", (), spent)


async def studio(db: Db, model: Slow, **settings: Any) -> tuple[Trials, UUID, UUID]:
    org, flow = ids.new(), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    async with db.tenant(org) as tx:
        await flows.create(tx, flow, "voice", {"name": "Desk", "channel": "CHANNEL_VOICE"})
    made = ControlSettings(**settings)
    trials = Trials(db, model, Registry(), Choices.of(made), ConcurrencyLimit(made.studio_concurrency), made)
    return trials, org, flow


async def used(db: Db) -> int:
    async with db.system() as tx:
        found: int = await tx.fetchval(
            "SELECT coalesce(sum(quantity), 0) FROM usage_entries WHERE meter = 'text_tokens_in'"
        )
    return found


@pytest.fixture
async def db(database_url: str) -> Any:
    opened = await Db.open(database_url, size=4)
    yield opened
    await opened.close()


async def test_an_organization_has_so_many_at_once_and_no_other_waits(db: Db) -> None:
    model = Slow()
    trials, org, flow = await studio(db, model, studio_concurrency=1)
    first = asyncio.create_task(trials.run(org, flow, REQUEST))
    while len(model.asked) < 2:
        await asyncio.sleep(0.01)
    with pytest.raises(RateLimited, match="under way"):
        await trials.run(org, flow, REQUEST)
    model.may.set()
    answer = await first
    assert answer.text == "Good morning." and [each.name for each in answer.tool_calls] == ["nothing"]
    assert (await trials.run(org, flow, REQUEST)).text == "Good morning."
    assert await used(db) == 400


@pytest.mark.parametrize("is_late", [False, True])
async def test_one_that_is_given_up_ends_and_what_it_used_counts(db: Db, is_late: bool) -> None:
    model = Slow()
    trials, org, flow = await studio(db, model, studio_concurrency=1, studio_seconds=0.3 if is_late else 30)
    taken = asyncio.create_task(trials.run(org, flow, REQUEST))
    while len(model.asked) < 2:
        await asyncio.sleep(0.01)
    if not is_late:
        taken.cancel()
    with pytest.raises(Unavailable if is_late else asyncio.CancelledError):
        await taken
    assert await used(db) == 100
    model.may.set()
    assert (await trials.run(org, flow, REQUEST)).text == "Good morning."


async def test_a_limit_of_none_is_none(db: Db) -> None:
    model = Slow()
    trials, org, flow = await studio(db, model, studio_trials_per_day=0)
    with pytest.raises(RateLimited, match="0 turns of trials today"):
        await trials.run(org, flow, REQUEST)
    assert not model.asked
