"""Members, roles and invitations."""

import asyncio

import httpx
import pytest

from control.identity import usecases as identity
from hum import ids
from hum.ids import Kind
from sandbox.signin import Issuer
from sandbox.signin.people import User
from tests.contract.conftest import Browser, Edge

ADA, GRACE, ALAN = "ada@example.com", "grace@example.com", "alan@example.com"


async def team(edge: Edge, *others: tuple[str, str]) -> list[Browser]:
    """Ada's organization; each of the others was invited with a role, has signed in, and accepted."""
    owner = await edge.signed_in(ADA)
    await owner.post("/api/organizations", {"name": "Clinic"})
    browsers = [owner]
    for email, role in others:
        answer = await owner.post("/api/team/invites", {"email": email, "role": role})
        assert answer.status_code == 201, answer.text
        browsers.append(await edge.signed_in(email.lower()))
        await browsers[-1].accept()
    return browsers


async def members(browser: Browser) -> dict[str, dict[str, str]]:
    return {each["email"]: each for each in (await browser.get("/api/team")).json()["members"]}


async def test_an_invited_person_joins_by_accepting(edge: Edge) -> None:
    owner, grace = await team(edge, (GRACE.upper(), "operator"))
    me = (await grace.get("/api/me")).json()
    assert (me["organization"]["name"], me["role"]) == ("Clinic", "operator")
    assert {email: each["role"] for email, each in (await members(owner)).items()} == {ADA: "admin", GRACE: "operator"}
    assert (await owner.get("/api/team/invites")).json()["invites"] == []  # used up


async def test_an_invitation_is_for_its_address_alone(edge: Edge, issuer: Issuer) -> None:
    owner = (await team(edge))[0]
    await owner.post("/api/team/invites", {"email": GRACE, "role": "viewer"})
    stranger = await edge.signed_in(ALAN)
    me = (await stranger.get("/api/me")).json()
    assert (me["organizations"], me["invitations"]) == ([], [])
    issuer.people.add(User(GRACE, "Mallory", email_verified=False))
    assert (await edge.browser().sign_in(GRACE)).status_code == 403
    assert GRACE not in await members(owner)


async def test_a_person_who_is_known_but_unverified_today_joins_nothing(edge: Edge, issuer: Issuer) -> None:
    await edge.signed_in(GRACE)
    owner = (await team(edge))[0]
    await owner.post("/api/team/invites", {"email": GRACE, "role": "viewer"})
    issuer.people.add(User(GRACE, "Grace", email_verified=False))
    again = await edge.signed_in(GRACE)  # the subject is known
    me = (await again.get("/api/me")).json()
    assert (me["organizations"], me["invitations"]) == ([], [])


async def test_invitations_expire_and_can_be_taken_back(edge: Edge) -> None:
    owner = (await team(edge))[0]
    old = await owner.post("/api/team/invites", {"email": GRACE, "role": "admin"})
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE invites SET expires_at = now() - interval '1 second'")
    assert (await owner.get("/api/team/invites")).json()["invites"] == []
    back = await owner.post("/api/team/invites", {"email": ALAN, "role": "admin"})
    assert (await owner.request("DELETE", f"/api/team/invites/{back.json()['id']}")).status_code == 204
    assert (await owner.request("DELETE", f"/api/team/invites/{back.json()['id']}")).status_code == 404
    for email in (GRACE, ALAN):
        me = (await (await edge.signed_in(email)).get("/api/me")).json()
        assert (me["organizations"], me["invitations"]) == ([], [])
    again = await owner.post("/api/team/invites", {"email": GRACE, "role": "viewer"})
    assert again.status_code == 201 and again.json()["id"] != old.json()["id"]


async def test_an_address_has_one_invitation_and_members_none(edge: Edge) -> None:
    owner = (await team(edge))[0]
    for role in ("viewer", "operator"):
        await owner.post("/api/team/invites", {"email": GRACE, "role": role})
    open_ones = (await owner.get("/api/team/invites")).json()["invites"]
    assert [(each["email"], each["role"], each["invited_by"]) for each in open_ones] == [(GRACE, "operator", ADA)]
    answer = await owner.post("/api/team/invites", {"email": ADA.title(), "role": "viewer"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "already_exists")
    bad = await owner.post("/api/team/invites", {"email": "no address", "role": "king"})
    assert bad.status_code == 400
    assert {each["field"] for each in bad.json()["error"]["details"]} == {"email", "role"}


async def test_a_role_holds_from_the_next_request_on(edge: Edge) -> None:
    owner, grace = await team(edge, (GRACE, "viewer"))
    assert (await grace.post("/api/flows", {"name": "a"})).json()["error"]["code"] == "forbidden"
    user = (await members(owner))[GRACE]["user_id"]
    changed = await owner.request("PATCH", f"/api/team/{user}", json={"role": "admin"})
    assert (changed.status_code, changed.json()["role"]) == (200, "admin")
    assert (await grace.post("/api/flows", {"name": "a"})).status_code == 201
    assert (await owner.request("DELETE", f"/api/team/{user}")).status_code == 204
    answer = await grace.get("/api/flows")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "no_membership")


