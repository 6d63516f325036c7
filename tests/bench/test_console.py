"""The benchmark of the console: what it says, and the clinic that it fills."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bench.console import __main__ as console
from bench.console import clinic
from hum import ids, peaks
from hum.wave import BYTES_PER_MS, HEADER
from storage import call_records, identity, inbox
from storage.db import Db

CALLS, THREADS = 40, 12


def test_what_misses_is_marked() -> None:
    loads = {
        "/calls": [{"ms": ms, "requests": 20, "kilobytes": 200} for ms in (900, 1100, 1200)],
        "/": [{"ms": 400, "requests": 9, "kilobytes": 9}],
    }
    calls, home = console.lines("loads", loads)
    assert (calls.seen, calls.is_met, home.seen, home.is_met) == (1100, False, 400, True)
    judged: list[dict[str, Any]] = [
        {"page": "call", "form": form, "scores": {"performance": 94, "seo": 100}, "complaints": []}
        for form in ("desk", "phone")
    ]
    desk, phone = console.lines("lighthouse", judged)
    assert (desk.seen, desk.is_met, phone.is_met) == (94, False, True), "of a score more is better; a phone's is told"
    rows = console.table([calls, home, desk]).splitlines()
    assert [("**missed**" in row) for row in rows[2:]] == [True, False, True]


def test_words_that_nobody_saw_are_a_miss() -> None:
    (line,) = console.lines("words", [])
    assert not line.is_met


def test_a_long_call_is_held_against_a_short_one() -> None:
    rounds = [
        {"short_ms": 100, "short_kb": 2, "long_ms": ms, "long_kb": 9, "begin_ms": 300, "most_lines": lines}
        for ms, lines in ((120, 30), (130, 61))
    ]
    _, long, _, kept = console.lines("transcript", rounds)
    assert (long.seen, long.must, long.is_met, kept.is_met) == (125, 125, True, False)


def test_scrolling_has_bounds() -> None:
    frames = {"frames": 1000, "late": 10, "longest_ms": 40, "blank": 0, "busy_ms": 4.2, "rows": 50}
    found = {"down": frames, "up": frames | {"late": 11, "blank": 1, "busy_ms": 11, "rows": 100}}
    walked = {"heap_before_mb": 20, "heap_after_mb": 71, "rows": 100_000, "walk_seconds": 60, "home_ms": 1001}
    lines = console.lines("scroll", found | walked)
    assert [each.is_met for each in lines] == [*[True] * 4, *[False] * 6]


@pytest.mark.bench
async def test_a_clinic(database_url: str, tmp_path: Path) -> None:
    db = await Db.open(database_url, size=2)
    org, number, flow = ids.new(), ids.new(), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities) VALUES ($1, $2, '+13175550100', 'PN1', '{voice,sms}')",
        number, org,
    )  # fmt: skip
    await connection.execute("INSERT INTO flows (id, org_id, channel, version) VALUES ($1, $2, 'voice', 1)", flow, org)
    place = clinic.Place(org, number, "+13175550100", flow)
    newest = await clinic.fill(database_url, tmp_path, place, clinic.Size(CALLS, THREADS, minutes=2))
    async with db.tenant(org) as tx:
        page = await call_records.page(tx, call_records.CallFilter(), None, 100)
        threads = await inbox.page(tx, inbox.InboxFilter(status="open"), None, 100)
        assert len(page) == CALLS and ids.show(ids.Kind.CALL, page[0].id) == newest
        assert 0 < len(threads) <= THREADS
        counted = await tx.fetchval("SELECT sum(calls) FROM call_rollups")
    assert counted == CALLS
    turns = await connection.fetchval("SELECT count(*) FROM call_turns WHERE call_id = $1", page[0].id)
    assert turns == 2 * clinic.TURNS_A_MINUTE
    is_recorded_for(2, tmp_path)
    await connection.close()
    await db.close()


def is_recorded_for(minutes: int, directory: Path) -> None:
    (wav,) = directory.glob("*.wav")
    drawn = peaks.unpack(peaks.path_for(wav).read_bytes())
    assert wav.stat().st_size == HEADER.size + minutes * 60_000 * BYTES_PER_MS
    assert drawn is not None and drawn.shape == (2, minutes * 60 * peaks.PER_SECOND) and drawn[0].max() > 0
