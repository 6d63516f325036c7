"""Pages of large rows, which end by their bytes: what the rest of a page would be is neither sent nor decoded."""

from collections.abc import Sequence

from hum.pages import PAGE_BYTES


def page(query: str, large: Sequence[str], order: str) -> str:
    """Return the query of a page from one that lists its rows in this order, which no two share.

    A row gets `size`, the bytes of its large columns or of other expressions over `listed`, and the page ends one row after the row that reaches `PAGE_BYTES`, so that the reader
    sees that there is another page.
    """
    size = " + ".join(f"coalesce(octet_length({column}::text), 0)" for column in large)
    return f"""
    WITH listed AS ({query}),
         measured AS (SELECT listed.*, {size} AS size FROM listed),
         sums AS (SELECT sum(size) OVER (ORDER BY {order}) AS size_so_far FROM measured)
    SELECT * FROM measured ORDER BY {order}
     LIMIT (SELECT 2 + count(*) FILTER (WHERE size_so_far < {PAGE_BYTES}) FROM sums)
"""
