"""Invitations are accepted by the person, and by nothing else."""

import asyncio

import pytest

from hum import ids
from hum.ids import Kind
from sandbox.signin import Issuer
from sandbox.signin.people import User
from tests.contract.conftest import Browser, Edge
from tests.contract.inbox import numbered
from tests.contract.test_authorization import belongings
from tests.contract.test_limited_members import owner_of
from tests.contract.test_team import ADA, GRACE

MALLORY = "mallory@example.com"


async def founder(edge: Edge, email: str, name: str) -> Browser:
    browser = await edge.signed_in(email)
    assert (await browser.post("/api/organizations", {"name": name})).status_code == 201
    return browser


async def invite(owner: Browser, email: str = GRACE, role: str = "operator") -> str:
    answer = await owner.post("/api/team/invites", {"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    id: str = answer.json()["id"]
    return id


async def test_the_first_session_shows_who_invites_to_what_and_joins_nothing(edge: Edge) -> None:
    """An attacker's older invitation put the person who signed in into the attacker's organization."""
    mallory = await founder(edge, MALLORY, "Klinic")
    await invite(mallory)
    clinic = await founder(edge, ADA, "Clinic")
    theirs = await invite(clinic)
    grace = await edge.signed_in(GRACE)
    me = (await grace.get("/api/me")).json()
    assert (me["organization"], me["role"], me["organizations"]) == (None, None, [])
    assert [(each["organization_name"], each["invited_by"], each["role"]) for each in me["invitations"]] == [
        ("Clinic", ADA, "operator"),
        ("Klinic", MALLORY, "operator"),
    ]
    assert (await grace.get("/api/flows")).json()["error"]["code"] == "no_membership"
    accepted = await grace.post(f"/api/me/invitations/{theirs}/accept")
    assert accepted.status_code == 200
    me = accepted.json()
    assert (me["organization"]["name"], me["role"], len(me["organizations"])) == ("Clinic", "operator", 1)
    assert [each["organization_name"] for each in me["invitations"]] == ["Klinic"]
    assert (await grace.get("/api/flows")).status_code == 200
    joined = {each["email"] for each in (await clinic.get("/api/team")).json()["members"]}
    assert joined == {ADA, GRACE}
    assert [each["email"] for each in (await mallory.get("/api/team")).json()["members"]] == [MALLORY]


async def test_an_invitation_is_declined_for_good(edge: Edge) -> None:
    owner = await founder(edge, ADA, "Clinic")
    id, grace = await invite(owner), await edge.signed_in(GRACE)
    assert (await grace.post(f"/api/me/invitations/{id}/decline")).status_code == 204
    assert (await grace.get("/api/me")).json()["invitations"] == []
    for verb in ("accept", "decline"):
        assert (await grace.post(f"/api/me/invitations/{id}/{verb}")).status_code == 404
    assert (await owner.get("/api/team/invites")).json()["invites"] == []
    actions = [(each["action"], each["actor_name"]) for each in (await owner.get("/api/audit-log")).json()["entries"]]
    assert ("declineInvitation", GRACE) in actions
    assert (await grace.get("/api/flows")).json()["error"]["code"] == "no_membership"  # declining opened nothing


async def test_nobody_accepts_what_is_anothers(edge: Edge) -> None:
    owner = await founder(edge, ADA, "Clinic")
    id, stranger = await invite(owner), await founder(edge, MALLORY, "Klinic")
    for each in (id, ids.show(Kind.INVITE, ids.new()), "invite_x"):
        for verb in ("accept", "decline"):
            assert (await stranger.post(f"/api/me/invitations/{each}/{verb}")).status_code == 404
    client = await edge.client("Other")
    assert (await client.post(f"/api/me/invitations/{id}/accept")).json()["error"]["code"] == "session_required"
    assert (await client.get("/api/me")).json()["invitations"] == []
    assert len((await owner.get("/api/team/invites")).json()["invites"]) == 1


@pytest.mark.parametrize("end", ["expired", "taken back"])
async def test_an_invitation_that_is_over_is_not_there(edge: Edge, end: str) -> None:
    owner = await founder(edge, ADA, "Clinic")
    id, grace = await invite(owner), await edge.signed_in(GRACE)
    if end == "expired":
        async with edge.plane.control.db.system() as tx:
            await tx.execute("UPDATE invites SET expires_at = now()")
    else:
        await owner.request("DELETE", f"/api/team/invites/{id}")
    assert (await grace.get("/api/me")).json()["invitations"] == []
    assert (await grace.post(f"/api/me/invitations/{id}/accept")).status_code == 404


async def test_who_is_known_but_unverified_today_accepts_nothing(edge: Edge, issuer: Issuer) -> None:
    await edge.signed_in(GRACE)
    owner = await founder(edge, ADA, "Clinic")
    id = await invite(owner)
    issuer.people.add(User(GRACE, "Grace", email_verified=False))
    again = await edge.signed_in(GRACE)  # the subject is known
    assert (await again.get("/api/me")).json()["invitations"] == []
    assert (await again.post(f"/api/me/invitations/{id}/accept")).status_code == 404


async def test_accepting_twice_at_once_joins_once(edge: Edge) -> None:
    owner = await founder(edge, ADA, "Clinic")
    id, grace = await invite(owner), await edge.signed_in(GRACE)
    answers = await asyncio.gather(*(grace.post(f"/api/me/invitations/{id}/accept") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[404] * 7]
    actions = [each["action"] for each in (await owner.get("/api/audit-log")).json()["entries"]]
    assert actions.count("acceptInvitation") == 1


async def test_addresses_that_unicode_folds_into_one_are_not_one(edge: Edge, issuer: Issuer) -> None:
    """KELVIN SIGN folds to k: whoever an issuer verified as mi\\u212Ae@ was mike@ here."""
    kelvin = "mi\u212ae@example.com"
    owner = await founder(edge, ADA, "Clinic")
    id = await invite(owner, "Mike@Example.com")
    issuer.people.add(User(kelvin, "Not Mike"))
    refused = await edge.browser().sign_in(kelvin)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "email_unverified")
    bad = await owner.post("/api/team/invites", {"email": kelvin, "role": "viewer"})
    assert [each["field"] for each in bad.json()["error"]["details"]] == ["email"]
    mike = await edge.signed_in("mike@example.com")
    assert [each["id"] for each in (await mike.get("/api/me")).json()["invitations"]] == [id]


async def test_an_invitation_limits_whoever_accepts_it(edge: Edge) -> None:
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    other = await numbered(edge, http, "+13175550300")
    wish = {"email": GRACE, "role": "operator", "limited_to": {"number_ids": [other], "flow_ids": []}}
    invited = await http.post("/api/team/invites", json=wish)
    assert invited.status_code == 201 and invited.json()["limited_to"] == wish["limited_to"]
    assert (await http.get("/api/team/invites")).json()["invites"][0]["limited_to"] == wish["limited_to"]
    grace = await edge.signed_in(GRACE)
    accepted = await grace.post(f"/api/me/invitations/{invited.json()['id']}/accept")
    assert accepted.status_code == 200 and accepted.json()["limited"] is True
    assert (await grace.get("/api/calls")).json()["calls"] == []
    assert (await grace.get(f"/api/calls/{owned['calls']}")).status_code == 404
    (member,) = [each for each in (await http.get("/api/team")).json()["members"] if each["email"] == GRACE]
    assert member["limited_to"] == wish["limited_to"]


async def test_an_invitation_again_replaces_the_limits(edge: Edge) -> None:
    http = await edge.client("Clinic")
    number = await numbered(edge, http, "+13175550300")
    wish = {"email": GRACE, "role": "viewer"}
    for numbers in ([number], list[str]()):
        limits = {"number_ids": numbers, "flow_ids": []}
        made = await http.post("/api/team/invites", json={**wish, "limited_to": limits})
        assert made.json()["limited_to"] == limits
    grace = await edge.signed_in(GRACE)
    (invitation,) = (await grace.get("/api/me")).json()["invitations"]
    assert (await grace.post(f"/api/me/invitations/{invitation['id']}/accept")).json()["limited"] is False


async def test_an_invitation_limits_to_what_exists_and_no_admin(edge: Edge) -> None:
    http = await edge.client("Clinic")
    theirs = await numbered(edge, await edge.client("Klinic"), "+13175550301")
    number = await numbered(edge, http, "+13175550300")
    refused = [
        ("viewer", {"number_ids": [theirs]}, 400),
        ("viewer", {"flow_ids": [ids.show(Kind.FLOW, ids.new())]}, 400),
        ("admin", {"number_ids": [number]}, 409),
    ]
    for role, limits, status in refused:
        answer = await http.post("/api/team/invites", json={"email": GRACE, "role": role, "limited_to": limits})
        assert answer.status_code == status, answer.text
        assert status != 400 or "limited_to" in answer.text
    assert (await http.get("/api/team/invites")).json()["invites"] == []
