"""Examining what one organization's servers list leaves room for the others', and so does a server that can't be read."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from control.mcp import pinning, serving
from control.mcp.pinning import ListedTool, ToolReading
from hum import ids
from hum.clock import monotonic_ms
from hum.contract.errors import NotFound
from hum.secrets import Unsealable
from storage import mcp


@asynccontextmanager
async def transaction(*_: object) -> AsyncIterator[None]:
    yield


async def test_a_changed_tool_does_not_wait_for_all_that_another_organization_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examined = list[str]()

    def examine(listed: Sequence[ListedTool], _: object) -> Iterator[str]:
        for tool in listed:
            examined.append(tool.name)
            yield tool.name

    monkeypatch.setattr(serving, "SLICE_MS", 0.0)
    monkeypatch.setattr(pinning, "examine", examine)
    monkeypatch.setattr(mcp, "tools", AsyncMock(return_value=[]))
    reader = serving.McpServing(Mock(tenant=transaction), Mock(), Mock(), Mock())
    apply = AsyncMock(side_effect=lambda _, row, __, tools, ___: (row, list(tools)))
    monkeypatch.setattr(reader, "_apply", apply)
    hostile, other = ids.new(), ids.new()

    def take(organization: Any, tools: int, name: str) -> asyncio.Task[Any]:
        listed = ToolReading(monotonic_ms(), [ListedTool(name, "Finds.", {}) for _ in range(tools)])
        row = Mock(org_id=organization)
        return asyncio.create_task(reader._take(row, listed, "1"))

    theirs = [take(hostile, 20, "theirs") for _ in range(5)]
    await take(other, 1, "ours")
    assert examined.index("ours") <= 2
    await asyncio.gather(*theirs)
    assert examined.count("theirs") == 100 and apply.await_count == 6
    assert not reader._organization_locks


async def test_a_cancelled_reading_holds_its_turn_until_its_thread_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def examine(listed: Sequence[ListedTool], _: object) -> Iterator[str]:
        for tool in listed:
            begun.set()
            may_end.wait(20)
            yield tool.name

    monkeypatch.setattr(pinning, "examine", examine)
    monkeypatch.setattr(mcp, "tools", AsyncMock(return_value=[]))
    reader = serving.McpServing(Mock(tenant=transaction), Mock(), Mock(), Mock())
    organization = ids.new()
    reading = ToolReading(monotonic_ms(), [ListedTool("a", "Finds.", {})])
    taking = asyncio.create_task(reader._take(Mock(org_id=organization), reading, "1"))
    await asyncio.to_thread(begun.wait, 20)
    for _ in range(2):
        taking.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
    assert not taking.done() and reader._turns.are_taken() and reader._organization_locks[organization].locked()
    may_end.set()
    await asyncio.wait((taking,))
    assert taking.cancelled() and not reader._turns.are_taken() and not reader._organization_locks


async def test_a_bug_in_one_reading_ends_no_other_and_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's errors, and that a server was deleted, are none."""
    due, read = [(ids.new(), ids.new()) for _ in range(4)], list[Any]()
    monkeypatch.setattr(mcp, "due", AsyncMock(return_value=due))
    reader = serving.McpServing(Mock(system=transaction), Mock(), Mock(), Mock())
    outcomes = dict(zip((id for _, id in due), (NotFound(), TypeError("a bug"), OSError(), None), strict=True))

    async def refresh(_: object, id: Any) -> None:
        await asyncio.sleep(0)
        read.append(id)
        if error := outcomes[id]:
            raise error

    monkeypatch.setattr(reader, "refresh", refresh)
    with pytest.raises(ExceptionGroup) as raised:
        await reader.refresh_due()
    assert read == [id for _, id in due]
    (bug,) = raised.value.exceptions
    assert isinstance(bug, TypeError) and bug.__notes__ == [f"MCP server {due[1][1]}"]


async def test_secrets_that_can_not_be_opened_are_a_failure_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = list[str]()
    monkeypatch.setattr(mcp, "get", AsyncMock())
    monkeypatch.setattr(mcp, "time_ago", AsyncMock())
    monkeypatch.setattr(
        mcp, "record_failure", AsyncMock(side_effect=lambda _, __, failure, ___: failures.append(failure))
    )
    sealer = Mock(open=Mock(side_effect=Unsealable("no key of version 2")))
    reader = serving.McpServing(Mock(tenant=transaction), Mock(), sealer, Mock(mcp_refresh_limit_seconds=20))
    await reader.refresh(ids.new(), ids.new())
    assert failures == [serving.SEALED]
    result = await reader._run(Mock(), Mock(), {})
    assert not result.ok and serving.SEALED in str(result.output)
