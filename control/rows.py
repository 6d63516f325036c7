"""Rows that a sweep finishes, each on its own: one that fails does not stop the others."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from prometheus_client import Counter

from hum.telemetry import log
from storage.db import AWAY

LOG = log(__name__)
FAILED = Counter("hum_swept_rows_failed_total", "Rows that a sweep could not finish", ["sweep"])

T = TypeVar("T")


async def each_row(sweep: str, rows: Iterable[T], step: Callable[[T], Awaitable[bool]]) -> int:
    """Take the step for each row; return for how many it did something.  Raises only AWAY."""
    done = 0
    for row in rows:
        try:
            done += await step(row)
        except AWAY:
            raise
        except Exception:
            FAILED.labels(sweep).inc()
            LOG.exception("a row was not swept", sweep=sweep, row=str(row))
    return done
