"""Sign-in against the sandbox's issuer: what must work, and what must not."""

import asyncio
import html
from pathlib import Path
from typing import Any

import httpx
import pytest

from control.identity import usecases as identity
from gateway import app as gateway
from hum import ids
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.process import home
from sandbox.signin import Issuer
from sandbox.signin.issuer import MISCHIEF
from sandbox.signin.people import User
from tests.contract.conftest import PUBLIC, Browser, Edge, gateway_settings
from tests.control.conftest import Plane
from tests.support.cases import in_turn


async def test_a_person_signs_in_and_is_known(edge: Edge) -> None:
    browser = edge.browser()
    answer = await browser.sign_in("ada@example.com", "/dashboard?tab=calls")
    assert answer.status_code == 303 and answer.headers["location"] == "/dashboard?tab=calls"
    assert answer.headers["cache-control"] == "no-store"
    assert set(browser.cookies) == {"__Host-hum_session"}
    line = next(each for each in answer.headers.get_list("set-cookie") if "hum_session" in each)
    assert all(part in line for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/")) and "Domain" not in line
    me = (await browser.get("/api/me")).json()
    assert me["user"] == {"id": me["user"]["id"], "email": "ada@example.com", "name": "ada"}
    assert (me["organization"], me["role"], me["organizations"]) == (None, None, [])


async def test_the_request_to_the_issuer_is_the_safe_one(edge: Edge) -> None:
    asked = dict((await edge.browser().begin()).params)
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{PUBLIC}/auth/callback"
    assert len(asked["state"]) >= 43 and len(asked["nonce"]) >= 43 and len(asked["code_challenge"]) == 43
    again = dict((await edge.browser().begin()).params)
    assert all(asked[name] != again[name] for name in ("state", "nonce", "code_challenge"))


@in_turn(
    ("elsewhere",),
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\evil", "dashboard", "", "/a\r\nSet-Cookie: x=1",
     "javascript:alert(1)", "/" + "a" * 2001, "/\t/evil.example"],
)  # fmt: skip
async def test_return_to_is_local(edge: Edge, elsewhere: str) -> None:
    answer = await edge.browser().get("/auth/login", params={"return_to": elsewhere})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == "return_to"


async def test_state_is_for_one_use_and_one_browser(edge: Edge) -> None:
    browser, other = edge.browser(), edge.browser()
    back = await browser.choose(await browser.begin(), "ada@example.com")
    assert (await other.get(back)).status_code == 400  # a link that somebody sent: no cookie
    await other.begin()
    assert (await other.get(back)).status_code == 400  # another sign-in's cookie
    kept = dict(browser.cookies)
    assert (await browser.get(back)).status_code == 303
    browser.cookies |= kept
    answer = await browser.get(back)
    assert answer.status_code == 400 and "begin again" in answer.json()["error"]["message"]


async def test_of_many_that_come_back_at_once_one_is_let_in(edge: Edge) -> None:
    browser = edge.browser()
    back = await browser.choose(await browser.begin(), "ada@example.com")
    twins = []
    for _ in range(10):
        twin = edge.browser()
        twin.cookies |= browser.cookies
        twins.append(twin)
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*(each.get(back) for each in twins)))
    assert statuses == [303] + [400] * 9


async def test_an_old_sign_in_is_refused(edge: Edge) -> None:
    browser = edge.browser()
    back = await browser.choose(await browser.begin(), "ada@example.com")
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE sign_ins SET expires_at = now() - interval '1 second'")
    assert (await browser.get(back)).status_code == 400


@in_turn(("mischief",), sorted(MISCHIEF))
async def test_a_token_that_does_not_hold_opens_nothing(edge: Edge, issuer: Issuer, mischief: str) -> None:
    browser = edge.browser()
    back = await browser.choose(await browser.begin(), "ada@example.com")
    issuer.mischief = mischief
    answer = await browser.get(back)
    assert answer.status_code == 403 and answer.json()["error"]["code"] == "forbidden"
    assert "__Host-hum_session" not in browser.cookies
    assert issuer.mischief == ""  # it was really tried


async def test_a_wrong_verifier_is_refused_by_the_issuer(edge: Edge) -> None:
    browser = edge.browser()
    back = await browser.choose(await browser.begin(), "ada@example.com")
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE sign_ins SET code_verifier = 'another'")
    answer = await browser.get(back)
    assert answer.status_code == 403 and "invalid_grant" in answer.json()["error"]["message"]


