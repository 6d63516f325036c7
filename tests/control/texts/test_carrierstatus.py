"""What the carrier's words mean, in any order."""

import itertools
from bisect import bisect_left
from datetime import UTC, datetime, timedelta

import pytest

from control.texts import carrierstatus, retries, sendpace
from control.texts.carrierstatus import AttemptState

WORDS = [
    ("queued", None),
    ("sent", None),
    ("delivered", None),
    ("undelivered", "30003"),
    ("failed", "30008"),
    ("read", None),
    ("canceled", None),
]
NOW = datetime(2026, 3, 7, 20, 0, tzinfo=UTC)


def stands(*words: tuple[str, str | None]) -> AttemptState | None:
    return carrierstatus.standing(each for status, code in words if (each := carrierstatus.ranked(status, code)))


def test_every_order_of_every_subset_stands_the_same() -> None:
    for size in range(1, len(WORDS) + 1):
        for subset in itertools.combinations(WORDS, size):
            orders = itertools.permutations(subset)
            assert len({stands(*order, order[0]) for order in orders}) == 1, subset


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ([("queued", None)], "sent", None),
        ([("sent", None), ("queued", None)], "sent", None),
        ([("delivered", None), ("sent", None)], "delivered", None),
        ([("delivered", None), ("undelivered", "30005")], "undelivered", "30005"),
        ([("failed", None), ("failed", "30008")], "failed", "30008"),
        ([("failed", "30001"), ("failed", None)], "failed", "30001"),
        ([("failed", "30001"), ("failed", "21610")], "opted_out", "21610"),
        ([("failed", "30008"), ("read", None)], "delivered", None),
        ([("failed", "21610")], "opted_out", "21610"),
        ([("sent", "30008")], "sent", None),
    ],
)
def test_the_greatest_word_counts(words: list[tuple[str, str | None]], status: str, code: str | None) -> None:
    found = stands(*words)
    assert found is not None and (found.status, found.error_code) == (status, code)


def test_a_word_of_no_standing_says_nothing() -> None:
    assert stands(("receiving", None), ("x", "1")) is None


def test_what_is_sent_again_and_when() -> None:
    assert retries.retry_at("30003", 0, NOW, None) == NOW + timedelta(minutes=15)
    assert retries.retry_at("30003", 1, NOW, None) is None
    assert [retries.retry_at("30001", n, NOW, None) for n in range(4)] == [
        *(NOW + timedelta(minutes=m) for m in (1, 2, 4)),
        None,
    ]
    assert retries.retry_at("30007", 0, NOW, None) is None and retries.retry_at(None, 0, NOW, None) is None
    assert retries.retry_at("30610", 0, NOW, NOW + timedelta(hours=3)) == NOW + timedelta(hours=3)
    # The carriers' day ends at midnight in Los Angeles, also when that day has 23 hours.
    assert retries.retry_at("30027", 0, NOW, None) == datetime(2026, 3, 8, 8, tzinfo=UTC)
    assert retries.next_carrier_day(datetime(2026, 3, 8, 9, tzinfo=UTC)) == datetime(2026, 3, 9, 7, tzinfo=UTC)


#: What the carrier's dictionary says of each, and what is done besides telling of it.
AGAIN, STOPS, FLAGS, ALERTS, FINAL = "sent again", "stops the number", "flags the contact", "alerts", "final"
CODES = {
    AGAIN: {"30001", "30003", "30017", "30410", "30022", "30610", "14107", "63018"},
    STOPS: {"20003", "20404", "30002", "30023", "30027", "30032", "30034"},
    FLAGS: {"21211", "21614", "30640"},
    ALERTS: {"21408"},
    FINAL: {
        "21606", "21608", "21610", "21612", "21617", "21620", "21623", "30004", "30005", "30006", "30007", "30008", "30019", "30450",
        "99999",
    },
}  # fmt: skip


@pytest.mark.parametrize(("done", "code"), [(done, code) for done, codes in CODES.items() for code in sorted(codes)])
def test_what_is_done_about_each_code(done: str, code: str) -> None:
    cure = retries.cure(code)
    if cure.stops:
        assert done == STOPS
        return
    assert done == (AGAIN if cure.again else FLAGS if cure.flags else ALERTS if cure.alerts else FINAL)
    sent_again = retries.retry_at(code, 0, NOW, NOW + timedelta(hours=1))
    assert (sent_again is not None and sent_again > NOW) == (done == AGAIN)
    assert retries.retry_at(code, cure.again, NOW, NOW) is None, "not for ever"


def test_a_number_that_was_stopped_waits() -> None:
    assert sendpace.stopped_seconds("30034", NOW, NOW + timedelta(seconds=100), 900) == 800
    assert sendpace.stopped_seconds("30034", NOW, NOW + timedelta(seconds=901), 900) == 0
    assert sendpace.stopped_seconds("30023", NOW, NOW, 900) == 12 * 3600
    assert sendpace.stopped_seconds(None, None, NOW, 900) == 0


def test_setbacks_slow_and_are_forgiven() -> None:
    assert [sendpace.setbacks(3, ago, 60) for ago in (0, 59, 61, 125, 1000)] == [3, 3, 2, 1, 0]
    assert [sendpace.pace(8.0, n) for n in (0, 1, 3, 100)] == [8.0, 4.0, 1.0, 8.0 / 64]
    assert [sendpace.backoff_seconds(5, n, 300) for n in (0, 1, 2, 99)] == [5, 10, 20, 300]


@pytest.mark.parametrize("per_minute", [1, 7, 60, 100, 999, 6000])
@pytest.mark.parametrize("texts", [1, 2, 7, 50])
def test_in_no_minute_leave_more_than_a_campaign_may(per_minute: int, texts: int) -> None:
    texts = min(texts, per_minute)
    step = sendpace.campaign_step(per_minute, texts)
    starts = [n * step for n in range(int(180 / step) + 1)]
    for index, begin in enumerate(starts[: int(60 / step) + 1]):
        assert texts * (bisect_left(starts, begin + 60 - 1e-9) - index) <= per_minute
