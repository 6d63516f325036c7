"""Waits of libraries that no test is about."""

import asyncio
from types import FunctionType, ModuleType

import uvicorn

#: How often an ending server looks whether its connections are gone.
LOOK_SECONDS = 0.005


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(min(seconds, LOOK_SECONDS))


def end_servers_at_once() -> None:
    """Have uvicorn's servers end without waiting a tenth of a second first, which is longer than most tests take."""
    hasty = ModuleType("asyncio")
    vars(hasty).update(vars(asyncio) | {"sleep": _sleep})
    for name in ("shutdown", "_wait_tasks_to_complete"):
        method = vars(uvicorn.Server)[name]
        setattr(
            uvicorn.Server,
            name,
            FunctionType(method.__code__, vars(uvicorn.server) | {"asyncio": hasty}, name, method.__defaults__),
        )
