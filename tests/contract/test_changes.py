"""The organization's stream over REST: what happens in it, as its lists show it, for whoever may list it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from control.identity import usecases as identity
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.v1 import runtime_pb2
from storage import approvals, contacts, crm, mcp
from tests.contract.conftest import Edge
from tests.contract.inbox import numbered, organization, receive, started
from tests.contract.test_authorization import belongings
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.contract.test_live_stream import in_progress
from tests.contract.test_sms_stream import Following, following
from tests.support.examples import sample

STREAM = "/api/stream"
Event = tuple[str, dict[str, Any]]


@asynccontextmanager
async def told(http: httpx.AsyncClient, last: int = 0) -> AsyncIterator[Following]:
    """The stream from that place; without one, past its first `resync`."""
    async with following(http, last, STREAM) as stream:
        if not last:
            assert await stream.next() == ("resync", {})
        yield stream


async def with_key(edge: Edge, http: httpx.AsyncClient, role: str, *scopes: str) -> httpx.AsyncClient:
    """Another client of the organization."""
    _, secret = await identity.issue_key(edge.plane.control.db, await organization(http), "k", role, list(scopes))
    return httpx.AsyncClient(base_url=edge.url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False)


async def test_a_call_is_told_as_the_list_shows_it_from_its_start_to_its_deletion(edge: Edge) -> None:
    http = await flow_with_number(edge)
    async with told(http) as stream:
        await post(edge, "/twilio/voice", CALL)
        (first, caller), (name, row) = await stream.until("call.created")
        assert (first, caller["kind"]) == ("resource.changed", "contact")
        (listed,) = (await http.get("/api/calls")).json()["calls"]
        assert (name, row) == ("call.created", listed)
        await http.post(f"/api/calls/{row['id']}/tags", json={"tag": "vip"})
        assert await stream.next() == ("call.updated", {**row, "tags": ["vip"]})
        await http.delete(f"/api/calls/{row['id']}/tags/vip")
        assert await stream.next() == ("call.updated", row)
        over = {**CALL, "CallStatus": "completed", "CallDuration": "3"}
        await post(edge, "/twilio/voice/status", over)
        name, ended = (await stream.until("call.updated"))[-1]
        assert (name, ended) == ("call.updated", (await http.get("/api/calls")).json()["calls"][0])
        assert ended["ended_at"] is not None
        assert (await http.delete(f"/api/calls/{row['id']}")).status_code in (200, 204)
        assert (await stream.until("resource.deleted"))[-1][1] == {"kind": "call", "id": row["id"]}


async def test_a_call_under_way_is_told_with_its_state(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    async with told(http) as stream:
        media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=9000))
        while True:
            name, row = await stream.next()
            assert (name, row["id"]) == ("call.updated", call_id)
            if row["end_reason"] == "caller":
                break


async def test_what_people_and_agents_leave_is_told(edge: Edge) -> None:
    owned = await belongings(edge)
    async with client_of(edge, owned) as http, told(http) as stream:
        db, org = edge.plane.control.db, ids.require(Kind.ORGANIZATION, owned["organization"])
        await http.patch(f"/api/voicemails/{owned['voicemails']}", json={"heard": True})
        name, voicemail = await stream.next()
        assert (name, voicemail) == ("voicemail.updated", (await http.get("/api/voicemails")).json()["voicemails"][0])
        await http.delete(f"/api/voicemails/{owned['voicemails']}")
        assert await stream.next() == ("resource.deleted", {"kind": "voicemail", "id": owned["voicemails"]})
        async with db.tenant(org) as tx:
            await approvals.decide(tx, ids.require(Kind.APPROVAL, owned["approvals"]), "denied", "Ada")
        name, approval = await stream.next()
        assert (name, approval) == ("approval.updated", (await http.get("/api/approvals")).json()["approvals"][0])
        assert approval["state"] == "denied"
        campaign = (await http.patch(f"/api/sms/campaigns/{owned['campaigns']}", json={"name": "Other"})).json()
        assert (await stream.until("campaign.updated"))[-1][1]["name"] == campaign["name"]
        for path, kind in (
            ("contacts", "contact"),
            ("flows", "flow"),
            ("numbers", "number"),
            ("webhooks", "webhook"),
            ("knowledge", "knowledge"),
        ):
            id = owned[path]
            change = {"numbers": {"friendly_name": "Desk"}, "webhooks": {"description": "x"}}.get(path, {"name": "New"})
            assert (await http.patch(f"/api/{path}/{id}", json=change)).status_code == 200
            assert (await stream.until("resource.changed"))[-1][1] == {"kind": kind, "id": id}
        for path, kind in (("webhooks", "webhook"), ("contacts", "contact")):
            await http.delete(f"/api/{path}/{owned[path]}")
            await changed(stream, kind, owned[path])


async def test_links_and_look_ups_of_contacts_and_the_text_to_missed_callers_are_told(edge: Edge) -> None:
    owned = await belongings(edge)
    async with client_of(edge, owned) as http:
        one, number = owned["contacts"], owned["numbers"]
        other = (await http.post("/api/contacts", json={"phone_e164": "+13175550131"})).json()["id"]
        assert (await http.patch(f"/api/numbers/{number}", json={"sms_enabled": True})).status_code == 200
        async with told(http) as stream:
            assert (await http.post(f"/api/contacts/{one}/links", json={"linked_id": other})).status_code == 201
            pair = [{"kind": "contact", "id": id} for id in sorted((one, other))]
            assert [(await stream.next())[1] for _ in pair] == pair
            assert (await http.delete(f"/api/contacts/{other}/links/{one}")).status_code == 204
            assert [(await stream.next())[1] for _ in pair] == pair
            async with edge.plane.control.db.system() as tx:
                # The carrier knows nothing of it, as before.
                await contacts.record_lookup(tx, ids.require(Kind.CONTACT, other), {})
            assert await stream.next() == ("resource.changed", {"kind": "contact", "id": other})
            change = {"missed_call_text": "Sorry we missed you."}
            assert (await http.patch(f"/api/numbers/{number}", json=change)).status_code == 200
            assert await stream.next() == ("resource.changed", {"kind": "number", "id": number})


async def test_tools_and_the_systems_behind_them_are_told(edge: Edge) -> None:
    owned = await belongings(edge)
    async with client_of(edge, owned) as http, told(http) as stream:
        for path, kind, change in (
            ("tools", "tool", {"description": "Another one."}),
            ("mcp-servers", "mcp_server", {"timeout_ms": 900}),
            ("crm-connectors", "crm_connector", {"timeout_ms": 900}),
        ):
            assert (await http.patch(f"/api/{path}/{owned[path]}", json=change)).status_code == 200
            await changed(stream, kind, owned[path])
        tool = {"name": "another", "description": "Looks up.", "url": "https://localhost/x"}
        made = (await http.post("/api/tools", json=tool)).json()["id"]
        await changed(stream, "tool", made)
        flow = (await http.post("/api/flows", json={"name": "F"})).json()["id"]
        await changed(stream, "flow", flow)
        bound = (await http.post(f"/api/flows/{flow}/tools", json={"tool_id": made})).json()["id"]
        await changed(stream, "flow", flow)
        assert (await http.delete(f"/api/flows/{flow}/tools/{bound}")).status_code == 204
        await changed(stream, "flow", flow)
        await http.post(f"/api/flows/{flow}/mcp-servers", json={"server_id": owned["mcp-servers"]})
        await changed(stream, "flow", flow)
        assert (await http.delete(f"/api/crm-connectors/{owned['crm-connectors']}")).status_code == 204
        await changed(stream, "crm_connector", owned["crm-connectors"])


async def test_what_becomes_of_a_connector_and_a_server_is_told(edge: Edge) -> None:
    owned = await belongings(edge)
    org = ids.require(Kind.ORGANIZATION, owned["organization"])
    connector = ids.require(Kind.CRM_CONNECTOR, owned["crm-connectors"])
    server = ids.require(Kind.MCP_SERVER, owned["mcp-servers"])
    minute = timedelta(minutes=1)
    async with client_of(edge, owned) as http, told(http) as stream:
        for _ in range(2):  # the second, in which it begins to rest, too
            async with edge.plane.control.db.tenant(org) as tx:
                await crm.fail(tx, await crm.get(tx, connector), "No answer.", 2, minute, minute)
            await changed(stream, "crm_connector", owned["crm-connectors"])
        async with edge.plane.control.db.tenant(org) as tx:
            await crm.recover(tx, connector)
        await changed(stream, "crm_connector", owned["crm-connectors"])
        async with edge.plane.control.db.tenant(org) as tx:
            await mcp.record_failure(tx, server, "It has gone away.", now())
        await changed(stream, "mcp_server", owned["mcp-servers"])


async def changed(stream: Following, kind: str, id: str) -> None:
    """Read on until it is told that this has changed."""
    while await stream.next() != ("resource.changed", {"kind": kind, "id": id}):
        pass


def client_of(edge: Edge, owned: dict[str, str]) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {owned['secret']}"}
    return httpx.AsyncClient(base_url=edge.url, headers=headers, trust_env=False)


async def test_texts_are_told_with_their_conversation(edge: Edge) -> None:
    http = await edge.client()
    thread = await started(http, await numbered(edge, http))
    async with told(http) as stream:
        await receive(edge, thread, await organization(http))
        events = dict(await stream.until("message.created", "conversation.updated"))
        assert events["message.created"]["body"] == "Hello?"
        assert events["conversation.updated"] == (await http.get("/api/sms/conversations")).json()["conversations"][0]
        assert events["conversation.updated"]["unread_count"] == 1


@pytest.mark.parametrize(
    ("scopes", "names"),
    [
        (("calls:read",), {"call.created"}),
        (("sms:write",), {"message.created", "conversation.updated"}),
        (("flows:read", "numbers:read"), {"resource.changed"}),
        (("*",), {"call.created", "message.created", "conversation.updated", "resource.changed"}),
    ],
)
async def test_a_key_is_told_of_what_it_may_list(edge: Edge, scopes: tuple[str, ...], names: set[str]) -> None:
    http = await flow_with_number(edge)
    thread = await started(http, await numbered(edge, http, "+13175550101"))
    other = await with_key(edge, http, "viewer", "stream:read", *scopes)
    async with told(other) as stream:
        found = set[str]()
        for sid in ("CA1", "CA2"):  # what is told of the second round comes after all that there was in the first
            await http.post("/api/flows", json={"name": f"Another for {sid}"})
            await receive(edge, thread, await organization(http))
            await post(edge, "/twilio/voice", {**CALL, "CallSid": sid})
            found |= {name for name, _ in await stream.until(*names)}
    assert found - ({"call.updated"} if "call.created" in names else set()) == names
    await other.aclose()


async def test_the_stream_takes_a_scope_of_its_own(edge: Edge) -> None:
    http = await edge.client()
    other = await with_key(edge, http, "admin", "calls:read", "sms:read")
    answer = await other.get(STREAM)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")


async def test_nothing_of_another_organization_is_told(edge: Edge) -> None:
    http, other = await flow_with_number(edge), await edge.client("Other")
    async with told(other) as theirs:
        await post(edge, "/twilio/voice", CALL)
        mine = (await other.post("/api/flows", json={"name": "Mine"})).json()
        assert await theirs.next() == ("resource.changed", {"kind": "flow", "id": mine["id"]})
    assert len((await http.get("/api/calls")).json()["calls"]) == 1


async def test_a_revoked_key_ends_the_stream(edge: Edge) -> None:
    http = await edge.client()
    other = await with_key(edge, http, "viewer", "*")
    key = next(each for each in (await http.get("/api/api-keys")).json()["api_keys"] if each["name"] == "k")
    async with told(other) as stream:
        assert (await http.delete(f"/api/api-keys/{key['id']}")).status_code == 204
        with pytest.raises(AssertionError, match="the stream has ended"):
            await stream.next()
    assert (await other.get(STREAM)).status_code == 401


@pytest.mark.sampled
@pytest.mark.parametrize("seed", sample([1, 2], 2))
async def test_whoever_reconnects_at_random_misses_nothing_and_gets_nothing_twice(edge: Edge, seed: int) -> None:
    chance, http = random.Random(seed), await flow_with_number(edge)
    async with told(http) as stream:
        pass
    sids = [f"CA{n}" for n in range(18)]

    async def calls() -> None:
        for begin in range(0, len(sids), 3):
            forms = [{**CALL, "CallSid": sid, "From": f"+131755502{sid[2:]:0>2}"} for sid in sids[begin : begin + 3]]
            await asyncio.gather(*(post(edge, "/twilio/voice", form) for form in forms))

    calling, last, found = asyncio.create_task(calls()), stream.last, list[str]()
    while len(found) < len(sids):
        async with told(http, last) as stream:
            for _ in range(chance.randint(0, 6)):
                if len(found) == len(sids):
                    break
                name, row = await stream.next()
                assert name != "resync"
                found += [row["from"]] if name == "call.created" else []
                last = stream.last
    await calling
    assert sorted(found) == sorted(f"+131755502{n:02}" for n in range(18))
