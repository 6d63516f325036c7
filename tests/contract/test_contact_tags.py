"""A tag of several contacts at once, over REST."""

import asyncio
from typing import Any

import httpx

from tests.contract.conftest import Edge
from tests.contract.inbox import numbered, started
from tests.contract.test_authorization import belongings
from tests.contract.test_limited_members import limit, member, owner_of

PATH = "/api/contacts/tags"
MISSING = "contact_01ARZ3NDEKTSV4RRFFQ69G5FAV"


async def made(http: httpx.AsyncClient, *tags: list[str]) -> list[str]:
    """Create a contact with each of these lists of tags; return their ids."""
    answers = [
        await http.post("/api/contacts", json={"phone_e164": f"+131755512{n:02}", "tags": each})
        for n, each in enumerate(tags)
    ]
    return [answer.json()["id"] for answer in answers]


async def tagged(http: httpx.AsyncClient, ids: list[str], tag: str, **fields: object) -> dict[str, Any]:
    answer = await http.post(PATH, json={"ids": ids, "tag": tag, **fields})
    assert answer.status_code == 200, answer.text
    return {name: value if isinstance(value, str) else sorted(value) for name, value in answer.json().items()}


async def tags_of(http: httpx.AsyncClient, ids: list[str]) -> list[list[str]]:
    return [(await http.get(f"/api/contacts/{id}")).json()["tags"] for id in ids]


async def test_a_tag_is_added_and_taken_away_once(edge: Edge) -> None:
    http = await edge.client()
    full = [f"t{n}" for n in range(50)]
    new, vip, crowded = ids = await made(http, [], ["vip"], full)
    added = {"changed_ids": [new], "missing_ids": [MISSING, "nonsense"], "full_ids": [crowded]}
    assert await tagged(http, [*ids, MISSING, "nonsense"], "vip") == added
    assert await tags_of(http, ids) == [["vip"], ["vip"], full]
    assert await tagged(http, ids, "vip") == {"changed_ids": [], "missing_ids": [], "full_ids": [crowded]}
    found = (await http.get("/api/contacts", params={"tag": "vip"})).json()["contacts"]
    assert {each["id"] for each in found} == {new, vip}
    # Taking it away from those that were changed is the way back, also for those that have no place left.
    removed = {"changed_ids": sorted([new, vip]), "missing_ids": [], "full_ids": []}
    assert await tagged(http, ids, "vip", remove=True) == removed
    assert await tagged(http, ids, "vip", remove=True) == removed | {"changed_ids": []}
    assert await tags_of(http, ids) == [[], [], full]
    log = (await http.get("/api/audit-log", params={"action": "tagContacts"})).json()["entries"]
    assert [sorted(each["fields"]) for each in log] == [["ids", "remove", "tag"]] * 2 + [["ids", "tag"]] * 2


async def test_what_is_wrong_is_refused_and_changes_nothing(edge: Edge) -> None:
    http = await edge.client()
    (id,) = await made(http, [])
    for ids, tag in (
        ([], "x"),
        ([id, id], "x"),
        ([id] + [f"c{n}" for n in range(500)], "x"),
        ([id], "a,b"),
        ([id], ""),
    ):
        answer = await http.post(PATH, json={"ids": ids, "tag": tag})
        assert answer.status_code == 400, (len(ids), tag)
    assert (await http.post(PATH, json={"ids": [id]})).status_code == 400
    assert await tags_of(http, [id]) == [[]]


async def test_two_at_once_in_other_orders_both_happen(edge: Edge) -> None:
    http = await edge.client()
    ids = await made(http, *([] for _ in range(20)))
    tags = [f"t{n}" for n in range(8)]
    both = (ids, list(reversed(ids)))
    await asyncio.gather(*(tagged(http, both[n % 2], tag) for n, tag in enumerate(tags)))
    assert [sorted(each) for each in await tags_of(http, ids)] == [tags] * 20


async def test_another_organization_and_a_viewer_change_nothing(edge: Edge) -> None:
    http = await edge.client()
    ids = await made(http, [], [])
    stranger = await edge.client()
    assert await tagged(stranger, ids, "x") == {"changed_ids": [], "missing_ids": sorted(ids), "full_ids": []}
    viewer, _ = await member(edge, http, "viewer")
    assert (await viewer.post(PATH, json={"ids": ids, "tag": "x"})).status_code == 403
    assert await tags_of(http, ids) == [[], []]


async def test_a_limited_member_changes_only_contacts_that_they_see(edge: Edge) -> None:
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    other = await numbered(edge, http, "+13175550300")
    operator, user = await member(edge, http, "operator")
    await limit(http, user, other)
    thread = await started(operator, other, "+13175550177")
    seen = thread["contact"]["id"]
    hidden = owned["contacts"]
    before = await tags_of(http, [hidden])
    assert await tagged(operator, [seen, hidden], "x") == {
        "changed_ids": [seen],
        "missing_ids": [hidden],
        "full_ids": [],
    }
    assert await tags_of(http, [seen]) == [["x"]]
    assert await tags_of(http, [hidden]) == before
