"""The threads in which templates are rendered and answers are read.

Such work is bounded, but its milliseconds would delay the event loop of all calls.  It has few threads of its own, so
that it delays no other work in threads either.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="templates")


async def in_thread(body: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a body in one of the threads, after those that wait."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(body, *args, **kwargs))
