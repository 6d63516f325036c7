"""Examining what one organization's servers list leaves room for the others'."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from control.mcp import pinning, serving
from control.mcp.pinning import ListedTool
from hum import ids
from storage import mcp


async def test_a_changed_tool_does_not_wait_for_all_that_another_organization_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examined = list[str]()

    def examine(listed: Sequence[ListedTool], _: object) -> Iterator[str]:
        for tool in listed:
            examined.append(tool.name)
            yield tool.name

    @asynccontextmanager
    async def tenant(_: object) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(serving, "SLICE_MS", 0.0)
    monkeypatch.setattr(pinning, "examine", examine)
    monkeypatch.setattr(mcp, "tools", AsyncMock(return_value=[]))
    reader = serving.McpServing(Mock(tenant=tenant), Mock(), Mock(), Mock())
    apply = AsyncMock(side_effect=lambda _, row, tools, __: (row, list(tools)))
    monkeypatch.setattr(reader, "_apply", apply)
    hostile, other = ids.new(), ids.new()

    def take(organization: Any, tools: int, name: str) -> asyncio.Task[Any]:
        listed = [ListedTool(name, "Finds.", {}) for _ in range(tools)]
        row = Mock(org_id=organization)
        return asyncio.create_task(reader._take(row, listed, "1"))

    theirs = [take(hostile, 20, "theirs") for _ in range(5)]
    await take(other, 1, "ours")
    assert examined.index("ours") <= 2
    await asyncio.gather(*theirs)
    assert examined.count("theirs") == 100 and apply.await_count == 6
    assert not reader._taking
