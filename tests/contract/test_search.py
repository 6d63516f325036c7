"""One search for people, calls, conversations, agents and campaigns."""

import asyncio
from typing import Any

import httpx

from tests.contract.conftest import Edge
from tests.contract.inbox import numbered, started
from tests.contract.test_call_search import ten_calls
from tests.contract.test_deletion import colleague

Found = dict[str, list[dict[str, Any]]]


async def find(http: httpx.AsyncClient, q: str, **query: int) -> Found:
    answer = await http.get("/api/search", params={"q": q, **{name: str(value) for name, value in query.items()}})
    assert answer.status_code == 200, answer.text
    return {group["kind"]: group["results"] for group in answer.json()["groups"]}


async def status_of(edge: Edge, path: str, authorization: str) -> int:
    """The status of a request that no client library would send."""
    url = httpx.URL(edge.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: {authorization}\r\n\r\n".encode())
    line = await reader.readline()
    writer.close()
    return int(line.split()[1])


async def furnished(edge: Edge) -> httpx.AsyncClient:
    """An organization with one thing of each kind but calls, each by the name of January."""
    http = await edge.client()
    number = await numbered(edge, http, "+13175550101")
    await started(http, number)
    contact = {"phone_e164": "+13175550142", "name": "January Jones", "company": "100% Soap_Works"}
    assert (await http.post("/api/contacts", json=contact)).status_code == 201
    assert (await http.post("/api/flows", json={"name": "Desk of January"})).status_code == 201
    assert (await http.post("/api/flows", json={"name": "Other"})).status_code == 201
    campaign = {"name": "January recall", "body_template": "Come again.", "twilio_number_id": number}
    assert (await http.post("/api/sms/campaigns", json=campaign)).status_code == 201
    return http


async def test_everything_is_found_by_what_people_remember(edge: Edge) -> None:
    http = await furnished(edge)
    found = await find(http, "jan")
    assert list(found) == ["contact", "flow", "campaign"]  # kinds without a result are left out
    (contact,) = found["contact"]
    assert (contact["title"], contact["subtitle"]) == ("January Jones", "100% Soap_Works · +13175550142")
    assert (await http.get(f"/api/contacts/{contact['id']}")).json()["name"] == "January Jones"
    assert [(each["title"], each["subtitle"]) for each in found["flow"]] == [("Desk of January", "voice")]
    assert [(each["title"], each["subtitle"]) for each in found["campaign"]] == [("January recall", "draft")]
    for q in ("317-555-0142", "(317) 555 0142", "+13175550142", "JÁN jones", "soap"):
        assert [each["title"] for each in (await find(http, q))["contact"]] == ["January Jones"], q
    assert await find(http, "january nobody") == {}


async def test_calls_and_conversations_are_found_by_words_and_numbers(edge: Edge) -> None:
    http, calls = await ten_calls(edge)
    newest = (await find(http, "plumber", limit=2))["call"]
    assert [each["id"] for each in newest] == [calls[9], calls[7]]
    assert (newest[0]["title"], newest[0]["subtitle"]) == ("Zoë Müller", "+442079460958 · Summary 9")
    assert {each["id"] for each in (await find(http, "müller", limit=20))["call"]} == {*calls[1::2]}
    assert [each["title"] for each in (await find(http, "zoe"))["contact"]] == ["Zoë Müller"]
    # In the calls' own search these mean "without", and "either".
    assert await find(http, "-plumber") == await find(http, "plumber")
    assert "call" not in await find(http, "plumber or tropft")
    texting = await edge.client("Texting")
    thread = await started(texting, await numbered(edge, texting, "+13175550103"))
    (found,) = (await find(texting, thread["contact_e164"]))["conversation"]
    assert (found["id"], found["title"]) == (thread["id"], thread["contact_e164"])


async def test_hostile_texts_find_nothing_and_break_nothing(edge: Edge) -> None:
    http = await furnished(edge)
    for q in ("", " ", "%", "_", "%%%", "\\", "'", '"', "-", "* : & | !", "<->", "’;--", "\u2014"):
        assert await find(http, q) == {}, q
    assert await find(http, "J%n") == await find(http, "j_n") == await find(http, "soap_works nobody") == {}
    assert list(await find(http, "100% soap")) == ["contact"]
    for bad in (f"q={'x' * 201}", "q=a&limit=0", "q=a&limit=21"):
        assert (await http.get(f"/api/search?{bad}")).status_code == 400, bad
    status = await status_of(edge, f"/api/search?q={'x' * 1_000_000}", http.headers["Authorization"])
    assert status in {400, 414, 431}
    assert (await http.get("/api/search")).json() == {"groups": []}


async def test_nobody_finds_anothers(edge: Edge) -> None:
    mine, yours = await furnished(edge), await edge.client("Yours")
    assert list(await find(mine, "january")) == ["contact", "flow", "campaign"]
    assert await find(yours, "january") == await find(yours, "3175550142") == {}
    assert (await httpx.AsyncClient(base_url=edge.url).get("/api/search", params={"q": "january"})).status_code == 401


async def test_a_key_finds_what_it_may_list(edge: Edge) -> None:
    http = await furnished(edge)
    kinds = {"contacts:read": "contact", "flows:read": "flow", "campaigns:read": "campaign"}
    for scope, kind in kinds.items():
        key = await colleague(edge, http, "viewer", ("search:read", scope))
        assert list(await find(key, "january")) == [kind]
    assert list(await find(await colleague(edge, http, "viewer"), "january")) == list(kinds.values())
    assert await find(await colleague(edge, http, "admin", ("search:read",)), "january") == {}
    assert (await (await colleague(edge, http, "admin", ("flows:read",))).get("/api/search")).status_code == 403
