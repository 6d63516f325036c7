"""Tools that act at once, outside, whatever becomes of the turn: each is carried out once."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from control.clients.openai import ModelError, ModelReply, ModelUsage, Question
from control.tools import AgentTool, Origin, Result, ToolChannel, ToolContext
from storage.db import Tx
from tests.control.textagent.conftest import Desk, call, closed_now

Booked = list[Mapping[str, Any]]


@pytest.fixture
def booked(desk: Desk) -> Booked:
    """What a tool of the organization was asked to do."""
    done = Booked()

    async def book(_: ToolContext, arguments: Mapping[str, Any]) -> Result:
        done.append(arguments)
        return Result({"result": "booked"})

    tool = AgentTool(
        "book",
        "Books.",
        lambda _: {"type": "object", "properties": {}},
        book,
        frozenset(ToolChannel),
        1000,
        origin=Origin("http"),
    )

    async def source(_: Tx, __: UUID, ___: UUID) -> Sequence[AgentTool]:
        return [tool]

    desk.turns._dialogue._registry.add_sources([source])
    return done


async def test_a_model_that_fails_after_a_tool_is_asked_again_where_it_is_known(desk: Desk, booked: Booked) -> None:
    await desk.hear("Book me for 7.")
    desk.model.answers = [[call("book")], ModelError("429"), "Booked."]
    await desk.take()
    assert len(booked) == 1 and await desk.sent() == ["Booked."]
    assert any(item.get("type") == "function_call_output" for item in desk.model.asked[2].items)


async def test_one_that_fails_for_good_leaves_the_contact_to_a_person(desk: Desk, booked: Booked) -> None:
    await desk.hear("Book me for 7.")
    desk.model.answers = [[call("book")], *[ModelError("429")] * 9]
    await desk.take()
    assert len(booked) == 1 and (await desk.run())["reason"] == "model_failed"


async def test_whoever_writes_meanwhile_is_answered_after_what_was_done(desk: Desk, booked: Booked) -> None:
    await desk.hear("Book me for 7.")
    desk.model.answers = [[call("book")], "Booked for 7."]

    async def more() -> None:
        await desk.hear("for four people please")

    desk.model.meanwhile = more
    await desk.take()
    assert await desk.sent() == ["Booked for 7."], "the next turn reads it"
    desk.model.answers = ["For four, noted."]
    await desk.take()
    assert len(booked) == 1 and await desk.sent() == ["Booked for 7.", "For four, noted."]


@pytest.mark.parametrize("closes", [False, True])
async def test_a_turn_whose_worker_died_after_a_tool_is_left_to_a_person(
    desk: Desk, booked: Booked, closes: bool
) -> None:
    """Also if it is night by then: tomorrow's turn would be a new one, and know nothing."""
    await desk.hear("Book me for 7.")
    asked = asyncio.Event()

    async def hang() -> None:
        asked.set()
        await asyncio.Event().wait()

    def then_hang(_: Question) -> ModelReply:
        desk.model.meanwhile = hang
        return ModelReply("", [call("book")], ModelUsage("fake"))

    desk.model.answers = [then_hang]
    taking = asyncio.create_task(desk.take())
    await asyncio.wait_for(asked.wait(), 60)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    if closes:
        await closed_now(desk)
    for run in await desk.open_runs():
        await desk.turns.turn(desk.org, run)
    assert len(booked) == 1 and (await desk.run())["reason"] == "model_failed"
