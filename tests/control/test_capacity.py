"""Places are given away by rules: by share, never too many, and none is refused that there is."""

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from control.calls.capacity import (
    NO_CAPACITY,
    MediaCapacity,
    MediaNode,
    MediaPlace,
    PlaceRefusal,
    assign_media_processes,
)
from control.calls.concurrentcalls import OF_CALLER, OF_ORGANIZATION, Caps, ConcurrentCalls, PlaceRequest

ORG, OTHER = UUID(int=1), UUID(int=2)
URLS = ("wss://a", "wss://b", "wss://c")
NODES = st.lists(
    st.builds(
        MediaNode,
        st.sampled_from(URLS),
        st.integers(0, 9),
        st.booleans(),
        st.integers(0, 12),
        st.sampled_from(["", "east", "west"]),
        st.booleans(),
    ),
    max_size=6,
)
CAPS = st.builds(Caps, st.integers(1, 12), st.integers(1, 6))


def asking(
    number: int, org: UUID = ORG, caller: str | None = None, *, is_new: bool = True, zone: str = ""
) -> PlaceRequest:
    return PlaceRequest(UUID(int=100 + number), org, caller, is_new, zone)


def free(nodes: list[MediaNode], in_flight: dict[str, int]) -> Counter[str]:
    """What is free behind each URL, worked out anew."""
    left: Counter[str] = Counter()
    for node in nodes:
        if node.takes and node.places is not None:
            left[node.url] += max(0, node.places - node.calls)
    return Counter({url: max(0, count - in_flight.get(url, 0)) for url, count in left.items()})


@given(NODES, st.dictionaries(st.sampled_from(URLS), st.integers(0, 9)), st.integers(0, 40))
def test_every_place_is_given_away_and_none_twice(
    nodes: list[MediaNode], in_flight: dict[str, int], calls: int
) -> None:
    uncapped = ConcurrentCalls((), Caps(1_000, 1_000))
    given = assign_media_processes([asking(n) for n in range(calls)], MediaCapacity(nodes, in_flight), uncapped)
    taken = Counter(each.url for each in given.values() if isinstance(each, MediaPlace))
    if not nodes:
        assert taken == Counter({"": calls} if calls else {}), "where nobody is known, the carrier finds out"
        return
    left = free(nodes, in_flight)
    assert not any(isinstance(each, MediaPlace) and each.is_far for each in given.values()), "they came from no zone"
    assert all(taken[url] <= left[url] for url in taken)
    assert taken.total() == min(calls, left.total()), "nobody is refused while there is a place"
    assert {each for each in given.values() if isinstance(each, PlaceRefusal)} <= {PlaceRefusal(NO_CAPACITY)}


@given(
    NODES,
    st.dictionaries(st.sampled_from(URLS), st.integers(0, 9)),
    st.lists(st.sampled_from(["", "east", "west", "gone"])),
)
def test_a_call_stays_in_its_zone_while_that_has_room_and_is_refused_only_where_there_is_none(
    nodes: list[MediaNode], in_flight: dict[str, int], zones: list[str]
) -> None:
    capacity, left = MediaCapacity(nodes, in_flight), free(nodes, in_flight)
    taking = [each for each in nodes if each.takes]
    for zone in zones:
        place = capacity.acquire_place(zone)
        if place is None:
            assert not left.total(), "refused while there is a place"
            continue
        there = {each.url for each in taking if left[each.url]}
        assert place.url in there
        trusted = {each.url for each in taking if not each.is_doubted} & there
        assert place.url in (trusted or there)
        near = {each.url for each in taking if each.zone == zone} & (trusted or there)
        assert place.url in (near if near and zone else there)
        assert place.is_far == (bool(zone) and place.url not in {each.url for each in taking if each.zone == zone})
        left[place.url] -= 1


