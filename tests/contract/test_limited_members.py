"""Members who see some numbers and agents only: whatever they read, nothing of the others' appears."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import httpx
import pytest

from gateway import contract
from gateway.contract import Binding
from hum import ids, secrets
from hum.contract import authorization
from hum.ids import Kind
from hum.v1 import options_pb2
from storage import identity as people
from storage import sessions
from tests.contract.conftest import PUBLIC, Edge
from tests.contract.inbox import numbered, organization, started
from tests.contract.test_authorization import belongings, filled
from tests.contract.test_carrier_webhooks import CALL, post
from tests.contract.test_revoked_streams import following, read_to_its_end
from tests.control.conftest import UNLIMITED

#: What belongs to the whole organization, and is read by its id: the segment before the id, and why.
OF_ALL = {
    "team": "members are listed to each other, without what they are limited to",
    "templates": "texts that anybody may send",
    "tools": "settings, without calls or people",
    "mcp-servers": "settings, without calls or people",
    "mcp-servers/tools": "settings, without calls or people",
    "crm-connectors": "settings, without calls or people",
    "triggers": "settings; what a trigger received is hidden",
    "knowledge": "documents for all agents",
    "opt-outs": "one number's answer, which sending needs; the list is hidden",
    "organization": "everybody's",
    "resources": "what can be booked, without who booked it",
    "time-off": "when nothing can be booked, without appointments",
    "services": "what can be booked, without who booked it",
    "tags": "a word",
    "media": "an index",
}


@pytest.fixture
def limits() -> dict[str, float]:
    return {**UNLIMITED, "recheck_seconds": 3600}


async def member(edge: Edge, http: httpx.AsyncClient, role: str = "viewer") -> tuple[httpx.AsyncClient, str]:
    """A signed-in member of the organization, and their id."""
    token, org, day = secrets.new_token(), await organization(http), timedelta(days=1)
    async with edge.plane.control.db.system() as tx:
        user = await people.upsert_user(tx, ids.new(), f"{ids.new().hex}@example.com")
        await people.add_member(tx, org, user, role)
        await sessions.open(
            tx, id=ids.new(), token_hash=secrets.token_hash(token), user=user, org=org, idle=day, lasts=day
        )
    client = httpx.AsyncClient(
        base_url=edge.url,
        headers={"Cookie": f"__Host-hum_session={token}", "Origin": PUBLIC},
        trust_env=False,
    )
    return client, ids.show(Kind.USER, user)


async def limit(http: httpx.AsyncClient, user: str, *numbers: str, flows: tuple[str, ...] = ()) -> httpx.Response:
    return await http.patch(
        f"/api/team/{user}", json={"limited_to": {"number_ids": list(numbers), "flow_ids": list(flows)}}
    )


async def owner_of(edge: Edge, owned: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=edge.url, headers={"Authorization": f"Bearer {owned['secret']}"}, trust_env=False)


@asynccontextmanager
async def without_policies(database_url: str) -> AsyncIterator[None]:
    """Let the policies of limits hide nothing, though members stay limited."""
    owner = await asyncpg.connect(database_url)
    try:
        kept = await owner.fetchval("SELECT pg_get_functiondef('hum.sees_everything()'::regprocedure)")
        await owner.execute(
            "CREATE OR REPLACE FUNCTION hum.sees_everything() RETURNS boolean"
            " LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT true'"
        )
        try:
            yield
        finally:
            await owner.execute(kept)
    finally:
        await owner.close()


async def test_every_read_shows_nothing_of_other_numbers(edge: Edge, database_url: str) -> None:
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    other = await numbered(edge, http, "+13175550300")
    viewer, user = await member(edge, http, "operator")
    private = {noun: id for noun, id in owned.items() if noun not in OF_ALL and noun != "secret"}
    private |= {"caller": CALL["From"], "number": CALL["To"], "texter": "+13175550157", "written": "+13175550156"}
    reads = [
        binding
        for binding in contract.bindings()
        if binding.verb == "GET"
        and authorization.access_of(binding.method).audience != options_pb2.AUDIENCE_SIGNED_IN
        and authorization.access_of(binding.method).role <= options_pb2.ROLE_OPERATOR
    ]
    assert len(reads) > 60
    assert len(await leaks(viewer, reads, owned, private)) > 20, "what a limit has to hide"
    assert (await limit(http, user, other)).json()["limited_to"] == {"number_ids": [other], "flow_ids": []}
    assert await leaks(viewer, reads, owned, private) == []
    assert (await viewer.get("/api/me")).json()["limited"] is True
    async with without_policies(database_url):
        assert len(await leaks(viewer, reads, owned, private)) > 20, "what the policies alone hide"


async def leaks(
    viewer: httpx.AsyncClient, reads: list[Binding], owned: dict[str, str], private: dict[str, str]
) -> list[tuple[str, int, list[str], str]]:
    """The reads whose answers name something private, or find it by its id."""
    wrong = []
    for binding in reads:
        if binding.is_stream and not binding.path_fields:
            continue  # the streams have their tests below
        path = filled(binding, owned)
        query = {"conversation_id": owned["conversations"]} if binding.path.endswith("/rendered") else {}
        query |= {"q": CALL["From"]} if binding.path == "/api/search" else {}
        query |= {"phone": "3175550100"} if binding.path == "/api/numbers/e164" else {}
        async with viewer.stream("GET", path, params=query) as answer:
            kind = answer.headers.get("content-type", "")
            # What is followed or heard has no end.
            text = "" if kind.startswith(("text/event-stream", "audio/")) else (await answer.aread()).decode()
        leaked = [noun for noun, id in private.items() if id in text and id not in path]
        named = [part for part in binding.path.split("/") if part in private]
        if leaked or (binding.path_fields and named and answer.status_code == 200):
            wrong.append((binding.path, answer.status_code, leaked, text[:200]))
    return wrong


async def test_a_limit_holds_at_once_and_ends_open_streams(edge: Edge) -> None:
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    other = await numbered(edge, http, "+13175550300")
    viewer, user = await member(edge, http)
    assert (await viewer.get(f"/api/calls/{owned['calls']}")).status_code == 200
    async with following(edge, Cookie=viewer.headers["Cookie"]) as lines:
        assert (await limit(http, user, other)).status_code == 200
        await read_to_its_end(lines)
    assert (await viewer.get(f"/api/calls/{owned['calls']}")).status_code == 404
    assert (await viewer.get("/api/calls")).json()["calls"] == []
    assert (await limit(http, user)).status_code == 200
    assert (await viewer.get(f"/api/calls/{owned['calls']}")).status_code == 200


async def test_a_member_limited_to_an_agent_sees_its_calls_and_people(edge: Edge) -> None:
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    viewer, user = await member(edge, http)
    await limit(http, user, flows=(owned["flows"],))
    (call,) = (await viewer.get("/api/calls")).json()["calls"]
    assert call["id"] == owned["calls"]
    assert (await viewer.get(f"/api/voicemails/{owned['voicemails']}")).status_code == 200
    assert (await viewer.get(f"/api/contacts/{call['contact']['id']}")).status_code == 200
    assert (await viewer.get(f"/api/contacts/{owned['contacts']}")).status_code == 404, "who never called"
    assert (await viewer.get("/api/contacts")).status_code == 403
    assert [flow["id"] for flow in (await viewer.get("/api/flows")).json()["flows"]] == [owned["flows"]]


async def test_a_limited_operator_acts_within_their_numbers(edge: Edge) -> None:
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    other = await numbered(edge, http, "+13175550300")
    operator, user = await member(edge, http, "operator")
    await limit(http, user, other)
    wish = {"twilio_number_id": owned["numbers"], "contact_e164": "+13175550177"}
    assert (await operator.post("/api/sms/conversations", json=wish)).status_code in (400, 404)
    # A contact of the organization whom they don't see: the thread is theirs, and begins.
    thread = await started(operator, other, "+13175550157")
    assert [each["id"] for each in (await operator.get("/api/sms/conversations")).json()["conversations"]] == [
        thread["id"]
    ]
    assert (await operator.post(f"/api/calls/{owned['calls']}/notes", json={"body": "x"})).status_code == 404
    assert (await operator.post(f"/api/calls/{owned['calls']}/tags", json={"tag": "x"})).status_code == 404
    assert (await operator.post(f"/api/sms/conversations/{owned['conversations']}/close")).status_code == 404
    assert (await operator.patch(f"/api/voicemails/{owned['voicemails']}", json={"heard": True})).status_code == 404


async def test_limits_name_what_exists_and_bind_no_admin(edge: Edge) -> None:
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    viewer, user = await member(edge, http)
    admin, admin_id = await member(edge, http, "admin")
    answer = await limit(http, user, ids.show(Kind.NUMBER, ids.new()))
    assert answer.status_code == 400 and "limited_to" in answer.text
    assert (await limit(http, admin_id, owned["numbers"])).status_code == 409
    assert (await limit(http, user, owned["numbers"])).status_code == 200
    assert (await http.patch(f"/api/team/{user}", json={"role": "admin"})).status_code == 409
    kept = await http.delete(f"/api/team/{user}", params={"keep_api_keys": "true"})
    assert kept.status_code == 409
    members = (await viewer.get("/api/team")).json()["members"]
    assert {each["user_id"] for each in members if each["limited_to"] is not None} == {user}
    entry = (await admin.get("/api/audit-log")).json()["entries"][0]
    assert entry["action"] == "updateMember" and "limited_to" in str(entry["fields"])


async def test_viewers_export_nothing(edge: Edge) -> None:
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    viewer, _ = await member(edge, http)
    operator, _ = await member(edge, http, "operator")
    assert (await viewer.get("/api/contacts/export")).status_code == 403
    assert (await operator.get("/api/contacts/export")).status_code == 200
    exports = [binding for binding in contract.bindings() if binding.path.endswith("/export")]
    assert exports and all(
        authorization.access_of(binding.method).role > options_pb2.ROLE_VIEWER for binding in exports
    )


async def test_a_stream_tells_nothing_of_other_numbers(edge: Edge) -> None:
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    other = await numbered(edge, http, "+13175550300")
    viewer, user = await member(edge, http)
    await limit(http, user, other)
    async with following(edge, Cookie=viewer.headers["Cookie"]) as lines:
        await post(edge, "/twilio/voice", {**CALL, "CallSid": "CA2", "From": "+13175550188"})
        seen = await started(http, other, "+13175550189")
        async for line in lines:
            assert "+13175550188" not in line and owned["numbers"] not in line
            if seen["id"] in line:
                break


async def test_mcp_and_a_key_show_no_more_than_their_makers_may_see(edge: Edge) -> None:
    owned = await belongings(edge)
    http = await owner_of(edge, owned)
    other = await numbered(edge, http, "+13175550300")
    _, user = await member(edge, http)
    secret = secrets.new_api_key()
    async with edge.plane.control.db.system() as tx:
        await people.create_key(
            tx,
            id=ids.new(),
            org=await organization(http),
            hash=secrets.token_hash(secret),
            prefix="p",
            name="made before",
            role="admin",
            scopes=["*"],
            made_by=ids.require(Kind.USER, user),
            expires_at=None,
        )
    wish = {"operation_id": "listCalls", "arguments": {}}
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "execute_hum_api", "arguments": wish}}
    headers = {"Authorization": f"Bearer {secret}", "Accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(base_url=edge.url, headers=headers, trust_env=False) as key:
        before = await key.post("/mcp", json=ask)
        assert owned["calls"] in before.text, before.text
        await limit(http, user, other)
        after = await key.post("/mcp", json=ask)
        assert after.status_code == 200 and owned["calls"] not in after.text and CALL["From"] not in after.text
        assert (await key.get(f"/api/calls/{owned['calls']}")).status_code == 404
