"""Sweeps over rows, in which a row that fails does not stop the others."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from prometheus_client import Counter

from hum.observe.logs import log
from storage.db import UNAVAILABLE

LOG = log(__name__)
FAILED = Counter("hum_swept_rows_failed_total", "Rows that a sweep could not finish", ["sweep"])

T = TypeVar("T")


async def each_row(sweep: str, rows: Iterable[T], step: Callable[[T], Awaitable[bool]]) -> int:
    """Run the step for each row; return for how many it did something.  Raises only UNAVAILABLE."""
    done = 0
    for row in rows:
        try:
            done += await step(row)
        except UNAVAILABLE:
            raise
        # The boundary of one row: the sweep goes on with the next.
        except Exception:
            FAILED.labels(sweep).inc()
            LOG.exception("could not sweep a row", sweep=sweep, row=str(row))
    return done


async def rows_at_once(sweep: str, rows: Iterable[T], step: Callable[[T], Awaitable[bool]], concurrency: int) -> int:
    """Run the step for up to `concurrency` rows at a time; return for how many it did something.

    Raises only UNAVAILABLE, after all steps have ended.
    """
    concurrent = asyncio.Semaphore(concurrency)

    async def one(row: T) -> int:
        async with concurrent:
            return await each_row(sweep, [row], step)

    done = 0
    for result in await asyncio.gather(*map(one, rows), return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        done += result
    return done
