"""Processes that are killed between two of their steps, within the test's own."""

import importlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest


class Killed(BaseException):
    """The process is gone: its connection is closed, and its transaction rolled back."""


def kill_after(monkeypatch: pytest.MonkeyPatch, step: str, times: frozenset[int]) -> Counter[str]:
    """Kill whoever calls the function, at these of its calls, once it has returned; count the calls and the kills.

    `step`: `module:name`.
    """
    module, _, name = step.partition(":")
    home = importlib.import_module(module)
    function: Callable[..., Awaitable[Any]] = getattr(home, name)
    seen = Counter[str]()

    async def deadly(*args: Any, **named: Any) -> Any:
        found = await function(*args, **named)
        seen["calls"] += 1
        if seen["calls"] in times:
            seen["kills"] += 1
            raise Killed
        return found

    monkeypatch.setattr(home, name, deadly)
    return seen
