"""Sweeps of executions: end the tests that a dead process has left, and prune old rows."""

from datetime import timedelta

from control.tools import failed
from hum.json.storable import dumped
from storage import tool_runs
from storage.db import Db

#: Seconds after which the process of a test must have died: no tool has so long.
TEST_STUCK_SECONDS = 300.0
#: Rows ended, or pruned, per sweep.
ROWS = 1000
LOST = "HUM ended during the test. It is not known whether the tool did what it should."


async def end_stale_tests(db: Db) -> int:
    """End tests whose process has died; return how many."""
    async with db.system() as tx:
        age = timedelta(seconds=TEST_STUCK_SECONDS)
        return await tool_runs.end_stale_tests(tx, age, dumped(failed(LOST).output), ROWS)


async def prune(db: Db, keep: timedelta) -> int:
    """Prune rows that are older than `keep`, or than their organization's retention time; return how many."""
    async with db.system() as tx:
        return await tool_runs.prune(tx, keep, ROWS)
