"""E-mails over REST: what a person wants to get, and what was sent; and one on its whole way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from control.app import build_worker
from control.identity import usecases as identity
from hum import ids
from hum.ids import Kind
from storage import identity as people
from tests.contract.conftest import Browser, Edge
from tests.control.conftest import FakeCarrier, fake_clients
from tests.control.notifications.conftest import serving
from tests.support.waits import patience, until

MINE, EMAILS = "/api/me/notifications", "/api/emails"


async def member(edge: Edge, org: Any, email: str, role: str) -> Browser:
    """A browser of somebody who is a member of this organization."""
    async with edge.plane.control.db.system() as tx:
        await people.add_member(tx, org, await people.upsert_user(tx, ids.new(), email), role)
    return await edge.signed_in(email)


async def test_each_says_what_to_get_within_their_role(edge: Edge) -> None:
    org = await identity.create_organization(edge.plane.control.db, "Clinic", "ada@example.com")
    admin = await edge.signed_in("ada@example.com")
    viewer = await member(edge, org, "bob@example.com", "viewer")
    mine = (await admin.get(MINE)).json()
    assert mine == {
        "voicemails": True,
        "transfers": True,
        "webhooks": True,
        "limits": True,
        "email": "ada@example.com",
        "available": False,
    }
    changed = (await admin.request("PATCH", MINE, json={"voicemails": False})).json()
    assert (changed["voicemails"], changed["webhooks"]) == (False, True)
    assert (await admin.get(MINE)).json() == changed
    assert (await admin.request("PATCH", MINE, json={"voicemails": None})).json() == mine, "as the role has it"
    theirs = (await viewer.get(MINE)).json()
    assert (theirs["voicemails"], theirs["webhooks"], theirs["limits"]) == (False, False, False)
    assert (await viewer.request("PATCH", MINE, json={"voicemails": 1})).json()["voicemails"]
    assert (await viewer.request("PATCH", MINE, json={"webhooks": True})).status_code == 403
    assert (await viewer.request("PATCH", MINE, json={"webhooks": False})).status_code == 200
    assert (await viewer.get(EMAILS)).status_code == 403
    key = await edge.client("Other")
    assert (await key.get(MINE)).status_code == 401, "a key is no person"
    assert (await key.get(EMAILS)).json() == {"emails": [], "next_cursor": None}


@pytest.mark.parametrize("has_chosen", [False, True])
async def test_a_change_keeps_one_that_was_made_meanwhile(edge: Edge, *, has_chosen: bool) -> None:
    """Also the first one, before there is anything stored."""
    db = edge.plane.control.db
    await identity.create_organization(db, "Clinic", "ada@example.com")
    admin = await edge.signed_in("ada@example.com")
    if has_chosen:
        await admin.request("PATCH", MINE, json={"webhooks": False})
    async with db.system() as changing, db.system() as looking:
        await changing.execute(
            """INSERT INTO notification_wishes (org_id, user_id, limits) SELECT org_id, user_id, false FROM memberships
               ON CONFLICT (org_id, user_id) DO UPDATE SET limits = false"""
        )
        asking = asyncio.create_task(admin.request("PATCH", MINE, json={"voicemails": False}))

        async def waits() -> bool:
            return asking.done() or bool(await looking.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        await until(waits)
    assert (await asking).status_code == 200
    found = (await admin.get(MINE)).json()
    assert (found["voicemails"], found["webhooks"], found["limits"]) == (False, not has_chosen, False)


async def test_transcripts_stay_out_of_emails_until_an_admin_says_so(edge: Edge) -> None:
    http = await edge.client()
    assert (await http.get("/api/organization")).json()["notify_transcripts"] is False
    changed = await http.patch("/api/organization", json={"notify_transcripts": True})
    assert changed.json()["notify_transcripts"] is True
    assert (await http.patch("/api/organization", json={"notify_transcripts": None})).status_code == 400


@pytest.mark.interop
async def test_an_invitation_arrives_through_a_worker(edge: Edge, database_url: str, tmp_path: Path) -> None:
    import trustme

    ca, http = trustme.CA(), await edge.client()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with serving("starttls", ca) as box:
        settings = edge.plane.settings.model_copy(
            update={
                "smtp_url": f"smtp://localhost:{box.port}",
                "smtp_from": "HUM <hum@example.com>",
                "smtp_ca": str(tmp_path / "ca.pem"),
                "notification_seconds": 0.05,
            }
        )
        stop = asyncio.Event()
        async with build_worker(settings, database_url, fake_clients(FakeCarrier())) as worker:
            working = asyncio.create_task(worker.run(stop))
            async with patience():
                while "notifications" not in await cursors(edge):  # a reader begins where it is first run
                    await asyncio.sleep(0.05)
                wish = {"email": "new@example.com", "role": "viewer"}
                assert (await http.post("/api/team/invites", json=wish)).status_code == 201
                while not box.got:
                    await asyncio.sleep(0.05)
                while (sent := (await http.get(EMAILS)).json()["emails"])[0]["state"] != "sent":
                    await asyncio.sleep(0.05)
            stop.set()
            await working
    assert box.got[0]["To"] == "new@example.com" and box.was_encrypted == [True]
    (row,) = sent
    assert (row["to"], row["kind"], row["attempts"], row["user_id"]) == ("new@example.com", "invitation", 1, None)
    assert ids.parse(Kind.EMAIL, row["id"]) is not None
    stranger = await edge.client("Other")
    assert (await stranger.get(EMAILS)).json()["emails"] == []


async def cursors(edge: Edge) -> set[str]:
    async with edge.plane.control.db.system() as tx:
        return {row["reader"] for row in await tx.fetch("SELECT reader FROM event_cursors")}
