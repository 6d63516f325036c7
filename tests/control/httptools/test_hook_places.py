"""Hooks of one organization that are slow leave the hooks of others their places."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from control.httptools import hooks
from control.httptools.hooks import Hooks
from hum import ids
from hum.settings import ControlSettings
from storage import http_tools, tool_runs
from tests.support.waits import until


class NoDb:
    """Transactions without a database."""

    @asynccontextmanager
    async def system(self) -> AsyncIterator[None]:
        yield

    @asynccontextmanager
    async def tenant(self, _: UUID) -> AsyncIterator[None]:
        yield


async def test_an_organization_leaves_as_many_places_for_hooks_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    org_of, began, over = dict[UUID, UUID](), list[UUID](), asyncio.Event()

    async def caller(_: Any, call: UUID) -> Any:
        return SimpleNamespace(org_id=org_of[call], flow_id=None)

    async def in_use(*_: Any) -> list[Any]:
        return [None]

    async def begin(_: Any, call: UUID) -> bool:
        began.append(call)
        await over.wait()
        return False

    monkeypatch.setattr(hooks, "HOOK_CALLS", 4)
    monkeypatch.setattr(hooks, "_hook", lambda _, __, call, ___: SimpleNamespace(run=call))
    monkeypatch.setattr(http_tools, "caller", caller)
    monkeypatch.setattr(http_tools, "in_use", in_use)
    monkeypatch.setattr(tool_runs, "begin", begin)
    nothing: Any = None
    made = Hooks(cast("Any", NoDb()), nothing, nothing, ControlSettings(), nothing)
    ours, theirs = ids.new(), ids.new()
    for org in [ours] * 4 + [theirs] * 2:
        call = ids.new()
        org_of[call] = org
        made.begin(call)
    await until(lambda: len(made._running) == 3)
    assert [org_of[call] for call in began] == [ours, ours, theirs]
    over.set()
    await asyncio.gather(*made._running)
