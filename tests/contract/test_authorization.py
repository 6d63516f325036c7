"""Every method is called as every kind of caller: access is exactly what docs/authorization.md says.

And with another tenant's ids: every path that names a resource is requested for one of another tenant.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import httpx
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc import aio

from control.base import principal
from control.identity import usecases as identity
from gateway import contract, openapi
from gateway.contract import Binding
from hum import ids, rpc, secrets
from hum.clock import now
from hum.contract import authorization
from hum.contract.authorization import CallerKind
from hum.contract.services import services
from hum.ids import Kind
from hum.process import home
from hum.v1 import identity_pb2, options_pb2
from hum.v1 import identity_pb2_grpc as identity_grpc
from storage import approvals, event_runs, mcp, sessions, voicemails
from storage import identity as people
from storage.approvals import Subject, ToolCall
from storage.db import Db
from storage.event_runs import NewEventRun
from storage.mcp import Definition, McpToolRow
from tests.contract.bookings import bookings_of
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.support.examples import ALL, sample
from tests.support.waits import patience

PAGE = Path(__file__).parents[2] / "docs/authorization.md"
REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
Metadata = tuple[tuple[str, str], ...]


def methods() -> list[MethodDescriptor]:
    return [method for service in services() for method in service.methods]


def test_the_page_is_what_the_contract_says() -> None:
    assert PAGE.read_text() == authorization.page(), "run: python -m hum.contract.authorization > docs/authorization.md"
    assert len(methods()) > 60


def test_each_route_stands_on_the_page_once() -> None:
    page = authorization.page()
    for binding in contract.bindings():
        assert page.count(f"| `{binding.verb} {binding.path}` |") == 1, binding.rpc


# --- everybody ----------------------------------------------------------------------------------------------------


class Everybody:
    """A fresh credential for each kind of caller, each in its own organization."""

    def __init__(self, edge: Edge, org: UUID) -> None:
        self._edge, self._db, self._org = edge, edge.plane.control.db, org

    @classmethod
    async def of(cls, edge: Edge) -> "Everybody":
        return cls(edge, await identity.create_organization(edge.plane.control.db, "Clinic", "owner@clinic.example"))

    async def metadata(self, caller: CallerKind, method: MethodDescriptor) -> Metadata:
        match caller:
            case CallerKind.NOBODY:
                return ()
            case CallerKind.GATEWAY | CallerKind.MEDIA | CallerKind.HUM_ADMIN:
                plane = {CallerKind.GATEWAY: "gateway", CallerKind.MEDIA: "media", CallerKind.HUM_ADMIN: "admin"}[
                    caller
                ]
                return (rpc.NodeIdentity(home.node_key(self._edge.plane.settings), plane, "n1").metadata(),)
            case CallerKind.ADMIN_KEY:
                return await self._key(["*"])
            case CallerKind.NARROW_KEY:
                wanted = authorization.access_of(method).scope.partition(":")[0]
                return await self._key(["billing:read" if wanted != "billing" else "team:read"])
            case CallerKind.GUEST | CallerKind.SITE_ADMIN:
                return await self._session(None, site_admin=caller is CallerKind.SITE_ADMIN)
            case _:
                return await self._session(str(caller))

    async def _key(self, scopes: list[str]) -> Metadata:
        _, secret = await identity.issue_key(self._db, self._org, "k", "admin", scopes)
        return ((rpc.CREDENTIAL, rpc.BEARER_SCHEME + secret),)

    async def _session(self, role: str | None, *, site_admin: bool = False) -> Metadata:
        token, day = secrets.new_token(), timedelta(days=1)
        async with self._db.system() as tx:
            user = await people.upsert_user(tx, ids.new(), f"{ids.new().hex}@example.com")
            if role:
                await people.add_member(tx, self._org, user, role)
            await people.set_site_admin(tx, user, site_admin=site_admin)
            await sessions.open(
                tx,
                id=ids.new(),
                token_hash=secrets.token_hash(token),
                user=user,
                org=self._org if role else None,
                idle=day,
                lasts=day,
            )
        return ((rpc.CREDENTIAL, rpc.SESSION_SCHEME + token),)


async def ask(channel: aio.Channel, method: MethodDescriptor, metadata: Metadata) -> grpc.StatusCode:
    """Call with an empty request: a caller without access is refused before the request is validated."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    request = message_factory.GetMessageClass(method.input_type)
    answer = message_factory.GetMessageClass(method.output_type)
    kinds: dict[tuple[bool, bool], Callable[..., Any]] = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, True): channel.stream_stream,
    }
    call = kinds[method.client_streaming, method.server_streaming](
        path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString
    )
    try:
        async with patience():
            if method.client_streaming:
                # Nothing is written: grpc.aio calls a write that meets the refusal INTERNAL, whatever the refusal said.
                await call(metadata=metadata).read()
            elif method.server_streaming:
                await call(request(), metadata=metadata).read()
            else:
                await call(request(), metadata=metadata)
    except aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.sampled
