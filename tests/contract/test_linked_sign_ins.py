"""The accounts with which a person signs in: linked, seen and removed by that person, and noted where the person works."""

import asyncio
from typing import Any

import httpx
import pytest

from control.identity import signin
from hum import ids
from hum.ids import Kind
from sandbox.signin import Issuer
from sandbox.signin.people import User
from tests.contract.conftest import Browser, Edge

PATH = "/api/me/sign-ins"
WORK = "ada@work.example"


async def link(browser: Browser, email: str) -> httpx.Response:
    begun = await browser.request("POST", "/auth/link", params={"return_to": "/docs"})
    assert begun.status_code == 303, begun.text
    at_issuer = httpx.URL(begun.headers["location"])
    assert at_issuer.params["prompt"] == "select_account"
    return await browser.get(await browser.choose(at_issuer, email))


async def accounts(browser: Browser) -> list[dict[str, Any]]:
    answer = await browser.get(PATH)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["sign_ins"]
    return found


async def remove(browser: Browser, id: str) -> httpx.Response:
    return await browser.request("DELETE", f"{PATH}/{id}")


async def noted(browser: Browser) -> list[tuple[str, str, str]]:
    entries = (await browser.get("/api/audit-log")).json()["entries"]
    return [
        (each["action"], each["subject"], each["actor_name"]) for each in entries if each["action"].endswith("SignIn")
    ]


async def in_two_organizations(edge: Edge) -> tuple[Browser, list[str]]:
    ada = await edge.signed_in("ada@example.com")
    made = [await ada.post("/api/organizations", json={"name": name}) for name in ("One", "Two")]
    assert [each.status_code for each in made] == [201, 201], made[0].text
    return ada, [each.json()["id"] for each in made]


async def test_a_person_links_another_account(edge: Edge, issuer: Issuer) -> None:
    ada = await edge.signed_in("ada@example.com")
    me = (await ada.get("/api/me")).json()["user"]
    issuer.people.add(User("ada@work.example", "Ada L.", sub="work"))
    old = dict(ada.cookies)
    assert (await link(ada, "ada@work.example")).status_code == 303
    assert (await ada.get("/api/me")).json()["user"]["id"] == me["id"]
    ada.cookies, new = old, ada.cookies
    assert (await ada.get("/api/me")).status_code == 401, "the session before is over"
    ada.cookies = new
    assert (await link(ada, "ada@work.example")).status_code == 303, "once more changes nothing"
    for email in ("ada@work.example", "ada@example.com"):
        again = (await (await edge.signed_in(email)).get("/api/me")).json()["user"]
        assert (again["id"], again["email"]) == (me["id"], "ada@example.com"), "the address stays the first one's"


async def test_nobody_links_what_is_anothers_or_for_another(edge: Edge) -> None:
    ada, grace = await edge.signed_in("ada@example.com"), await edge.signed_in("grace@example.com")
    taken = await link(ada, "grace@example.com")
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "already_exists")
    names = [(await each.get("/api/me")).json()["user"]["name"] for each in (ada, grace)]
    assert names == ["ada", "grace"]

    begun = await ada.request("POST", "/auth/link", params={"return_to": "/docs"})
    back = await ada.choose(httpx.URL(begun.headers["location"]), "mallory@example.com")
    ada.cookies["__Host-hum_session"] = grace.cookies["__Host-hum_session"]  # somebody else signs in meanwhile
    refused = await ada.get(back)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "session_required")
    async with edge.plane.control.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM sign_in_subjects") == 2


async def test_one_person_has_only_so_many_accounts(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signin, "MOST_ACCOUNTS", 2)
    ada = await edge.signed_in("ada@example.com")
    assert (await link(ada, "ada@work.example")).status_code == 303
    full = await link(ada, "ada@home.example")
    assert (full.status_code, full.json()["error"]["code"]) == (403, "forbidden")
    async with edge.plane.control.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM sign_in_subjects") == 2


