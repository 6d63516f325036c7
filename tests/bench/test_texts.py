"""The kill matrix and the benchmark of texts, shortened; and that the matrix sees what it is there to see."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.texts import matrix, speed
from bench.texts.matrix import Cell
from bench.texts.truth import NAMED, Outcome, Recipients, judge
from control.texts.posting import STEPS
from tests.support import seam
from tests.support.runningplatform import FAST, start_platform

AUDIENCE = Recipients.of(0, 60)
ANN = AUDIENCE.all[10]


def truth(list_works: bool = True) -> Outcome:
    """Return the outcome of a campaign without faults."""
    reported, accepted, counts = dict[str, str](), dict[str, list[str]](), dict.fromkeys(("total", *NAMED), 0)
    for each in AUDIENCE.all:
        status = "delivered" if list_works else "sent"
        status = "failed" if each in AUDIENCE.refused or (list_works and each in AUDIENCE.undelivered) else status
        status = "opted_out" if each in AUDIENCE.opted_out else status
        reported[each] = "unknown" if not list_works and each in AUDIENCE.dropped else status
        accepted[each] = [] if each in AUDIENCE.refused | AUDIENCE.opted_out else ["delivered"]
        counts[reported[each]] += 1
    counts["total"] = len(AUDIENCE.all)
    sent = {each: len(texts) for each, texts in accepted.items()}
    return Outcome(list_works, reported, counts, dict.fromkeys(AUDIENCE.all, 1), accepted, sent)


@pytest.mark.parametrize("list_works", [True, False])
def test_the_truth_is_no_violation(list_works: bool) -> None:
    found = judge(AUDIENCE, truth(list_works))
    assert found.complaints == () and found.unknown == (0 if list_works else len(AUDIENCE.dropped)) and AUDIENCE.dropped


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sent": {ANN: 2}}, "twice: 1"),
        ({"accepted": {ANN: ["delivered", "queued"]}}, "twice: 1"),
        ({"sent": {ANN: 0}, "accepted": {ANN: []}}, "missing: 1"),
        ({"reported": {ANN: "sending"}}, "unnamed: 1"),
        ({"reported": {ANN: "failed"}}, "differ: 1"),
        ({"reported": {ANN: "unknown"}}, "unknown: 1 too many, 0 too few"),
        ({"counts": {"delivered": 3}}, "counters"),
        ({"counts": {"total": 3}}, "recipients are gone"),
        ({"messages": {ANN: 2}}, "messages"),
        ({"reported": {min(AUDIENCE.opted_out): "delivered"}}, "differ: 1"),
    ],
)
def test_a_violation_is_seen(change: dict[str, Any], complaint: str) -> None:
    found = truth()
    changed: dict[str, Any] = {name: {**getattr(found, name), **values} for name, values in change.items()}
    assert any(each.startswith(complaint) for each in judge(AUDIENCE, replace(found, **changed)).complaints)


def test_with_the_list_down_only_those_in_flight_may_be_unknown_besides() -> None:
    found = truth(list_works=False)
    ben = min(AUDIENCE.ordinary - AUDIENCE.dropped)
    counts = {**found.counts, "unknown": found.counts["unknown"] + 1, "sent": found.counts["sent"] - 1}
    more = replace(found, reported={**found.reported, ben: "unknown"}, counts=counts)
    assert judge(AUDIENCE, more).complaints == ("unknown: 1 too many, 0 too few",)
    assert judge(AUDIENCE, replace(more, in_flight=frozenset({ben}))).complaints == ()


def test_the_matrix_kills_each_part_at_every_step() -> None:
    cells = matrix.cells(300, (1, 3), 2000)
    assert {f"send: {each}" for each in STEPS} <= set(seam.steps())
    for victim in ("worker", "control", "postgres"):
        for workers in (1, 3):
            mine = [each for each in cells if (each.victim, each.workers, each.recipients) == (victim, workers, 300)]
            assert {each.step for each in mine if each.list_works} == set(seam.steps())
            assert {each.step for each in mine if not each.list_works} == {f"send: {each}" for each in STEPS}
    assert {each.step for each in cells if each.recipients == 2000} == {f"send: {each}" for each in STEPS}


@pytest.mark.bench
@pytest.mark.timeout(600)
async def test_killed_where_it_hurts_each_gets_its_text_once(tmp_path: Path) -> None:
    cells = [
        Cell("postgres", "send: posted", 1, 50),
        Cell("postgres", "launch: queued", 1, 50),
        Cell("control", "callback: message set", 1, 50),
        Cell("control", "dispatch: texts written", 1, 50),
        Cell("worker", "send: posting", 1, 50, list_works=False),
    ]
    rows = await matrix.measure(cells, tmp_path / "home")
    assert not any(each.complaints for each in rows), matrix.table(rows)
    assert len(rows) == len(cells) and all(each.kills for each in rows)


@pytest.mark.bench
async def test_every_figure_is_measured(tmp_path: Path) -> None:
    async with start_platform(tmp_path / "home", settings=FAST) as made:
        figures = [
            await speed.campaign(made, 0, 40, callbacks=False),
            await speed.campaign(made, 40, 40, callbacks=True),
        ]
        figures += await speed.lag(made, 0, 20, 50)
        figures += await speed.inbound(made, 0, 40, 50)
    assert len(figures) == 6 and all(each.value > 0 for each in figures)
    assert made.carrier.texting.book.requests_in_all == 100
