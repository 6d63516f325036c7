"""A text's agent with a tool that needs a person's approval, and the worker that runs what was approved."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from control.approvals import usecases
from control.approvals.executor import DecisionExecutor
from control.approvals.requests import ApprovalRequester
from control.bus import PostgresBus
from control.livecall.commands import Commands
from control.tools import AgentTool, Registry, Result, ToolChannel, ToolContext, ToolPolicy
from hum.settings import ControlSettings
from storage import approvals
from storage.approvals import ApprovalRow
from tests.control.textagent.conftest import Desk, desk
from tests.control.texts.conftest import texting

__all__ = ["desk", "texting"]
SCHEMA = {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]}


@dataclass
class Office:
    """`ran`: the arguments with which the tool ran; `gate`: it waits for that; `more`: what else it answers."""

    desk: Desk
    executor: DecisionExecutor
    ran: list[Mapping[str, Any]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    more: dict[str, Any] = field(default_factory=dict)

    async def run(self, _: ToolContext, arguments: Mapping[str, Any]) -> Result:
        self.ran.append(arguments)
        await self.gate.wait()
        return Result({"refunded": arguments["order"], **self.more})

    async def all(self) -> list[ApprovalRow]:
        async with self.desk.db.tenant(self.desk.org) as tx:
            return await approvals.page(tx, None, None, (None, None), 50)

    async def only(self) -> ApprovalRow:
        (row,) = await self.all()
        return row

    async def approve(self, id: UUID) -> None:
        async with self.desk.db.tenant(self.desk.org) as tx:
            await usecases.approve(tx, id, "Ada", None)

    async def deny(self, id: UUID, reason: str | None = None) -> None:
        async with self.desk.db.tenant(self.desk.org) as tx:
            await usecases.deny(tx, id, "Ada", reason)

    async def work(self, id: UUID) -> None:
        await self.executor.execute(self.desk.org, id)


@pytest.fixture
async def office(desk: Desk) -> AsyncIterator[Office]:
    registry: Registry = desk.turns._dialogue._registry
    settings = ControlSettings(approval_stuck_seconds=30)
    bus = PostgresBus(desk.db, retry_seconds=1)
    made = Office(desk, DecisionExecutor(desk.db, registry, Commands(desk.db, bus, settings), settings))
    made.gate.set()
    tool = AgentTool(
        "refund",
        "Refunds an order.",
        lambda _: SCHEMA,
        made.run,
        frozenset({ToolChannel.TEXT}),
        20_000,
        policy=ToolPolicy.APPROVAL,
    )
    registry.add([tool])
    registry.set_approver(ApprovalRequester(desk.db, settings).request)
    yield made


async def age(office: Office, by: timedelta) -> None:
    """So much time goes by."""
    await office.desk.rows(
        "UPDATE approvals SET begun_at = begun_at - $1::interval, touched_at = touched_at - $1::interval RETURNING id",
        by,
    )