async def test_linking_needs_a_fresh_session_and_our_own_page(edge: Edge) -> None:
    assert (await edge.browser().request("POST", "/auth/link")).status_code == 401
    ada = await edge.signed_in("ada@example.com")
    told = await ada.request("POST", "/auth/link", headers={"Accept": "application/json"})
    assert (told.status_code, set(told.json()), told.json()["location"][:7]) == (200, {"location"}, "http://")
    assert "location" not in told.headers and "set-cookie" in told.headers
    assert (await ada.get("/auth/link")).status_code in {404, 405}
    forged = await ada.request("POST", "/auth/link", headers={"Origin": "https://evil.example"})
    assert forged.json()["error"]["code"] == "csrf_failed"
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE sessions SET created_at = now() - interval '1 hour'")
    late = await ada.request("POST", "/auth/link")
    assert (late.status_code, late.json()["error"]["code"]) == (403, "forbidden")
    assert (await ada.get("/api/me")).status_code == 200, "an hour later the session still works"


async def test_linking_and_removing_an_account_stand_in_the_log_of_each_organization(edge: Edge) -> None:
    ada, organizations = await in_two_organizations(edge)
    (first,) = await accounts(ada)
    assert (first["email"], first["used_at"] is None, first["id"].startswith("signin_")) == (
        "ada@example.com",
        False,
        True,
    )
    for _ in range(2):  # the second time changes nothing
        assert (await link(ada, WORK)).status_code == 303
    was, work = await accounts(ada)
    assert (was["id"], work["email"], work["issuer"]) == (first["id"], WORK, first["issuer"])

    elsewhere = await edge.signed_in(WORK)
    assert (await remove(ada, work["id"])).status_code == 204
    assert (await elsewhere.get("/api/me")).status_code == 401, "whoever had it is out"
    assert [each["id"] for each in await accounts(ada)] == [first["id"]]
    assert (await remove(ada, work["id"])).status_code == 404
    for organization in organizations:
        answer = await ada.post("/api/me/organization", json={"organization_id": organization})
        assert answer.status_code == 200, answer.text
        assert await noted(ada) == [
            ("removeSignIn", work["id"], "ada@example.com"),
            ("linkSignIn", work["id"], "ada@example.com"),
        ]
    stranger = await edge.signed_in(WORK)
    mine, theirs = [(await each.get("/api/me")).json()["user"]["id"] for each in (ada, stranger)]
    assert mine != theirs, "it opens nothing of hers any more"


async def test_the_only_account_stays(edge: Edge) -> None:
    ada = await edge.signed_in("ada@example.com")
    (first,) = await accounts(ada)
    refused = await remove(ada, first["id"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "invalid_state"), refused.text
    assert (await link(ada, WORK)).status_code == 303
    other = await edge.signed_in(WORK)
    was, work = await accounts(ada)
    # Each removes the other's, at the same time.
    answers = await asyncio.gather(remove(ada, work["id"]), remove(other, was["id"]))
    assert sum(each.status_code == 204 for each in answers) == 1, [each.text for each in answers]
    async with edge.plane.control.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM sign_in_subjects") == 1


async def test_nobody_sees_or_removes_anothers_accounts(edge: Edge) -> None:
    ada, grace = await edge.signed_in("ada@example.com"), await edge.signed_in("grace@example.com")
    assert (await link(grace, WORK)).status_code == 303
    theirs = await accounts(grace)
    assert not {each["id"] for each in await accounts(ada)} & {each["id"] for each in theirs}
    for id in (theirs[0]["id"], ids.show(Kind.SIGN_IN, ids.new()), "signin_x"):
        assert (await remove(ada, id)).status_code == 404
    assert await accounts(grace) == theirs
    key = await edge.client()
    for answer in (await key.get(PATH), await key.delete(f"{PATH}/{theirs[0]['id']}")):
        assert answer.json()["error"]["code"] == "session_required"
    assert (await edge.browser().get(PATH)).status_code == 401


async def test_a_session_that_is_stolen_later_locks_nobody_out(edge: Edge) -> None:
    ada = await edge.signed_in("ada@example.com")
    assert (await link(ada, WORK)).status_code == 303
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE sessions SET created_at = now() - interval '1 hour'")
    before = await accounts(ada)
    late = await remove(ada, before[0]["id"])
    assert (late.status_code, late.json()["error"]["code"]) == (403, "forbidden")
    assert await accounts(ada) == before
