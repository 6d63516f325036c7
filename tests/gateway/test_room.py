"""Which connection makes room for a new one."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.room import Room


def test_the_longest_waiting_is_closed_first() -> None:
    room = Room[str](3, 9)
    assert [room.enter(each, None) for each in "abc"] == [None] * 3
    room.wait("a")  # was answered, and is idle from now on
    assert room.enter("d", None) == "b"
    room.complete("c")
    assert room.enter("e", None) == "a"
    assert len(room) == 3


def test_the_new_one_is_closed_when_none_is_waiting() -> None:
    room = Room[str](2, 9)
    for each in "ab":
        room.enter(each, None)
        room.complete(each)
    assert room.enter("c", None) == "c" and len(room) == 2


def test_one_address_has_a_limit_of_its_own() -> None:
    room = Room[str](100, 2)
    assert [room.enter(each, "x") for each in "abc"] == [None, None, "a"]
    assert room.enter("d", "y") is None
    room.complete("b")
    assert room.enter("e", "x") is None
    assert [room.enter(each, None) for each in "fghi"] == [None] * 4  # a proxy has no limit of its own


@given(st.lists(st.tuples(st.sampled_from(["enter", "wait", "complete", "leave"]), st.integers(0, 12)), max_size=200))
def test_the_limit_holds_and_nothing_is_left_behind(steps: list[tuple[str, int]]) -> None:
    room, inside = Room[int](5, 2), set[int]()
    for step, guest in steps:
        match step:
            case "enter" if guest not in inside:
                crowded = room.enter(guest, f"address {guest % 3}" if guest % 4 else None)
                inside = (inside | {guest}) - {crowded}
            case "wait":
                room.wait(guest)
            case "complete":
                room.complete(guest)
            case "leave":
                room.leave(guest)
                inside.discard(guest)
        assert len(room) == len(inside) <= 5
    for guest in range(13):
        room.leave(guest)
    assert not room._addresses and not room._waiting and not room._waiting_of
