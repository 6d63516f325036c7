"""Waits of libraries that no test is about, and work that they do anew for each."""

import asyncio
import functools
from types import FunctionType, ModuleType

import uvicorn
from hypothesis.internal.conjecture import providers
from starlette import routing

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


def draw_no_constants_of_ours() -> None:
    """Have Hypothesis look for none in our sources: it would parse all of them, and any change would change all examples."""
    providers._get_local_constants = lambda: providers._local_constants


def compile_paths_once() -> None:
    """Have every gateway of this process share the expressions of its two hundred routes."""
    routing.compile_path = functools.cache(routing.compile_path)
