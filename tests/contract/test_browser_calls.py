"""Calls from browsers at the edge: who may place them, what becomes of the offer, and how such a call ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from grpc import StatusCode, aio

from control.boundary import REVOKED
from control.calls import orphans
from control.calls.browsercallers import BrowserCallers
from hum.v1 import calls_pb2, runtime_pb2_grpc
from hum.v1 import runtime_pb2 as pb
from tests.contract.conftest import Edge
from tests.contract.test_power import key_of, set_role
from tests.contract.test_team import ALAN, GRACE, members, team
from tests.control.conftest import UNLIMITED
from tests.support.cases import in_turn
from tests.support.endings import ends_are_told
from tests.support.waits import patience

__all__ = ["ends_are_told"]
pytestmark = pytest.mark.usefixtures("ends_are_told")

OFFER = "\r\n".join(
    (
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:" + "p" * 24,
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=rtpmap:111 opus/48000/2",
        "",
    )
)
BROWSER = (calls_pb2.CALL_ORIGIN_BROWSER,)


@pytest.fixture
def limits() -> dict[str, float]:
    return {
        **UNLIMITED,
        "browser_answer_seconds": 2.0,
        "max_calls_per_caller": 2,
        "link_silent_seconds": 60.0,
    }


class Node:
    """A media process, as control sees it; answers what `answers` says."""

    def __init__(self, edge: Edge, name: str, takes: Any, refuses: str, places: int | None) -> None:
        self.name, self.metadata = name, edge.plane.node(name=name)
        self.state = pb.NodeState(refuses=refuses, takes=takes, places=places)
        self.stub = runtime_pb2_grpc.MediaServiceStub(edge.plane.channel)
        self.offers = list[pb.BrowserOffer]()
        self.hung_up = list[str]()
        #: What it answers to a command; None: nothing.
        self.outcome: str | None = "done"
        self.reply: dict[str, str] | None = {"answer": "v=0 the answer"}
        #: gRPC writes one message of a stream at a time.
        self._writing = asyncio.Lock()

    async def link(self) -> None:
        self.call = self.stub.Link(metadata=self.metadata)
        await self._write(pb.LinkUp(hello=pb.LinkHello(state=self.state)))
        await self.call.read()
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while isinstance(down := await self.call.read(), pb.LinkDown):
            if down.WhichOneof("down") == "browser":
                self.offers.append(down.browser)
                if self.reply is not None:
                    await self.say(down.browser.call_id, **self.reply)
            if down.WhichOneof("down") == "command":
                self.hung_up.append(down.command.call_id)
                if self.outcome is not None:
                    answer = pb.CommandAnswer(command_id=down.command.command_id, outcome=self.outcome)
                    await self._write(pb.LinkUp(answer=answer))

    async def _write(self, up: pb.LinkUp) -> None:
        async with self._writing:
            await self.call.write(up)

    async def say(self, call_id: str, **reply: str) -> None:
        await self._write(pb.LinkUp(browser=pb.BrowserReply(call_id=call_id, **reply)))

    async def open(self, offer: pb.BrowserOffer, call_id: str | None = None) -> pb.OpenSessionResponse:
        request = pb.OpenSessionRequest(
            token=offer.token, call_sid=call_id or offer.call_id, stream_sid="browser:1", node=self.name
        )
        return await self.stub.OpenSession(request, metadata=self.metadata)

    async def report(self, call_id: str, seq: int, *, batch_seq: int | None = None, **report: Any) -> None:
        reports = [pb.Report(call_id=call_id, seq=seq, stream_number=1, **report)]
        batch = pb.ReportBatch(seq=batch_seq or seq, reports=reports)
        await self._write(pb.LinkUp(batch=batch))


@asynccontextmanager
async def linked(
    edge: Edge, name: str = "browser-1", takes: Any = BROWSER, refuses: str = "", places: int | None = None
) -> AsyncIterator[Node]:
    node = Node(edge, name, takes, refuses, places)
    await node.link()
    yield node
    node.call.cancel()
    await asyncio.gather(node.reading, return_exceptions=True)


async def flow_of(http: httpx.AsyncClient, **fields: Any) -> str:
    answer = await http.post("/api/flows", json={"name": "Desk", "greeting": "Hello", **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def place(http: httpx.AsyncClient, flow: str, sdp: str = OFFER, **headers: str) -> httpx.Response:
    return await http.post("/api/calls/browser", json={"flow_id": flow, "sdp": sdp}, headers=headers, timeout=60)


async def ended(http: httpx.AsyncClient, call_id: str) -> dict[str, Any]:
    async with patience():
        while not (call := (await http.get(f"/api/calls/{call_id}")).json())["ended_at"]:
            await asyncio.sleep(0.05)
    return dict(call)


async def newest(http: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await http.get("/api/calls?limit=1")).json()["calls"][0])


async def test_an_operator_calls_a_flow_and_the_call_is_like_any_other(edge: Edge) -> None:
    async with linked(edge) as node, await edge.client(role="admin") as http:
        flow = await flow_of(http)
        answer = await place(http, flow)
        assert answer.status_code == 201, answer.text
        call_id = answer.json()["call_id"]
        assert answer.json() == {"call_id": call_id, "sdp": "v=0 the answer"}
        (offer,) = node.offers
        assert (offer.call_id, offer.sdp) == (call_id, OFFER) and offer.token
        call = (await http.get(f"/api/calls/{call_id}")).json()
        assert (call["origin"], call["direction"], call["status"]) == ("browser", "inbound", "ringing")
        assert (call["from"], call["to"], call["number_id"], call["flow_id"]) == ("browser", "", None, flow)
        session = await node.open(offer)
        assert session.call_id == call_id and session.instructions
        with pytest.raises(aio.AioRpcError) as refused:
            await node.open(offer)  # the token is spent
        assert refused.value.code() is StatusCode.NOT_FOUND
        await node.report(call_id, 1, started=pb.StreamStarted(stream_sid="browser:1"))
        await node.report(call_id, 2, ended=pb.StreamEnded(reason="connection_lost"))
        over = await ended(http, call_id)
        assert (over["status"], over["end_reason"]) == ("completed", "connection_lost")
        log = (await http.get("/api/audit-log?action=placeBrowserCall")).json()
        assert [entry["subject"] for entry in log["entries"]] == [call_id]


async def test_the_token_opens_no_other_call(edge: Edge) -> None:
    async with linked(edge) as node, await edge.client() as http:
        flow = await flow_of(http)
        for _ in range(2):
            await place(http, flow)
        first, second = node.offers
        with pytest.raises(aio.AioRpcError):
            await node.open(first, second.call_id)


async def test_phone_calls_and_browsers_are_different_rooms(edge: Edge) -> None:
    async with await edge.client() as http:
        flow = await flow_of(http)
        async with linked(edge, "phone-1", ()):
            answer = await place(http, flow)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
            assert "hum media --browser" in answer.json()["error"]["message"]
        async with linked(edge, refuses="full"):
            answer = await place(http, flow)
            assert answer.status_code == 503
            assert "full" in answer.json()["error"]["message"]
        assert (await http.get("/api/calls")).json()["calls"] == [], "none of them became a call"


async def test_a_node_that_says_nothing_fails_the_call_in_time(edge: Edge) -> None:
    async with linked(edge) as node, await edge.client() as http:
        flow = await flow_of(http)
        node.reply = None
        answer = await place(http, flow)
        assert answer.status_code == 503
        call = await newest(http)
        assert (call["status"], call["end_reason"]) == ("failed", "no_answer")
        await node.say(call["id"], answer="too late")
        with pytest.raises(aio.AioRpcError):
            await node.open(node.offers[0])


async def test_what_the_node_refuses(edge: Edge) -> None:
    async with linked(edge) as node, await edge.client() as http:
        flow = await flow_of(http)
        node.reply = {"bad_offer": "it has no audio"}
        answer = await place(http, flow)
        assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (400, "sdp")
        assert (await newest(http))["end_reason"] == "bad_offer"
        node.reply = {"refused": "full"}
        assert (await place(http, flow)).status_code == 503
        assert (await newest(http))["end_reason"] == "no_capacity"


async def test_a_call_that_is_never_connected_ends_with_its_reason(edge: Edge) -> None:
    async with linked(edge) as node, linked(edge, "browser-2") as other, await edge.client() as http:
        flow = await flow_of(http)
        call_id = (await place(http, flow)).json()["call_id"]
        placed, stranger = (node, other) if node.offers else (other, node)
        await stranger.say(call_id, failed="it is none of its business")
        await placed.say(call_id, failed="not_connected")
        over = await ended(http, call_id)
        assert (over["status"], over["end_reason"]) == ("failed", "not_connected")
        with pytest.raises(aio.AioRpcError):
            await placed.open(placed.offers[0])


async def test_hanging_up_before_it_is_connected(edge: Edge) -> None:
    async with linked(edge) as node, await edge.client() as http:
        call_id = (await place(http, await flow_of(http))).json()["call_id"]
        assert (await http.post(f"/api/calls/{call_id}/hangup")).status_code == 200
        assert (await ended(http, call_id))["status"] == "canceled"
        assert edge.plane.carrier.ended == [], "no carrier knows this call"
        with pytest.raises(aio.AioRpcError):
            await node.open(node.offers[0])


@in_turn(
    ("sdp", "says"),
    [
        ("", "sdp"),
        ("hello", "v=0"),
        (OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "one section"),
        (OFFER.replace("m=audio", "m=application"), "one section"),
        (OFFER.replace("opus", "PCMU"), "Opus"),
        (OFFER.replace("a=fingerprint", "a=x"), "a=fingerprint"),
        (OFFER + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 51, "candidates"),
        (OFFER + "a=x:" + "x" * 1_100 + "\r\n", "lines"),
        (OFFER + "a=x:\u2028m=video\r\n", "one section|plain"),
        (OFFER + "a=x\r\n" * 5_000, "16384|sdp"),
    ],
)
async def test_offers_that_are_none(edge: Edge, sdp: str, says: str) -> None:
    async with linked(edge) as node, await edge.client() as http:
        answer = await place(http, await flow_of(http), sdp)
        assert answer.status_code == 400, answer.text
        assert any(each in answer.text for each in says.split("|"))
        assert node.offers == []


async def test_who_may_and_what_they_may_call(edge: Edge) -> None:
    async with linked(edge) as node, await edge.client("Clinic") as http, await edge.client("Shop") as neighbour:
        flow = await flow_of(http)
        assert (await place(neighbour, flow)).status_code == 404, "another organization's flow"
        texts = await flow_of(http, name="Texts", channel="sms")
        assert (await place(http, texts)).status_code == 400
        async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as nobody:
            assert (await place(nobody, flow)).status_code == 401
        async with (
            await edge.client("A", role="viewer") as viewer,
            await edge.client("B", role="operator", scopes=("calls:read",)) as reader,
        ):
            assert [(await place(each, flow)).status_code for each in (viewer, reader)] == [403, 403]
        assert node.offers == []
        call_id = (await place(http, flow)).json()["call_id"]
        assert (await neighbour.get(f"/api/calls/{call_id}")).status_code == 404
        assert (await neighbour.post(f"/api/calls/{call_id}/hangup")).status_code == 404


async def test_callers_have_a_limit(edge: Edge) -> None:
    async with linked(edge), await edge.client() as http:
        flow = await flow_of(http)
        codes = [(await place(http, flow)).status_code for _ in range(3)]
        assert codes == [201, 201, 429]
        await http.post(f"/api/calls/{(await newest(http))['id']}/hangup")
        assert (await place(http, flow)).status_code == 201


async def test_callers_have_a_limit_also_at_once(edge: Edge) -> None:
    async with linked(edge), await edge.client() as http:
        flow = await flow_of(http)
        codes = [each.status_code for each in await asyncio.gather(*(place(http, flow) for _ in range(8)))]
        assert sorted(codes) == [201] * 2 + [429] * 6


async def test_an_organization_takes_half_of_the_places_that_the_others_have_left(edge: Edge) -> None:
    """Whoever its callers are: each key is one."""
    async with linked(edge, places=6), await edge.client() as http:
        flow = await flow_of(http)
        made = [(await http.post("/api/api-keys", json={"name": "k", "role": "operator"})).json() for _ in range(3)]
        keys = [http.headers["Authorization"], *(f"Bearer {each['secret']}" for each in made)]
        codes = [(await place(http, flow, Authorization=key)).status_code for key in keys for _ in range(2)]
        assert codes == [201] * 6 + [201] * 2  # it is alone
        for call in (await http.get("/api/calls")).json()["calls"]:
            await http.post(f"/api/calls/{call['id']}/hangup")
        async with await edge.client("Other") as other:
            theirs = await flow_of(other)
            codes = [(await place(http, flow, Authorization=key)).status_code for key in keys for _ in range(2)]
            assert codes == [201] * 3 + [429] * 5
            assert [(await place(other, theirs)).status_code for _ in range(3)] == [201, 201, 429]


async def test_a_media_process_is_told_whose_offer_it_is_and_says_which_gives_way(edge: Edge) -> None:
    """Offers that nobody follows up keep no other organization out: its process lets one of them give way."""
    async with linked(edge, places=40) as node, await edge.client() as http, await edge.client("Other") as other:
        flow, theirs = await flow_of(http), await flow_of(other)
        made = (await http.post("/api/api-keys", json={"name": "k", "role": "operator"})).json()
        keys = [http.headers["Authorization"], f"Bearer {made['secret']}"]
        codes = [(await place(http, flow, Authorization=key)).status_code for key in keys for _ in range(2)]
        assert codes == [201] * 4, "control refuses none of them"
        assert (await place(other, theirs)).status_code == 201
        organizations = [offer.organization_id for offer in node.offers]
        assert len(set(organizations[:4])) == 1 and organizations[0] != organizations[4]
        await node.say(node.offers[0].call_id, failed="gave_way")
        over = await ended(http, node.offers[0].call_id)
        assert (over["status"], over["end_reason"]) == ("failed", "not_connected")
        node.reply = {"failed": "gave_way"}  # before it was answered
        answer = await place(other, theirs)
        assert answer.status_code == 429 and "are being connected" in answer.text


async def test_a_repeated_request_is_one_call(edge: Edge) -> None:
    async with linked(edge) as node, await edge.client() as http:
        flow = await flow_of(http)
        answers = [(await place(http, flow, **{"Idempotency-Key": "once"})).json() for _ in range(2)]
        assert answers[0] == answers[1]
        assert len(node.offers) == 1


async def test_descriptions_are_not_kept(edge: Edge) -> None:
    async with linked(edge), await edge.client() as http:
        await place(http, await flow_of(http))
        async with edge.plane.control.db.system() as tx:
            assert await tx.fetchval("SELECT count(*) FROM browser_calls WHERE num_nonnulls(offer, answer) > 0") == 0


async def test_a_page_needs_its_own_origin(edge: Edge) -> None:
    async with linked(edge):
        browser = await edge.signed_in()
        await browser.post("/api/organizations", {"name": "Clinic"})
        flow = (await browser.post("/api/flows", {"name": "Desk", "greeting": "Hello"})).json()["id"]
        body = {"flow_id": flow, "sdp": OFFER}
        forged = await browser.post("/api/calls/browser", body, headers={"Origin": "https://evil.example"})
        assert (forged.status_code, forged.json()["error"]["code"]) == (403, "csrf_failed")
        assert (await browser.post("/api/calls/browser", body)).status_code == 201


async def test_a_call_whose_process_dies_is_over_and_one_that_still_connects_is_not(edge: Edge) -> None:
    """No carrier knows these calls, so nobody is asked; and a call has as long as its token to connect."""
    control = edge.plane.control
    settings = edge.plane.settings.model_copy(update={"link_silent_seconds": 0.01, "link_lost_seconds": 0.05})
    async with await edge.client() as http:
        async with linked(edge) as node:
            flow = await flow_of(http)
            joined, connecting = [(await place(http, flow)).json()["call_id"] for _ in range(2)]
            await node.open(node.offers[0])
            await node.report(joined, 1, started=pb.StreamStarted(stream_sid="browser:1"))
            async with patience():
                while (await http.get(f"/api/calls/{joined}")).json()["status"] != "in_progress":
                    await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
        await orphans.close_orphaned_calls(control.db, edge.plane.carrier, settings)
        going_on = (await http.get(f"/api/calls/{joined}")).json()["status"]
        assert going_on == "in_progress", "its process may only have lost the link"
        await asyncio.sleep(0.1)
        await orphans.close_orphaned_calls(control.db, edge.plane.carrier, settings)
        over = (await http.get(f"/api/calls/{joined}")).json()
        assert (over["status"], over["end_reason"]) == ("failed", "stream_lost")
        assert (await http.get(f"/api/calls/{connecting}")).json()["status"] == "ringing"
        async with control.db.system() as tx:
            await tx.execute("UPDATE calls SET token_expires_at = now() - interval '1 s', looked_at = NULL")
        await orphans.close_orphaned_calls(control.db, edge.plane.carrier, settings)
        never = (await http.get(f"/api/calls/{connecting}")).json()
        assert (never["status"], never["end_reason"]) == ("failed", "no_stream")
        assert edge.plane.carrier.asked == []


async def test_a_call_ends_with_its_callers_rights(edge: Edge) -> None:
    control = edge.plane.control
    callers = BrowserCallers(control.db, control.bus, edge.plane.carrier, edge.plane.settings)
    control.bus.subscribe(REVOKED, callers.revoked)

    async def revoked() -> int:
        async with patience():
            await callers.woken.wait()
        return await callers.check()

    async with linked(edge) as node:
        owner, grace, alan = await team(edge, (GRACE, "operator"), (ALAN, "operator"))
        key, flow = await key_of(edge, owner), (await owner.post("/api/flows", {"name": "Desk"})).json()["id"]
        placed = [
            (await each.request("POST", "/api/calls/browser", json={"flow_id": flow, "sdp": OFFER})).json()["call_id"]
            for each in (owner, grace, alan, key)
        ]
        mine, joined, of_alan, of_key = placed
        await node.open(next(offer for offer in node.offers if offer.call_id == joined))
        await node.report(joined, 1, started=pb.StreamStarted(stream_sid="browser:1"))
        async with patience():
            while (await owner.get(f"/api/calls/{joined}")).json()["status"] != "in_progress":
                await asyncio.sleep(0.02)
        assert await callers.check() == 0

        user = (await members(owner))[GRACE]["user_id"]
        assert (await owner.request("DELETE", f"/api/team/{user}")).status_code == 204
        assert await revoked() == 1 and node.hung_up == [joined]
        await node.report(joined, 2, ended=pb.StreamEnded(reason="hang_up"))
        async with patience():
            while not (call := (await owner.get(f"/api/calls/{joined}")).json())["ended_at"]:
                await asyncio.sleep(0.02)
        assert (call["status"], call["end_reason"]) == ("completed", "hang_up")

        await set_role(owner, ALAN, "admin")
        assert await revoked() == 0, "a change that leaves the right ends nothing"
        await set_role(owner, ALAN, "viewer")
        assert await revoked() == 1
        id = (await owner.get("/api/api-keys")).json()["api_keys"][0]["id"]
        assert (await owner.request("DELETE", f"/api/api-keys/{id}")).status_code == 204
        assert await revoked() == 1
        states = [(await owner.get(f"/api/calls/{id}")).json() for id in (of_alan, of_key, mine)]
        assert [state["status"] for state in states] == ["canceled", "canceled", "ringing"]

        assert (await owner.request("DELETE", "/api/me/sessions")).status_code == 204
        assert await revoked() == 1, "who is signed in nowhere has none"
        assert node.hung_up == [joined] and edge.plane.carrier.ended == []
