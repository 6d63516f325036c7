"""What callers noticed, worked out of what was seen."""

from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from bench.whole.judge import ApiRequest, Disturbance, Facts, JudgedCall, Text, rows, table
from bench.whole.outside import experience

BEFORE, AFTER = Disturbance("quiet", 0, 10), Disturbance("a dies", 10, inf)


def test_everything_belongs_to_its_phase() -> None:
    calls = [
        JudgedCall(1, 9, closed=False, refused=False),
        JudgedCall(2, 12, closed=True, refused=False, silences=[(3, 5)]),
        JudgedCall(11, 13, closed=True, refused=True),
        JudgedCall(4, 30, closed=False, refused=False, silences=[(9, 10.5), (11, 18)], resumed=[18]),
    ]
    requests = [
        ApiRequest(1, 1.1),
        ApiRequest(9.9, 10.2, "closed"),
        ApiRequest(11, 12, "503"),
        ApiRequest(12, 22, "no answer"),
        ApiRequest(13, 14, "503"),
    ]
    quiet, dead = rows(Facts(calls, requests=requests), [BEFORE, AFTER])
    assert (quiet.calls, quiet.refused, quiet.closed, quiet.resumed) == (3, 0, 0, 0)
    assert (dead.calls, dead.refused, dead.closed, dead.resumed) == (1, 1, 1, 1)
    assert (quiet.silence_p50, quiet.longest_silence) == (1.75, 2) and dead.longest_silence == 7
    assert (quiet.requests, quiet.faults) == (2, {})
    assert (dead.requests, dead.faults) == (3, {"503": 2, "no answer": 1, "closed": 1})
    assert quiet.recovered == 0 and dead.recovered == 12, "the last request that failed"
    shown = table([quiet, dead])
    assert "2 × 503, 1 × closed, 1 × no answer" in shown and "1.0 / 7.0" not in shown and "7.0 / 7.0 s" in shown


@pytest.mark.parametrize(
    ("text", "lost", "doubled", "not_taken"),
    [
        (Text(1, 1.2, 1), 0, 0, 0),
        (Text(1, None, 0), 1, 0, 0),
        (Text(1, 1.2, 2), 0, 1, 0),
        (Text(1, None, 0, accepted=False), 0, 0, 1),
        (Text(1, 3.0, 1, accepted=False), 0, 0, 0),
        (Text(1, 3.0, 2, accepted=False), 0, 1, 0),
    ],
)
def test_texts_that_are_lost_doubled_and_not_taken(text: Text, lost: int, doubled: int, not_taken: int) -> None:
    for facts in (Facts(texts_out=[text]), Facts(texts_in=[text])):
        (row,) = rows(facts, [BEFORE])
        assert (row.texts, row.lost, row.doubled, row.not_taken) == (1, lost, doubled, not_taken)
        assert row.slowest_text == (0 if text.left is None else pytest.approx(text.left - 1))


def call(*streams: Any, is_over: bool = False) -> Any:
    return SimpleNamespace(streams=streams, is_over=is_over)


def stream(zero: float | None, agent: list[tuple[float, float]], caller: list[tuple[float, float | None]]) -> Any:
    def spans(each: list[Any]) -> list[Any]:
        return [SimpleNamespace(start_ms=start, end_ms=end) for start, end in each]

    playout, spoken = SimpleNamespace(segments=spans(agent)), SimpleNamespace(spans=spans(caller))
    return SimpleNamespace(started_at=zero, playout=playout, spoken=spoken)


def test_silence_is_when_nobody_speaks_whatever_the_stream() -> None:
    first = stream(100.5, [(0, 2_000), (4_000, 5_000)], [(1_500, 3_800)])
    second = stream(112.0, [(500, 1_500)], [(2_000, None)])
    lived = experience(call(first, second), 100, 120)
    assert lived.silences == [(105.5, 112.5)] and lived.resumed == [112.0]
    assert not lived.closed and not lived.refused


def test_a_caller_who_hears_nothing_at_all_and_one_who_is_refused() -> None:
    assert experience(call(stream(None, [], [])), 100, 107).silences == [(100, 107)]
    refused = experience(call(is_over=True), 100, 102)
    assert refused.refused and refused.closed
    closed = experience(call(stream(100.1, [(0, 900)], []), is_over=True), 100, 102)
    assert closed.closed and not closed.refused and closed.silences == [(101.0, 102)]
