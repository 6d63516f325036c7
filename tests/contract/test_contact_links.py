"""Contacts that belong together, over REST."""

import asyncio

import httpx
import pytest

from control.contacts import links
from tests.contract.conftest import Edge
from tests.contract.inbox import numbered, started
from tests.contract.test_authorization import belongings
from tests.contract.test_limited_members import limit, member, owner_of


async def made(http: httpx.AsyncClient, count: int) -> list[str]:
    return [
        (await http.post("/api/contacts", json={"phone_e164": f"+131755512{n:02}", "name": f"N{n}"})).json()["id"]
        for n in range(count)
    ]


async def link(http: httpx.AsyncClient, one: str, other: str) -> httpx.Response:
    return await http.post(f"/api/contacts/{one}/links", json={"linked_id": other})


async def linked(http: httpx.AsyncClient, id: str) -> list[str]:
    answer = await http.get(f"/api/contacts/{id}/links")
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["contacts"]]


async def test_a_link_has_no_direction_and_is_stored_once(edge: Edge) -> None:
    http = await edge.client()
    ann, ben, cleo = await made(http, 3)
    answers = await asyncio.gather(*(link(http, *pair) for pair in ((ann, ben), (ben, ann)) * 4))
    assert {answer.status_code for answer in answers} == {201}
    assert await linked(http, ann) == [ben] and await linked(http, ben) == [ann]
    shown = {"id": ben, "phone_e164": "+13175551201", "name": "N1", "company": None}
    assert (await link(http, ann, cleo)).json()["contacts"][0] == shown
    # Each is a pair: who belongs with Ann does not belong together by that.
    assert await linked(http, ben) == [ann]
    assert (await http.delete(f"/api/contacts/{ben}/links/{ann}")).status_code == 204
    assert (await http.delete(f"/api/contacts/{ben}/links/{ann}")).status_code == 404
    assert (await http.delete(f"/api/contacts/{cleo}")).status_code == 204
    assert await linked(http, ann) == []


async def test_an_opt_out_stays_with_its_number(edge: Edge) -> None:
    http = await edge.client()
    ann, ben = await made(http, 2)
    assert (await link(http, ann, ben)).status_code == 201
    assert (await http.post("/api/sms/opt-outs", json={"contact_e164": "+13175551200"})).is_success
    assert (await http.delete(f"/api/contacts/{ann}")).status_code == 204
    out = (await http.get("/api/sms/opt-outs")).json()["opt_outs"]
    assert [each["contact_e164"] for each in out] == ["+13175551200"]


async def test_links_that_make_no_sense_are_refused(edge: Edge) -> None:
    http, stranger = await edge.client(), await edge.client("Other")
    ids = await made(http, links.MOST_LINKS + 3)
    first, *others = ids
    assert (await link(http, first, first)).json()["error"]["details"] == [
        {"field": "linked_id", "reason": "must be another contact"}
    ]
    (foreign,) = await made(stranger, 1)
    for one, other in ((first, foreign), (foreign, first), (first, "nonsense")):
        assert (await link(http, one, other)).status_code == 404
    assert (await stranger.get(f"/api/contacts/{first}/links")).status_code == 404
    # Two at once for the last place.
    for each in others[: links.MOST_LINKS - 1]:
        assert (await link(http, first, each)).status_code == 201
    answers = await asyncio.gather(*(link(http, each, first) for each in others[links.MOST_LINKS - 1 :]))
    assert sorted(answer.status_code for answer in answers) == [201, 402, 402]
    assert len(await linked(http, first)) == links.MOST_LINKS
    refusal = next(answer.json()["error"] for answer in answers if answer.status_code == 402)
    assert refusal["message"] == "A contact has at most 20 links; remove one first."


async def test_a_limited_member_links_and_sees_only_contacts_that_they_see(edge: Edge) -> None:
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    other = await numbered(edge, http, "+13175550300")
    operator, user = await member(edge, http, "operator")
    await limit(http, user, other)
    seen, second = [
        (await started(operator, other, phone))["contact"]["id"] for phone in ("+13175550177", "+13175550178")
    ]
    hidden = owned["contacts"]
    assert (await link(http, seen, hidden)).status_code == 201
    assert await linked(operator, seen) == []
    assert (await link(operator, seen, hidden)).status_code == 404
    assert (await operator.delete(f"/api/contacts/{seen}/links/{hidden}")).status_code == 404
    assert (await operator.get(f"/api/contacts/{hidden}/links")).status_code == 404
    assert (await link(operator, seen, second)).status_code == 201
    assert await linked(operator, seen) == [second]
    assert sorted(await linked(http, seen)) == sorted([second, hidden])


async def test_the_limit_counts_links_that_a_limited_member_does_not_see(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MOST_LINKS", 1)
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    other = await numbered(edge, http, "+13175550300")
    operator, user = await member(edge, http, "operator")
    await limit(http, user, other)
    seen, second, third = [(await started(operator, other, f"+1317555017{n}"))["contact"]["id"] for n in range(7, 10)]
    hidden = (await http.post("/api/contacts", json={"phone_e164": "+13175550301"})).json()["id"]
    assert (await link(http, seen, hidden)).status_code == 201
    for pair in ((seen, second), (second, seen)):
        refused = await link(operator, *pair)
        assert refused.status_code == 402
        assert refused.json()["error"]["message"] == "A contact has at most 1 links; remove one first."
    assert await linked(operator, seen) == []
    # The whole organization was seen for the count alone.
    assert (await link(operator, second, hidden)).status_code == 404
    assert (await link(operator, second, third)).status_code == 201
