"""A page of large rows is cut in the database, before its rows are sent."""

import pytest

from hum.pages import PAGE_BYTES
from storage import largerows
from storage.db import Db

ROWS = "SELECT n, repeat('x', $1::int) AS body FROM generate_series(1, 50) AS n ORDER BY n"


@pytest.mark.parametrize(
    ("row_bytes", "rows"),
    [(10, 50), (PAGE_BYTES // 4, 5), (PAGE_BYTES - 1, 3), (PAGE_BYTES, 2), (2 * PAGE_BYTES, 2)],
)
async def test_a_page_ends_one_row_after_the_row_that_fills_it(database_url: str, row_bytes: int, rows: int) -> None:
    db = await Db.open(database_url, size=1)
    async with db.system() as tx:
        found = await tx.fetch(largerows.page(ROWS, ["body"], "n"), row_bytes)
    await db.close()
    assert [row["n"] for row in found] == list(range(1, rows + 1))
    assert {row["size"] for row in found} == {row_bytes}