async def test_an_answer_of_another_issuer_is_refused(edge: Edge, issuer: Issuer) -> None:
    for forged in ("&iss=https://evil.example", ""):  # mixed up, or left out though the issuer always says it
        browser = edge.browser()
        back = await browser.choose(await browser.begin(), "ada@example.com")
        plain = back.partition("&iss=")[0]
        assert (await browser.get(plain + forged)).status_code == 403


async def test_the_person_said_no(edge: Edge) -> None:
    browser = edge.browser()
    asked = await browser.begin()
    answer = await browser.get(f"/auth/callback?error=access_denied&state={asked.params['state']}")
    assert answer.status_code == 403 and "access_denied" in answer.json()["error"]["message"]


async def test_new_keys_of_the_issuer_are_found(edge: Edge, issuer: Issuer) -> None:
    await edge.signed_in("ada@example.com")
    async with httpx.AsyncClient(trust_env=False) as http:
        await http.post(f"{issuer.url}/sandbox/keys")
    await edge.signed_in("ada@example.com")


async def test_an_unverified_address_is_nobody(edge: Edge, issuer: Issuer) -> None:
    issuer.people.add(User("grace@example.com", "Grace", email_verified=False))
    answer = await edge.browser().sign_in("grace@example.com")
    assert answer.status_code == 403 and answer.json()["error"]["code"] == "email_unverified"


@in_turn(
    ("claims",),
    [
        {"sub": "a\0b"},
        {"name": "Ada\0"},
        {"email": "ada\0@example.com"},
        {"sub": "s" * 256},
        {"sub": "\u00e9"},
        {"sub": {"token": 1}},
        {"email": ["ada@example.com"]},
        {"email": f"{'a' * 250}@example.com"},
        {"name": "\x1b[31m"},
    ],
)
async def test_claims_that_can_be_nobodys_are_refused(edge: Edge, issuer: Issuer, claims: dict[str, Any]) -> None:
    browser = edge.browser()
    back = await browser.choose(await browser.begin(), "ada@example.com")
    issuer.claims = claims
    answer = await browser.get(back)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), answer.text
    assert "the claim" in answer.json()["error"]["message"] or "the ID token" in answer.json()["error"]["message"]
    async with edge.plane.control.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM users") == 0
    assert issuer.claims == {}  # they were really sent


async def test_an_address_takes_no_other_account(edge: Edge, issuer: Issuer) -> None:
    """The address changed hands at the issuer, or somebody found a way to have it verified there: that makes nobody Ada."""
    ada = await edge.signed_in("ada@example.com")
    me = (await ada.get("/api/me")).json()["user"]["id"]
    issuer.people.add(User("Ada@example.com", "Mallory", sub="another"))
    refused = await edge.browser().sign_in("ada@example.com")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "already_exists")
    assert "unlink-sign-in" in refused.json()["error"]["message"]
    assert (await ada.get("/api/me")).json()["user"]["name"] == "ada"
    assert await identity.unlink_sign_in(edge.plane.control.db, email="ADA@example.com", issuer="") == 1
    assert (await ada.get("/api/me")).status_code == 401  # the operator has decided who it is from now on
    now = await edge.signed_in("ada@example.com")
    assert (await now.get("/api/me")).json()["user"] == {"id": me, "email": "Ada@example.com", "name": "Mallory"}


async def test_a_person_of_an_earlier_run_is_the_same_person(plane: Plane, tmp_path: Path) -> None:
    """The next `hum up` has the database of the one before and a new stand-in for the issuer, with keys of its own."""
    seen = list[tuple[str, str]]()
    for _ in range(2):
        listen, back = f"127.0.0.1:{home.stand_in_port(tmp_path, 'signin')}", f"{PUBLIC}/auth/callback"
        async with Issuer.serve(client_secret="s", redirect_uri=back, listen=listen) as issuer:
            settings = gateway_settings(plane, issuer.url, tmp_path, control_seconds=60)
            async with gateway.serve(settings) as ports:
                browser = Browser(f"http://127.0.0.1:{ports.public}")
                answer = await browser.sign_in("ada@example.com")
                assert answer.status_code == 303, answer.text
                seen.append((issuer.url, (await browser.get("/api/me")).json()["user"]["id"]))
                await browser.http.aclose()
    assert seen[0] == seen[1]


