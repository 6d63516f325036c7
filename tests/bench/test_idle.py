import os

import pytest

from bench import idle
from bench.idle import Counters

LOG = """\
\x01127.0.0.1(4001)\x02LOG:  statement: BEGIN
\x01127.0.0.1(4001)\x02LOG:  execute __asyncpg_stmt_3__:
\tSELECT id FROM messages
\t WHERE lane = 1 AND kind = 'a'
\x01127.0.0.1(4002)\x02LOG:  statement: BEGIN
\x01127.0.0.1(4003)\x02LOG:  statement: COMMIT
\x01\x02LOG:  checkpoint starting: time
"""


def test_statements_are_counted_by_process() -> None:
    assert idle.tally(LOG, {4001: "worker", 4002: "control"}) == {
        "worker": {"BEGIN": 1, "SELECT id FROM messages WHERE lane = ? AND kind = ?": 1},
        "control": {"BEGIN": 1},
        "others": {"COMMIT": 1},
    }


def test_figures_are_differences_by_time() -> None:
    rows = {"inserted": 0, "updated": 10, "deleted": 0}
    before = Counters(
        0.0, {"transactions": 100, "wal_bytes": 0, "page_images": 0}, {"a": rows, "b": rows}, {"worker": 1}
    )
    after = Counters(
        30.0,
        {"transactions": 160, "wal_bytes": 5_000, "page_images": 1},
        {"a": {**rows, "updated": 25}, "b": rows},
        {"worker": 1.3, "media": 0.6},
    )
    found = idle.between(before, after, {"worker": {"BEGIN": 5}}, 10.0)
    assert (found.transactions_per_second, found.wal_bytes_per_minute, found.page_images_per_minute) == (2, 10_000, 2)
    assert found.rows_per_minute == {"a": {"inserted": 0, "updated": 30, "deleted": 0}}
    assert found.cores == pytest.approx({"worker": 0.01, "media": 0.02})
    assert found.statements_per_minute == {"worker": {"BEGIN": 30}}
    assert "| WAL, kB a minute | 10.0 |" in idle.table(found, 5)


def test_a_process_has_its_own_connections() -> None:
    assert idle.ports({os.getpid(): "PostgreSQL"}) == {}, "only the clients' ends are looked for"