@pytest.mark.parametrize("keep", [False, True])
async def test_a_member_who_leaves_takes_their_keys_along(edge: Edge, keep: bool) -> None:
    owner, grace = await team(edge, (GRACE, "admin"))
    secret = (await grace.post("/api/api-keys", {"name": "k", "role": "viewer"})).json()["secret"]
    owners = (await owner.post("/api/api-keys", {"name": "o", "role": "viewer"})).json()["secret"]
    user = (await members(owner))[GRACE]["user_id"]
    await owner.request("DELETE", f"/api/team/{user}", params={"keep_api_keys": "true"} if keep else {})
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        for each, status in ((secret, 200 if keep else 401), (owners, 200)):
            answer = await http.get("/api/flows", headers={"Authorization": f"Bearer {each}"})
            assert answer.status_code == status
        me = (await http.get("/api/me", headers={"Authorization": f"Bearer {secret}"})).json()
        assert not keep or me["user"]["email"] == ADA  # what was kept is whose who kept it


async def test_the_last_admin_stays(edge: Edge) -> None:
    owner, _ = await team(edge, (GRACE, "operator"))
    me = (await members(owner))[ADA]["user_id"]
    for answer in (
        await owner.request("PATCH", f"/api/team/{me}", json={"role": "viewer"}),
        await owner.request("DELETE", f"/api/team/{me}"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state")
    same = await owner.request("PATCH", f"/api/team/{me}", json={"role": "admin"})
    assert same.status_code == 200  # changes nothing


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
async def test_each_role_may_leave(edge: Edge, role: str) -> None:
    owner, grace = await team(edge, (GRACE, role))
    mine = (await owner.get("/api/me")).json()["user"]["id"]
    if role != "admin":
        assert (await grace.request("DELETE", f"/api/team/{mine}")).status_code == 403, "they remove nobody else"
    assert (await grace.request("DELETE", "/api/me/membership")).status_code == 204
    assert list(await members(owner)) == [ADA]
    refusal = await grace.request("DELETE", "/api/me/membership")
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (403, "no_membership")
    last = await owner.request("DELETE", "/api/me/membership")
    assert (last.status_code, last.json()["error"]["code"]) == (409, "invalid_state")
    key = (await owner.post("/api/api-keys", {"name": "k", "role": "admin"})).json()["secret"]
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        refused = await http.delete("/api/me/membership", headers={"Authorization": f"Bearer {key}"})
        assert refused.status_code == 401, "a key removes no person"


async def test_two_admins_who_demote_each_other_at_once_leave_one(edge: Edge) -> None:
    for _ in range(2):
        owner, grace = await edge.signed_in(ADA), await edge.signed_in(GRACE)
        await owner.post("/api/organizations", {"name": "Clinic"})
        await owner.post("/api/team/invites", {"email": GRACE, "role": "admin"})
        org = (await owner.get("/api/me")).json()["organization"]["id"]
        grace = await edge.signed_in(GRACE)
        assert (await grace.accept())["organization"]["id"] == org
        users = {email: each["user_id"] for email, each in (await members(owner)).items()}
        answers = await asyncio.gather(
            owner.request("PATCH", f"/api/team/{users[GRACE]}", json={"role": "viewer"}),
            grace.request("DELETE", f"/api/team/{users[ADA]}"),
        )
        assert sorted(answer.status_code < 300 for answer in answers) == [False, True], [each.text for each in answers]
        async with edge.plane.control.db.system() as tx:
            admins = await tx.fetchval(
                "SELECT count(*) FROM memberships JOIN organizations USING (org_id) WHERE role = 'admin' GROUP BY org_id"
                " ORDER BY max(organizations.created_at) DESC LIMIT 1"
            )
        assert admins == 1


async def test_members_come_in_pages(edge: Edge) -> None:
    owner = (await team(edge, *((f"p{n}@example.com", "viewer") for n in range(4))))[0]
    seen = list[str]()
    cursor: str | None = ""
    while cursor is not None:
        page = (await owner.get("/api/team", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [each["email"] for each in page["members"]]
        cursor = page["next_cursor"]
    assert seen == [ADA, *(f"p{n}@example.com" for n in range(4))]


async def test_members_of_others_are_not_there(edge: Edge) -> None:
    owner = (await team(edge))[0]
    stranger = await edge.signed_in(ALAN)
    await stranger.post("/api/organizations", {"name": "Bakery"})
    ada = (await members(owner))[ADA]["user_id"]
    assert set(await members(stranger)) == {ALAN}
    for verb, body in (("PATCH", {"role": "viewer"}), ("DELETE", None)):
        assert (await stranger.request(verb, f"/api/team/{ada}", json=body)).status_code == 404


async def test_a_keys_name_does_not_pass_for_who_invites(edge: Edge) -> None:
    owner = (await team(edge))[0]
    org = ids.require(Kind.ORGANIZATION, (await owner.get("/api/me")).json()["organization"]["id"])
    made = await owner.post("/api/api-keys", {"name": "HUM Support", "role": "admin"})
    _, operators = await identity.issue_key(edge.plane.control.db, org, "support@hum.example", "admin", [])
    for secret, email in ((made.json()["secret"], GRACE), (operators, ALAN)):
        async with httpx.AsyncClient(
            base_url=edge.url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False
        ) as http:
            answer = await http.post("/api/team/invites", json={"email": email, "role": "viewer"})
            assert answer.status_code == 201, answer.text
    for email, inviter in ((GRACE, f"API key of {ADA}"), (ALAN, "API key")):
        invited = (await (await edge.signed_in(email)).get("/api/me")).json()["invitations"]
        assert [each["invited_by"] for each in invited] == [inviter]