async def test_a_person_in_a_browser_is_shown_a_page_and_not_json(edge: Edge, issuer: Issuer) -> None:
    """Of a link that is refused, a sign-in that is too old, one that the issuer refuses, and one of another account."""
    page = {"Accept": "text/html,application/xhtml+xml"}
    ada, _ = await edge.signed_in("ada@example.com"), await edge.signed_in("grace@example.com")
    begun = await ada.request("POST", "/auth/link", params={"return_to": "/docs"}, headers=page)
    assert begun.status_code == 303
    taken = await ada.get(await ada.choose(httpx.URL(begun.headers["location"]), "grace@example.com"), headers=page)
    assert taken.status_code == 409 and "belongs to another person" in taken.text
    assert "__Host-hum_sign_in" not in ada.cookies, "it is over"

    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE sessions SET created_at = now() - interval '1 hour'")
    late = await ada.request("POST", "/auth/link", headers=page)
    assert late.status_code == 403 and "too long ago" in late.text

    browser = edge.browser()
    back = await browser.choose(await browser.begin(), "eve@example.com")
    async with edge.plane.control.db.system() as tx:
        await tx.execute("DELETE FROM sign_ins")
    expired = await browser.get(back, headers=page)
    assert expired.status_code == 400 and "expired" in expired.text
    await browser.begin()
    state = httpx.URL(back).params["state"]
    forged = await browser.get(f"/auth/callback?state={state}&error=<script>alert(1)</script>", headers=page)
    assert forged.status_code == 400

    issuer.people.add(User("ada@example.com", "Mallory", sub="another"))
    mallory = edge.browser()
    conflict = await mallory.get(await mallory.choose(await mallory.begin(), "ada@example.com"), headers=page)
    assert conflict.status_code == 409 and "unlink-sign-in" in conflict.text
    assert "__Host-hum_session" not in mallory.cookies

    for each in (taken, late, expired, forged, conflict):
        assert each.headers["content-type"].startswith("text/html") and each.headers["cache-control"] == "no-store"
        assert 'href="/auth/login"' in each.text and "default-src 'none'" in each.headers["content-security-policy"]
        assert "<script" not in each.text
        assert '"error"' not in html.unescape(each.text) and "already_exists" not in each.text


async def test_an_issuer_that_is_used_no_more_is_unlinked_whole(edge: Edge, issuer: Issuer) -> None:
    db = edge.plane.control.db
    for email in ("ada@example.com", "grace@example.com"):
        await edge.signed_in(email)
    with pytest.raises(NotFound):
        await identity.unlink_sign_in(db, email="", issuer="https://nobody.example")
    assert await identity.unlink_sign_in(db, email="", issuer=issuer.url) == 2
    async with db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM sessions") == 0


async def test_of_two_accounts_that_come_first_at_once_one_is_the_person(edge: Edge, issuer: Issuer) -> None:
    for _ in range(3):
        backs = []
        for account in ("one", "two", "one"):
            issuer.people.add(User("ada@example.com", "Ada", sub=account))
            browser = edge.browser()
            backs.append((browser, await browser.choose(await browser.begin(), "ada@example.com")))
        answers = await asyncio.gather(*(browser.get(back) for browser, back in backs))
        statuses = [answer.status_code for answer in answers]
        assert statuses in ([303, 409, 303], [409, 303, 409]), [answer.text for answer in answers]
        async with edge.plane.control.db.system() as tx:
            assert await tx.fetchval("SELECT count(*) FROM sign_in_subjects") == 1
            await tx.execute("DELETE FROM users")


async def test_a_forged_answer_leaves_the_sign_in_that_is_under_way(edge: Edge) -> None:
    """An image on any page can send the browser to the callback."""
    browser = edge.browser()
    back = await browser.choose(await browser.begin(), "ada@example.com")
    for forged in ("/auth/callback?state=x&code=y", "/auth/callback", "/auth/callback?error=access_denied"):
        answer = await browser.get(forged)
        assert (answer.status_code, answer.headers.get_list("set-cookie")) == (400, [])
    assert (await browser.get(back)).status_code == 303


async def test_a_new_sign_in_ends_the_session_before_it(edge: Edge) -> None:
    browser = await edge.signed_in()
    first = dict(browser.cookies)
    await browser.sign_in("ada@example.com")
    second = dict(browser.cookies)
    assert first != second
    browser.cookies = first
    assert (await browser.get("/api/me")).status_code == 401
    browser.cookies = second
    assert (await browser.get("/api/me")).status_code == 200


async def test_logout_ends_the_session_and_not_only_the_cookie(edge: Edge) -> None:
    browser = await edge.signed_in()
    kept = dict(browser.cookies)
    assert (await browser.post("/auth/logout")).status_code == 204
    assert browser.cookies == {}
    browser.cookies = kept
    answer = await browser.get("/api/me")
    assert answer.status_code == 401 and answer.json()["error"]["code"] == "session_required"
    assert (await edge.browser().post("/auth/logout")).status_code == 204  # nobody there: nothing to do


