"""Which connection is evicted for a new one."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.connectionlimit import ConnectionLimit


def test_the_longest_waiting_is_closed_first() -> None:
    limit = ConnectionLimit[str](3, 9)
    assert [limit.add(each, None) for each in "abc"] == [None] * 3
    limit.mark_waiting("a")  # was answered, and is idle from now on
    assert limit.add("d", None) == "b"
    limit.mark_complete("c")
    assert limit.add("e", None) == "a"
    assert len(limit) == 3


def test_the_new_one_is_closed_when_none_is_waiting() -> None:
    limit = ConnectionLimit[str](2, 9)
    for each in "ab":
        limit.add(each, None)
        limit.mark_complete(each)
    assert limit.add("c", None) == "c" and len(limit) == 2


def test_one_address_has_a_limit_of_its_own() -> None:
    limit = ConnectionLimit[str](100, 2)
    assert [limit.add(each, "x") for each in "abc"] == [None, None, "a"]
    assert limit.add("d", "y") is None
    limit.mark_complete("b")
    assert limit.add("e", "x") is None
    assert [limit.add(each, None) for each in "fghi"] == [None] * 4  # a proxy has no limit of its own


@given(st.lists(st.tuples(st.sampled_from(["enter", "wait", "complete", "leave"]), st.integers(0, 12)), max_size=200))
def test_the_limit_holds_and_nothing_is_left_behind(steps: list[tuple[str, int]]) -> None:
    limit, inside = ConnectionLimit[int](5, 2), set[int]()
    for step, guest in steps:
        match step:
            case "enter" if guest not in inside:
                evicted = limit.add(guest, f"address {guest % 3}" if guest % 4 else None)
                inside = (inside | {guest}) - {evicted}
            case "wait":
                limit.mark_waiting(guest)
            case "complete":
                limit.mark_complete(guest)
            case "leave":
                limit.remove(guest)
                inside.discard(guest)
        assert len(limit) == len(inside) <= 5
    for guest in range(13):
        limit.remove(guest)
    assert not limit._addresses and not limit._waiting and not limit._waiting_of
