"""A request says for which organization it is meant, since a session is the whole browser's."""

from tests.contract.conftest import Edge


async def test_a_tab_of_the_organization_before_writes_nothing(edge: Edge) -> None:
    browser = await edge.signed_in()
    here = [(await browser.post("/api/organizations", {"name": name})).json()["id"] for name in ("Clinic", "Bakery")]
    of_clinic, of_bakery = ({"HUM-Organization": id} for id in here)
    for named in (of_clinic, {"HUM-Organization": b"org_\xfc"}):
        refused = await browser.post("/api/flows", {"name": "front desk"}, headers=named)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "organization_changed")
        assert (await browser.get("/api/me", headers=named)).status_code == 409
        assert (await browser.get("/api/stream", headers=named)).status_code == 409
    assert (await browser.get("/api/flows")).json()["flows"] == []
    assert (await browser.post("/api/flows", {"name": "front desk"}, headers=of_bakery)).status_code == 201
    stranger = await edge.signed_in("grace@example.com")
    assert (await stranger.get("/api/me", headers=of_clinic)).status_code == 409, "who is a member of none"
    key = await edge.client("Other")
    assert (await key.get("/api/flows", headers=of_clinic)).status_code == 200, "a key has one organization for ever"
