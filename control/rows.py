"""Sweeps over rows, in which a row that fails does not stop the others."""

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
