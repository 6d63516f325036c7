"""Who may make organizations, and how many."""

import asyncio
from typing import Any

import pytest

from control.identity import usecases as identity
from hum.settings import ControlSettings
from tests.contract.conftest import Browser, Edge
from tests.contract.test_team import ADA, GRACE

ROOT = "root@example.com"
APPROVAL: dict[str, Any] = {"rate_burst": 10_000, "onboarding": "approval"}


@pytest.fixture
def limits() -> dict[str, Any]:
    return {"rate_burst": 10_000, "organizations_per_person": 2}


async def site_admin(edge: Edge) -> Browser:
    await identity.set_site_admin(edge.plane.control.db, ROOT, site_admin=True)
    return await edge.signed_in(ROOT)


async def found(browser: Browser, name: str = "Clinic") -> tuple[int, dict[str, Any]]:
    answer = await browser.post("/api/organizations", {"name": name})
    return answer.status_code, answer.json()


def test_production_approves_unless_somebody_says_otherwise() -> None:
    modes = [ControlSettings(env=env).onboarding_mode for env in ("development", "production")]
    assert modes == ["open", "approval"]
    assert ControlSettings(env="production", onboarding="closed").onboarding_mode == "closed"


# --- how many -------------------------------------------------------------------------------------------------------


async def test_a_person_founds_so_many_and_no_more(edge: Edge) -> None:
    ada = await edge.signed_in(ADA)
    answers = await asyncio.gather(*(found(ada, f"O{n}") for n in range(8)))
    assert sorted(status for status, _ in answers) == [201] * 2 + [402] * 6
    status, body = await found(ada)
    assert (status, body["error"]["code"]) == (402, "plan_limit")
    assert len((await ada.get("/api/me")).json()["organizations"]) == 2
    status, body = await found(await edge.signed_in(GRACE))
    assert (status, body["status"]) == (201, "active")  # each has their own


async def test_what_others_make_for_a_person_is_not_counted(edge: Edge) -> None:
    ada, admin = await edge.signed_in(ADA), await site_admin(edge)
    for n in range(3):
        made = await admin.post("/api/organizations/provision", {"name": f"P{n}", "ownerEmail": ADA})
        assert made.status_code == 201
    assert [(await found(ada))[0] for _ in range(3)] == [201, 201, 402]
    assert [(await found(admin))[0] for _ in range(3)] == [201] * 3  # nor are site admins limited


# --- who ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [{"rate_burst": 10_000, "onboarding": "closed"}])
async def test_a_closed_deployment_takes_none(edge: Edge, limits: dict[str, Any]) -> None:
    ada, admin = await edge.signed_in(ADA), await site_admin(edge)
    status, body = await found(ada)
    assert (status, body["error"]["code"]) == (403, "forbidden") and "operator" in body["error"]["message"]
    assert (await admin.post("/api/organizations/provision", {"name": "P", "ownerEmail": ADA})).status_code == 201


@pytest.mark.parametrize("limits", [APPROVAL])
async def test_an_organization_waits_for_a_site_admin(edge: Edge, limits: dict[str, Any]) -> None:
    ada, admin = await edge.signed_in(ADA), await site_admin(edge)
    status, asked = await found(ada)
    assert (status, asked["status"], asked["name"]) == (201, "pending", "Clinic")
    me = (await ada.get("/api/me")).json()
    assert (me["organization"], me["organizations"]) == (None, [])
    assert [(each["id"], each["name"]) for each in me["pending_organizations"]] == [(asked["id"], "Clinic")]
    assert (await ada.get("/api/flows")).json()["error"]["code"] == "no_membership"
    assert (await ada.post("/api/me/organization", {"organization_id": asked["id"]})).status_code == 404

    waiting = (await admin.get("/api/organizations/requests")).json()["requests"]
    assert [(each["id"], each["name"], each["requested_by"]["email"]) for each in waiting] == [
        (asked["id"], "Clinic", ADA)
    ]
    approved = await admin.post(f"/api/organizations/requests/{asked['id']}/approve")
    assert (approved.status_code, approved.json()["id"], approved.json()["status"]) == (200, asked["id"], "active")
    assert (await admin.post(f"/api/organizations/requests/{asked['id']}/approve")).status_code == 404
    me = (await ada.get("/api/me")).json()
    assert ([each["role"] for each in me["organizations"]], me["pending_organizations"]) == (["admin"], [])
    await ada.post("/api/me/organization", {"organization_id": asked["id"]})
    log = (await ada.get("/api/audit-log")).json()["entries"]
    assert [(each["action"], each["actor_name"]) for each in log] == [("approveOrganization", ROOT)]
    assert (await admin.get("/api/me")).json()["organizations"] == []  # who approves is no member


@pytest.mark.parametrize("limits", [{**APPROVAL, "organizations_per_person": 2}])
async def test_what_waits_counts_and_is_denied(edge: Edge, limits: dict[str, Any]) -> None:
    ada, admin = await edge.signed_in(ADA), await site_admin(edge)
    asked = [await found(ada, f"O{n}") for n in range(3)]
    assert [status for status, _ in asked] == [201, 201, 402]
    page = (await admin.get("/api/organizations/requests", params={"limit": 1})).json()
    rest = await admin.get("/api/organizations/requests", params={"limit": 1, "cursor": page["next_cursor"]})
    assert [each["name"] for each in (*page["requests"], *rest.json()["requests"])] == ["O0", "O1"]
    assert rest.json()["next_cursor"] is None
    for status in (204, 404):
        assert (await admin.post(f"/api/organizations/requests/{asked[0][1]['id']}/deny")).status_code == status
    assert [each["name"] for each in (await ada.get("/api/me")).json()["pending_organizations"]] == ["O1"]
    assert (await found(ada, "again"))[0] == 201


@pytest.mark.parametrize("limits", [APPROVAL])
async def test_nobody_approves_but_a_site_admin(edge: Edge, limits: dict[str, Any]) -> None:
    ada, grace = await edge.signed_in(ADA), await edge.signed_in(GRACE)
    _, asked = await found(ada)
    client = await edge.client()
    for asker in (ada, grace, client):
        assert (await asker.get("/api/organizations/requests")).status_code == 403
        for verb in ("approve", "deny"):
            assert (await asker.post(f"/api/organizations/requests/{asked['id']}/{verb}")).status_code == 403
    assert (await grace.get("/api/me")).json()["pending_organizations"] == []
    admin = await site_admin(edge)
    assert (await found(admin, "Operations"))[1]["status"] == "active"  # who approves needs nobody
    assert len((await admin.get("/api/organizations/requests")).json()["requests"]) == 1