async def test_all_sessions_of_a_person_end_at_once(edge: Edge) -> None:
    one, other = await edge.signed_in(), await edge.signed_in()
    stranger = await edge.signed_in("grace@example.com")
    assert (await one.request("DELETE", "/api/me/sessions")).status_code == 204
    assert [(await each.get("/api/me")).status_code for each in (one, other, stranger)] == [401, 401, 200]


@pytest.mark.parametrize(
    ("change", "status"),
    [("last_seen_at = now() - idle", 401), ("expires_at = now()", 401), ("last_seen_at = now() - idle * 0.9", 200)],
)
async def test_sessions_run_out(edge: Edge, change: str, status: int) -> None:
    browser = await edge.signed_in()
    async with edge.plane.control.db.system() as tx:
        await tx.execute(f"UPDATE sessions SET {change}")
    assert (await browser.get("/api/me")).status_code == status
    async with edge.plane.control.db.system() as tx:
        fresh = await tx.fetchval("SELECT last_seen_at > now() - interval '1 minute' FROM sessions")
    assert fresh is (status == 200) or "expires" in change  # use keeps a session alive


async def test_a_session_token_is_no_api_key(edge: Edge) -> None:
    browser = await edge.signed_in()
    token = browser.cookies["__Host-hum_session"]
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        answer = await http.get("/api/me", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "api_key_required")
        # Nor is the cookie accepted under a name that another host of the domain could set.
        assert (await http.get("/api/me", headers={"Cookie": f"hum_session={token}"})).status_code == 401
    async with edge.plane.control.db.system() as tx:
        stored = await tx.fetch("SELECT row_to_json(s)::text AS row FROM sessions s")
    assert stored and all(token not in row["row"] for row in stored)


# --- forged requests ----------------------------------------------------------------------------------------------


async def test_an_unsafe_request_under_a_cookie_comes_from_our_own_pages(edge: Edge) -> None:
    foreign: list[dict[str, str | None]] = [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://hum.example"},
        {"Origin": f"{PUBLIC}.evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": None, "Sec-Fetch-Site": "same-site"},
        {"Origin": None, "Sec-Fetch-Site": "cross-site"},
        {"Origin": None, "Sec-Fetch-Site": "none"},
        {"Origin": None},
    ]
    own: list[dict[str, str | None]] = [{"Origin": PUBLIC}, {"Origin": None, "Sec-Fetch-Site": "same-origin"}]
    browser = await edge.signed_in()
    for headers in foreign:
        answer = await browser.post("/api/organizations", {"name": "Clinic"}, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "csrf_failed"), headers
        assert (await browser.get("/api/me")).json()["organizations"] == [], headers
        assert (await browser.post("/auth/logout", headers=headers)).status_code == 403, headers
        assert (await browser.get("/api/me", headers=headers)).status_code == 200, "reading is safe"
    for headers in own:
        answer = await browser.post("/api/organizations", {"name": "Clinic"}, headers=headers)
        assert answer.status_code == 201, (headers, answer.text)
        assert (await browser.get("/api/me", headers=headers)).status_code == 200, headers


async def test_a_key_needs_no_origin(edge: Edge) -> None:
    client = await edge.client()
    browser = await edge.signed_in()
    cookie = f"__Host-hum_session={browser.cookies['__Host-hum_session']}"
    answer = await client.post(
        "/api/flows", json={"name": "a"}, headers={"Origin": "https://elsewhere.example", "Cookie": cookie}
    )
    assert answer.status_code == 201  # the key's, whatever cookies come with it
    assert [flow["name"] for flow in (await client.get("/api/flows")).json()["flows"]] == ["a"]


async def test_other_origins_are_told_nothing(edge: Edge) -> None:
    client = await edge.client()
    asking = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    for answer in (await client.options("/api/flows", headers=asking), await client.get("/api/flows", headers=asking)):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


# --- organizations ------------------------------------------------------------------------------------------------


async def test_onboarding_and_switching(edge: Edge) -> None:
    browser = await edge.signed_in()
    assert (await browser.get("/api/flows")).json()["error"]["code"] == "no_membership"
    made = await browser.post("/api/organizations", {"name": "Clinic"})
    assert made.status_code == 201 and made.json()["name"] == "Clinic"
    me = (await browser.get("/api/me")).json()
    assert (me["organization"]["id"], me["role"]) == (made.json()["id"], "admin")
    assert (await browser.post("/api/flows", {"name": "front desk"})).status_code == 201
    second = (await browser.post("/api/organizations", {"name": "Bakery"})).json()
    me = (await browser.get("/api/me")).json()
    assert me["organization"]["id"] == second["id"]
    assert [each["name"] for each in me["organizations"]] == ["Bakery", "Clinic"]
    assert (await browser.get("/api/flows")).json()["flows"] == []
    back = await browser.post("/api/me/organization", {"organization_id": made.json()["id"]})
    assert back.json()["organization"]["name"] == "Clinic"
    assert len((await browser.get("/api/flows")).json()["flows"]) == 1
    await browser.sign_in("ada@example.com")
    assert (await browser.get("/api/me")).json()["organization"]["name"] == "Clinic"  # the last organization worked in


