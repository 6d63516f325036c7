"""Each organization takes about half of the places that the others have left."""

from contextlib import ExitStack

from control.base.fairshare import SharedPlaces
from hum import ids


def test_an_organization_leaves_as_many_places_as_it_takes() -> None:
    places, first, second, third = SharedPlaces(8), ids.new(), ids.new(), ids.new()
    with ExitStack() as stack:
        taken = [stack.enter_context(places.place(org)) for org in [first] * 6 + [second] * 3 + [third] * 2]
        assert taken == [True] * 4 + [False] * 2 + [True] * 2 + [False] + [True, False]
        assert [stack.enter_context(places.place(ids.new())) for _ in range(2)] == [True, False], "all are taken"
    with places.place(first) as is_free:
        assert is_free


def test_the_only_place_is_for_whoever_comes_first() -> None:
    places = SharedPlaces(1)
    with places.place(ids.new()) as is_free, places.place(ids.new()) as is_free_too:
        assert (is_free, is_free_too) == (True, False)
