"""Who makes room."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.room import Room


def test_who_has_owed_the_longest_goes_first() -> None:
    room = Room[str](3, 9)
    assert [room.enter(each, None) for each in "abc"] == [None] * 3
    room.owes("a")  # sent a request, was answered, and idles since now
    assert room.enter("d", None) == "b"
    room.whole("c")
    assert room.enter("e", None) == "a"
    assert len(room) == 3


def test_without_anybody_who_owes_the_new_one_goes() -> None:
    room = Room[str](2, 9)
    for each in "ab":
        room.enter(each, None)
        room.whole(each)
    assert room.enter("c", None) == "c" and len(room) == 2


def test_of_one_address_only_so_many_owe() -> None:
    room = Room[str](100, 2)
    assert [room.enter(each, "x") for each in "abc"] == [None, None, "a"]
    assert room.enter("d", "y") is None
    room.whole("b")
    assert room.enter("e", "x") is None
    assert [room.enter(each, None) for each in "fghi"] == [None] * 4  # a proxy's clients share none


@given(st.lists(st.tuples(st.sampled_from(["enter", "owes", "whole", "leave"]), st.integers(0, 12)), max_size=200))
def test_there_are_never_more_than_fit_and_nothing_is_left_behind(steps: list[tuple[str, int]]) -> None:
    room, inside = Room[int](5, 2), set[int]()
    for step, guest in steps:
        match step:
            case "enter" if guest not in inside:
                crowded = room.enter(guest, f"address {guest % 3}" if guest % 4 else None)
                inside = (inside | {guest}) - {crowded}
            case "owes":
                room.owes(guest)
            case "whole":
                room.whole(guest)
            case "leave":
                room.leave(guest)
                inside.discard(guest)
        assert len(room) == len(inside) <= 5
    for guest in range(13):
        room.leave(guest)
    assert not room._addresses and not room._owing and not room._owing_of