@pytest.mark.parametrize("caller", list(CallerKind))
async def test_each_method_lets_in_whom_it_should(edge: Edge, caller: CallerKind) -> None:
    """Nobody tries each method; in `make test`, each other kind of caller tries another third."""
    everybody, wrong = await Everybody.of(edge), []
    credential: Metadata = ()
    first = 0 if ALL else list(CallerKind).index(caller) % 3
    for method in methods() if caller is CallerKind.NOBODY else sample(methods()[first:], 3):
        if caller is CallerKind.MEDIA and method.client_streaming:
            continue  # a media plane's own link, which tests/control drives
        if not credential or caller is CallerKind.NARROW_KEY:
            credential = await everybody.metadata(caller, method)
        code = await ask(edge.plane.channel, method, credential)
        expected = caller in authorization.allowed_callers(method)
        if expected:
            credential = ()  # the call may have ended it
        if (code not in REFUSED) != expected:
            wrong.append((method.full_name, code.name))
        assert code is not grpc.StatusCode.INTERNAL, method.full_name
    assert wrong == []


def scopes_of(caller: CallerKind) -> set[str]:
    """Of the methods that it may call, but for a person's own settings."""
    accesses = [
        authorization.access_of(method) for method in methods() if caller in authorization.allowed_callers(method)
    ]
    return {access.scope for access in accesses if not access.session_only} - {""}


async def me_says(edge: Edge, metadata: Metadata) -> list[str]:
    stub = identity_grpc.IdentityServiceStub(edge.plane.channel)
    return list((await stub.GetMe(identity_pb2.GetMeRequest(), metadata=metadata)).permissions)


PERSONS = (
    CallerKind.VIEWER,
    CallerKind.OPERATOR,
    CallerKind.ADMIN,
    CallerKind.ADMIN_KEY,
    CallerKind.GUEST,
    CallerKind.SITE_ADMIN,
)


@pytest.mark.parametrize("caller", PERSONS)
async def test_permissions_are_the_scopes_of_what_one_may_call(edge: Edge, caller: CallerKind) -> None:
    everybody = await Everybody.of(edge)
    metadata = await everybody.metadata(caller, methods()[0])
    assert await me_says(edge, metadata) == sorted(scopes_of(caller))


async def test_a_keys_permissions_are_within_its_scopes_and_its_role(edge: Edge) -> None:
    org = await identity.create_organization(edge.plane.control.db, "Clinic", "owner@clinic.example")
    table = {str(caller): scopes_of(caller) for caller in (CallerKind.VIEWER, CallerKind.OPERATOR, CallerKind.ADMIN)}
    areas = {scope.partition(":")[0] for scope in table["admin"]}
    assert len(areas) > 10
    for role, scopes in table.items():
        for area in areas:
            for verb, granted in (("read", {f"{area}:read"}), ("write", {f"{area}:read", f"{area}:write"})):
                _, secret = await identity.issue_key(edge.plane.control.db, org, "k", role, [f"{area}:{verb}"])
                found = await me_says(edge, ((rpc.CREDENTIAL, rpc.BEARER_SCHEME + secret),))
                assert found == sorted(granted & scopes), (role, area, verb)


@pytest.mark.sampled
async def test_credentials_that_are_no_longer_good_open_nothing(edge: Edge) -> None:
    everybody, db = await Everybody.of(edge), edge.plane.control.db
    session = await everybody.metadata(CallerKind.ADMIN, methods()[0])
    key = await everybody.metadata(CallerKind.ADMIN_KEY, methods()[0])
    async with db.system() as tx:
        await tx.execute("UPDATE sessions SET expires_at = now()")
        await tx.execute("UPDATE api_keys SET expires_at = now()")
    forged = ((rpc.CREDENTIAL, rpc.NodeIdentity(b"another key of 32 bytes or more..", "media", "m").metadata()[1]),)
    for method in sample(methods(), 5):
        for metadata in (session, key, forged):
            assert await ask(edge.plane.channel, method, metadata) in REFUSED, method.full_name


# --- another tenant's -----------------------------------------------------------------------------------------------

NOT_THERE = {404}


CONNECTOR = {"name": "CRM", "base_url": "https://crm.example"}