@given(CAPS, st.lists(st.tuples(st.sampled_from([ORG, OTHER]), st.sampled_from(["a", "b", None]), st.booleans())))
def test_caps_hold_for_calls_of_the_same_instant(caps: Caps, calls: list[tuple[UUID, str | None, bool]]) -> None:
    wanted = [asking(n, org, caller, is_new=is_new) for n, (org, caller, is_new) in enumerate(calls)]
    concurrent = [(each.org, each.caller, 1) for each in wanted if not each.is_new]
    given = assign_media_processes(
        wanted, MediaCapacity([MediaNode("wss://a", None, True, 0)], {}), ConcurrentCalls(concurrent, caps)
    )
    assert all(isinstance(given[each.id], MediaPlace) for each in wanted if not each.is_new), "a call keeps its place"
    for org in (ORG, OTHER):
        before = sum(count for each, _, count in concurrent if each == org)
        begun = [each for each in wanted if each.org == org and each.is_new and isinstance(given[each.id], MediaPlace)]
        assert before + len(begun) <= max(before, caps.of_organization)
        for caller in ("a", "b", None):
            earlier = sum(count for each, who, count in concurrent if (each, who) == (org, caller))
            assert earlier + sum(each.caller == caller for each in begun) <= max(earlier, caps.of(caller))
    for each in wanted:
        refused = given[each.id]
        if isinstance(refused, PlaceRefusal):
            assert refused.reason in {OF_CALLER, OF_ORGANIZATION}


def test_withheld_numbers_share_half_of_an_organizations_calls() -> None:
    caps = Caps(of_organization=20, of_caller=3)
    wanted = [asking(n, ORG, None, is_new=True) for n in range(25)]
    given = assign_media_processes(
        wanted, MediaCapacity([MediaNode("wss://a", None, True, 0)], {}), ConcurrentCalls([], caps)
    )
    assert [given[each.id] for each in wanted[10:]] == [PlaceRefusal(OF_CALLER)] * 15
    assert all(isinstance(given[each.id], MediaPlace) for each in wanted[:10])


def test_calls_are_spread_by_what_is_free() -> None:
    capacity = MediaCapacity([MediaNode("wss://big", 100, True, 0), MediaNode("wss://small", 10, True, 0)], {})
    assert Counter(taken(capacity) for _ in range(55)) == {"wss://big": 50, "wss://small": 5}, "by share of their own"
    capacity = MediaCapacity([MediaNode("wss://a", 50, True, 40), MediaNode("wss://b", 50, True, 0)], {"wss://b": 10})
    assert Counter(taken(capacity) for _ in range(30)) == {"wss://b": 30}, "the emptier one first"
    assert Counter(taken(capacity) for _ in range(20)) == {"wss://a": 10, "wss://b": 10}
    assert capacity.acquire_place() is None


def test_processes_that_share_a_port_share_their_places() -> None:
    capacity = MediaCapacity(
        [MediaNode("wss://a", 2, True, 2), MediaNode("wss://a", 2, True, 1), MediaNode("wss://a", 2, False, 0)], {}
    )
    assert [taken(capacity), taken(capacity)] == ["wss://a", None]


def test_a_zone_is_filled_by_share_and_then_left() -> None:
    capacity = MediaCapacity(
        [
            MediaNode("wss://big", 8, True, 0, "east"),
            MediaNode("wss://small", 4, True, 0, "east"),
            MediaNode("wss://far", 100, True, 0, "west"),
        ],
        {},
    )
    assert Counter(taken(capacity, "east") for _ in range(9)) == {"wss://big": 6, "wss://small": 3}
    assert Counter(taken(capacity, "east") for _ in range(5)) == {"wss://big": 2, "wss://small": 1, "wss://far": 2}
    assert capacity.acquire_place("east") == MediaPlace("wss://far", is_far=True)
    assert capacity.acquire_place("west") == MediaPlace("wss://far") == capacity.acquire_place()


def test_where_a_stream_did_not_come_about_others_go_first() -> None:
    doubted = MediaNode("wss://dead", 100, True, 0, "east", is_doubted=True)
    capacity = MediaCapacity([doubted, MediaNode("wss://far", 2, True, 0, "west")], {})
    assert [taken(capacity, "east") for _ in range(3)] == ["wss://far", "wss://far", "wss://dead"], (
        "better than nowhere"
    )
    shared = MediaCapacity(
        [doubted, MediaNode("wss://dead", 1, True, 0, "east"), MediaNode("wss://far", 2, True, 0)], {}
    )
    assert taken(shared, "east") == "wss://dead", "one of those behind its URL was heard since"


def taken(capacity: MediaCapacity, zone: str = "") -> str | None:
    place = capacity.acquire_place(zone)
    return None if place is None else place.url