async def test_nobody_switches_into_what_is_not_theirs(edge: Edge) -> None:
    owner, stranger = await edge.signed_in(), await edge.signed_in("grace@example.com")
    org = (await owner.post("/api/organizations", {"name": "Clinic"})).json()["id"]
    for id in (org, ids.show(Kind.ORGANIZATION, ids.new()), "org_x", ""):
        answer = await stranger.post("/api/me/organization", {"organization_id": id})
        assert answer.status_code == (404 if id else 400)
    assert (await stranger.get("/api/me")).json()["organization"] is None


async def test_onboarding_twice_with_one_key_makes_one(edge: Edge) -> None:
    browser = await edge.signed_in()
    headers = {"Idempotency-Key": "once"}
    answers = await asyncio.gather(
        *(browser.post("/api/organizations", {"name": "Clinic"}, headers=headers) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    again = await browser.post("/api/organizations", {"name": "Clinic"}, headers=headers)
    assert again.status_code == 201 and again.headers["idempotent-replayed"] == "true"
    assert len((await browser.get("/api/me")).json()["organizations"]) == 1
    other = await browser.post("/api/organizations", {"name": "Bakery"}, headers=headers)
    assert other.json()["error"]["code"] == "idempotency_mismatch"


async def test_a_key_can_not_do_what_a_person_must(edge: Edge) -> None:
    client = await edge.client()
    answers = (
        await client.post("/api/organizations", json={"name": "Clinic"}),
        await client.post("/api/me/organization", json={"organization_id": "org_x"}),
        await client.delete("/api/me/sessions"),
    )
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [
        (401, "session_required")
    ] * 3


async def test_a_site_admin_provisions(edge: Edge) -> None:
    body = {"name": "Clinic", "ownerEmail": "Grace@example.com", "plan": "free", "adminNotes": "by phone"}
    admin = await edge.signed_in("root@example.com")
    assert (await admin.post("/api/organizations/provision", body)).json()["error"]["code"] == "forbidden"
    await identity.set_site_admin(edge.plane.control.db, "root@example.com", site_admin=True)
    unknown = await admin.post("/api/organizations/provision", body)
    assert unknown.status_code == 404 and "signed in" in unknown.json()["error"]["message"]
    grace = await edge.signed_in("grace@example.com")
    made = await admin.post("/api/organizations/provision", body)
    assert made.status_code == 201
    mine = (await grace.get("/api/me")).json()["organizations"]
    assert [(each["id"], each["role"]) for each in mine] == [(made.json()["id"], "admin")]
    assert (await admin.get("/api/me")).json()["organizations"] == []
    bad = await admin.post("/api/organizations/provision", {"name": "", "ownerEmail": "x", "plan": "x" * 200})
    assert {each["field"] for each in bad.json()["error"]["details"]} == {"name", "ownerEmail", "plan"}


async def test_a_site_admins_key_is_checked_at_each_use(edge: Edge) -> None:
    db = edge.plane.control.db
    admin = await edge.signed_in("root@example.com")
    await admin.post("/api/organizations", {"name": "Operations"})
    refused = await admin.post("/api/api-keys", {"name": "k", "role": "admin", "scopes": ["site:admin"]})
    assert refused.status_code == 403
    await identity.set_site_admin(db, "root@example.com", site_admin=True)
    key = (await admin.post("/api/api-keys", {"name": "k", "role": "admin", "scopes": ["site:admin"]})).json()
    star = (await admin.post("/api/api-keys", {"name": "all", "role": "admin"})).json()
    await edge.signed_in("grace@example.com")
    body = {"name": "Clinic", "ownerEmail": "grace@example.com"}

    async def provision(secret: str) -> int:
        async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
            bearer = {"Authorization": f"Bearer {secret}"}
            return (await http.post("/api/organizations/provision", json=body, headers=bearer)).status_code

    assert await provision(key["secret"]) == 201
    assert await provision(star["secret"]) == 403
    await identity.set_site_admin(db, "root@example.com", site_admin=False)
    assert await provision(key["secret"]) == 403