async def belongings(edge: Edge) -> dict[str, str]:
    """One of every resource of one tenant, by the path segment before its id."""
    http, db = await flow_with_number(edge), edge.plane.control.db
    await post(edge, "/twilio/voice", CALL)
    owner = (await http.get("/api/me")).json()["organization"]["id"]
    call = (await http.get("/api/calls")).json()["calls"][0]["id"]
    blocked, invite = {"phone_e164": "+13175550155"}, {"email": "x@example.com", "role": "viewer"}
    await http.post("/api/blocklist", json=blocked)
    await http.post(f"/api/calls/{call}/tags", json={"tag": "vip"})
    made = {
        "organization": owner,
        "secret": http.headers["authorization"].removeprefix("Bearer "),
        "flows": (await http.get("/api/flows")).json()["flows"][0]["id"],
        "numbers": (await http.get("/api/numbers")).json()["numbers"][0]["id"],
        "calls": call,
        "notes": (await http.post(f"/api/calls/{call}/notes", json={"body": "x"})).json()["id"],
        "tags": "vip",
        "blocklist": blocked["phone_e164"],
        "api-keys": (await http.get("/api/api-keys")).json()["api_keys"][0]["id"],
        "team": (await http.get("/api/team")).json()["members"][0]["user_id"],
        "invites": (await http.post("/api/team/invites", json=invite)).json()["id"],
        **await contacts_of(http),
        "imports": (await http.post("/api/contacts/import", json={"csv": "phone\n1"})).json()["id"],
        **await texts_of(http),
        **await bookings_of(http),
        **await webhook_of(http),
        **await trigger_of(http, edge.url),
        **await mcp_of(http, owner, call, db),
        "crm-connectors": (await http.post("/api/crm-connectors", json=CONNECTOR)).json()["id"],
        **await tool_of(http),
        "runs": await run_of(db, ids.require(Kind.ORGANIZATION, owner)),
        "knowledge": (await http.post("/api/knowledge", json={"name": "Rules", "text": "Closed."})).json()["id"],
        "voicemails": await leave_voicemail(db, ids.require(Kind.ORGANIZATION, owner), ids.require(Kind.CALL, call)),
    }
    await http.aclose()
    return made


async def contacts_of(http: httpx.AsyncClient) -> dict[str, str]:
    """A contact, and another one that is linked with it."""
    contact, linked = [
        (await http.post("/api/contacts", json={"phone_e164": number})).json()["id"]
        for number in ("+13175550156", "+13175550157")
    ]
    (await http.post(f"/api/contacts/{contact}/links", json={"linked_id": linked})).raise_for_status()
    return {"contacts": contact, "links": linked}


async def texts_of(http: httpx.AsyncClient) -> dict[str, str]:
    """A conversation with a message that waits, a template, a campaign, and a contact that wants none of them."""
    number, other = (await http.get("/api/numbers")).json()["numbers"][0]["id"], "+13175550158"
    await http.patch(f"/api/numbers/{number}", json={"sms_enabled": True})
    wish = {"twilio_number_id": number, "contact_e164": "+13175550157"}
    thread = (await http.post("/api/sms/conversations", json=wish)).json()["id"]
    text = {"body": "Hi", "scheduled_at": in_a_week()}
    message = (await http.post(f"/api/sms/conversations/{thread}/messages", json=text)).json()["id"]
    campaign = {"name": "News", "twilio_number_id": number, "body_template": "Hi", "recipients": []}
    await http.post("/api/sms/opt-outs", json={"contact_e164": other})
    upload = await http.post("/api/sms/uploads", content=b"%PDF-", headers={"Content-Type": "application/octet-stream"})
    return {
        "uploads": upload.json()["id"],
        "conversations": thread,
        "messages": message,
        "scheduled": message,
        "media": "0",
        "templates": (await http.post("/api/sms/templates", json={"name": "Hello", "body": "Hi"})).json()["id"],
        "campaigns": (await http.post("/api/sms/campaigns", json=campaign)).json()["id"],
        "opt-outs": other,
    }


async def tool_of(http: httpx.AsyncClient) -> dict[str, str]:
    """A tool that a flow binds, a secret, and an execution.  A binding has its flow's segment `tools` in its path, too."""
    flow = (await http.get("/api/flows")).json()["flows"][0]["id"]
    secret = {"name": "key", "host": "api.example.com", "value": "s3cret-value"}
    tool = {"name": "look_up", "description": "Looks up.", "url": "https://localhost/x"}
    made = (await http.post("/api/tools", json=tool)).json()["id"]
    await http.post(f"/api/flows/{flow}/tools", json={"tool_id": made})
    await http.post(f"/api/tools/{made}/test", json={})
    return {
        "tools": made,
        "tool-secrets": (await http.post("/api/tool-secrets", json=secret)).json()["id"],
        "tool-executions": (await http.get("/api/tool-executions")).json()["executions"][0]["id"],
    }


