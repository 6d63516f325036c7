"""Which connection makes room for a new one."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.room import ConnectionLimit


def test_the_longest_waiting_is_closed_first() -> None:
    room = ConnectionLimit[str](3, 9)
    assert [room.add(each, None) for each in "abc"] == [None] * 3
    room.mark_waiting("a")  # was answered, and is idle from now on
    assert room.add("d", None) == "b"
    room.mark_complete("c")
    assert room.add("e", None) == "a"
    assert len(room) == 3


def test_the_new_one_is_closed_when_none_is_waiting() -> None:
    room = ConnectionLimit[str](2, 9)
    for each in "ab":
        room.add(each, None)
        room.mark_complete(each)
    assert room.add("c", None) == "c" and len(room) == 2


def test_one_address_has_a_limit_of_its_own() -> None:
    room = ConnectionLimit[str](100, 2)
    assert [room.add(each, "x") for each in "abc"] == [None, None, "a"]
    assert room.add("d", "y") is None
    room.mark_complete("b")
    assert room.add("e", "x") is None
    assert [room.add(each, None) for each in "fghi"] == [None] * 4  # a proxy has no limit of its own


@given(st.lists(st.tuples(st.sampled_from(["enter", "wait", "complete", "leave"]), st.integers(0, 12)), max_size=200))
def test_the_limit_holds_and_nothing_is_left_behind(steps: list[tuple[str, int]]) -> None:
    room, inside = ConnectionLimit[int](5, 2), set[int]()
    for step, guest in steps:
        match step:
            case "enter" if guest not in inside:
                evicted = room.add(guest, f"address {guest % 3}" if guest % 4 else None)
                inside = (inside | {guest}) - {evicted}
            case "wait":
                room.mark_waiting(guest)
            case "complete":
                room.mark_complete(guest)
            case "leave":
                room.remove(guest)
                inside.discard(guest)
        assert len(room) == len(inside) <= 5
    for guest in range(13):
        room.remove(guest)
    assert not room._addresses and not room._waiting and not room._waiting_of
