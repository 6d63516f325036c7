"""Pages of large rows, which end by their bytes: what the rest of a page would be is neither sent nor decoded."""

from collections.abc import Sequence

from hum.pages import PAGE_BYTES


def page(query: str, columns: str, large: Sequence[str], key: str) -> str:
    """Return the query of a page from one that selects these columns, and `size`, the bytes of the large ones.

    It ends one row after the row that reaches `PAGE_BYTES`, so that the reader sees that there is another page.  Rows are in descending order
    of the key.
    """
    size = " + ".join(f"coalesce(octet_length({column}::text), 0)" for column in large)
    return f"""
    WITH listed AS ({query}),
         measured AS (SELECT listed.*, {size} AS size FROM listed),
         summed AS (SELECT measured.*, sum(size) OVER (ORDER BY {key} DESC
                                                       ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS size_before
                      FROM measured)
    SELECT {columns}, size FROM summed WHERE coalesce(size_before, 0) < {PAGE_BYTES} ORDER BY {key} DESC
"""