async def webhook_of(http: httpx.AsyncClient) -> dict[str, str]:
    """A webhook with a delivery."""
    webhook = (await http.post("/api/webhooks", json={"url": "https://hooks.example/hum"})).json()["id"]
    delivery = (await http.post(f"/api/webhooks/{webhook}/test", json={})).json()["id"]
    return {"webhooks": webhook, "deliveries": delivery}


async def mcp_of(http: httpx.AsyncClient, owner: str, call: str, db: Db) -> dict[str, str]:
    """An MCP server, one of its tools, and something that an agent may not do alone."""
    server = (await http.post("/api/mcp-servers", json={"name": "Shop", "url": "https://mcp.example/mcp"})).json()["id"]
    flow = (await http.get("/api/flows")).json()["flows"][0]["id"]
    await http.post(f"/api/flows/{flow}/mcp-servers", json={"server_id": server})
    tool, approval = ids.new(), ids.new()
    as_it_is = Definition("A tool.", "{}", "0" * 64)
    async with db.tenant(ids.require(Kind.ORGANIZATION, owner)) as tx:
        row = McpToolRow(
            tool, ids.require(Kind.MCP_SERVER, server), "t", "shop__t", "new", None, as_it_is, None, (None, None)
        )
        await mcp.upsert_tool(tx, row)
        subject = Subject(ids.require(Kind.CALL, call), None, None, None, ids.require(Kind.FLOW, flow), 1)
        tool_call = ToolCall("t", "F wants t", "{}", "{}", "")
        await approvals.create(tx, approval, subject, tool_call, now() + timedelta(hours=1))
    return {
        "mcp-servers": server,
        "mcp-servers/tools": ids.show(Kind.MCP_TOOL, tool),
        "approvals": ids.show(Kind.APPROVAL, approval),
    }


async def trigger_of(http: httpx.AsyncClient, url: str) -> dict[str, str]:
    """A trigger, and something that it received."""
    trigger = (
        await http.post("/api/triggers", json={"name": "Shop", "event": "external.paid", "signed": False})
    ).json()
    async with httpx.AsyncClient(base_url=url, trust_env=False) as sender:
        received = await sender.post(f"/hooks/{trigger['token']}", json={"order": 1})
    return {"triggers": trigger["id"], "bodies": received.json()["id"]}


def in_a_week() -> str:
    return (now() + timedelta(days=7)).isoformat()


async def run_of(db: Db, org: UUID) -> str:
    """A run of the flow for an event."""
    id = ids.new()
    async with db.system() as tx:
        flow = await tx.fetchval("SELECT id FROM flows WHERE org_id = $1 ORDER BY id DESC LIMIT 1", org)
        await event_runs.create(tx, [NewEventRun(id, org, flow, ids.new(), "external.paid", 0, None, None)])
    return ids.show(Kind.RUN, id)


async def leave_voicemail(db: Db, org: UUID, call: UUID) -> str:
    id = ids.new()
    async with db.tenant(org) as tx:
        assert await voicemails.upsert(tx, id, org, call, "x.wav", 1000) == id
    return ids.show(Kind.VOICEMAIL, id)


def filled(binding: Binding, owned: dict[str, str]) -> str:
    """The path with another tenant's ids: the segment before a variable says which kind of id it is; where two kinds have one
    segment, the resource, too.
    """
    parts = binding.path.split("/")
    resource = parts[2]

    def id(before: str) -> str:
        return owned.get(f"{resource}/{before}") or owned[before]

    return "/".join(
        id(before) if part.startswith("{") else part for before, part in zip(["", *parts], parts, strict=False)
    ).replace("+", "%2B")


#: A person's own, and the site admin's, are not in any organization: tests/contract/test_invitations.py, test_onboarding.py.
NAMING = [
    binding
    for binding in contract.bindings()
    if binding.path_fields and authorization.access_of(binding.method).audience != options_pb2.AUDIENCE_SIGNED_IN
]


async def everything_of(db: Db, org: UUID) -> dict[str, Any]:
    """A tenant's rows in every table, as the system sees them."""
    async with db.system() as tx:
        tables = await tx.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id'"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND c.relname <> 'sessions' ORDER BY 1"
        )
        return {
            name: await tx.fetchval(
                f"SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {name} t WHERE org_id = $1",
                org,
            )
            for (name,) in tables
        }


Strip = Callable[[pytest.MonkeyPatch], None]


def nothing(_: pytest.MonkeyPatch) -> None:
    """Both lines of defence are in place."""


def first_wall(patch: pytest.MonkeyPatch) -> None:
    """No caller is refused by role or scope: only row level security is left."""
    patch.setattr(principal, "require", lambda *_: None)


@pytest.mark.parametrize("strip", [nothing, first_wall])
async def test_what_is_anothers_is_not_there(edge: Edge, monkeypatch: pytest.MonkeyPatch, strip: Strip) -> None:
    owned = await belongings(edge)
    owner, db = ids.require(Kind.ORGANIZATION, owned["organization"]), edge.plane.control.db
    stranger = await edge.client("Stranger", "admin" if strip is nothing else "viewer")
    strip(monkeypatch)
    before, wrong = await everything_of(db, owner), []
    assert len(NAMING) > 20
    for binding in NAMING:
        body = openapi.body_example(binding) if binding.body_type is not None else None
        query = {"conversation_id": owned["conversations"]} if binding.path.endswith("/rendered") else None
        answer = await stranger.request(binding.verb, filled(binding, owned), json=body, params=query)
        same_as_none = answer.status_code == 204 and binding.path.startswith("/api/blocklist")
        if answer.status_code not in NOT_THERE and not same_as_none:
            wrong.append((binding.method.full_name, answer.status_code, answer.text[:200]))
    assert wrong == []
    assert await everything_of(db, owner) == before, "another tenant's request changed the owner's rows"


async def test_what_a_body_names_must_be_ones_own(edge: Edge) -> None:
    owned = await belongings(edge)
    stranger = await edge.client("Stranger")
    number = (await stranger.post("/api/numbers/buy", json={"e164": "+13175550209"})).json()["id"]
    for verb, path, body, status in (
        ("POST", "/api/numbers/buy", {"e164": "+13175550200", "flow_id": owned["flows"]}, 400),
        ("PATCH", f"/api/numbers/{number}", {"flow_id": owned["flows"]}, 400),
        ("GET", f"/api/analytics?flow_id={owned['flows']}", None, 404),
        ("POST", "/api/numbers", {"e164": CALL["To"]}, 403),
        ("POST", "/api/numbers/buy", {"e164": CALL["To"]}, 409),
    ):
        answer = await stranger.request(verb, path, json=body)
        assert answer.status_code == status, (path, answer.text)
    kept = (await stranger.get("/api/numbers")).json()["numbers"]
    assert [(each["id"], each["flow_id"]) for each in kept] == [(number, None)]
    assert edge.plane.carrier.bought == ["+13175550209"]


async def test_lists_hold_ones_own_only(edge: Edge) -> None:
    owned = await belongings(edge)
    stranger = await edge.client("Stranger")
    lists = [b for b in contract.bindings() if b.verb == "GET" and not b.path_fields and not (b.is_file or b.is_stream)]
    assert len(lists) > 8
    for binding in lists:
        text = (await stranger.get(binding.path)).text
        leaked = {noun for noun, id in owned.items() if noun not in {"tags", "media"} and id in text}
        assert not leaked, (binding.path, leaked)


async def test_no_row_of_another_is_seen_or_touched(edge: Edge) -> None:
    owned = await belongings(edge)
    owner, db = ids.require(Kind.ORGANIZATION, owned["organization"]), edge.plane.control.db
    stranger = await identity.create_organization(db, "Stranger", "s@example.com")
    held = {name: rows for name, rows in (await everything_of(db, owner)).items() if rows}
    hidden = {"call_search", "contact_search", "text_search"}  # no grant at all: tests/storage
    assert len(held) > 15
    for table in held.keys() - hidden:
        for tenant in (db.tenant(stranger), db.authenticated(b"nobody's")):
            async with tenant as opened:
                tx = opened[0] if isinstance(opened, tuple) else opened
                assert await tx.fetchval(f"SELECT count(*) FROM {table} WHERE org_id = $1", owner) == 0, table
    for table in held.keys() - hidden:
        for statement in (f"UPDATE {table} SET org_id = org_id", f"DELETE FROM {table}"):
            try:
                async with db.tenant(stranger) as tx:
                    await tx.execute(f"{statement} WHERE org_id = $1", owner)
            except asyncpg.InsufficientPrivilegeError:
                continue
    after = await everything_of(db, owner)
    assert {name: rows for name, rows in after.items() if rows} == held
