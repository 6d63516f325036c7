"""Whoever isn't known: guessed keys, sign-ins begun for nothing, addresses made up; and the known who are many."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import httpx
import pytest
from grpc import StatusCode, aio

from control.identity import usecases as identity
from hum import rpc, secrets
from hum.process import home
from hum.v1 import flows_pb2, flows_pb2_grpc
from tests.contract.conftest import Edge
from tests.security.conftest import carrier_is_answered
from tests.support.waits import patience
from tests.support.wires import Wire, head, wire

BURST = 6


@pytest.fixture
def limits() -> dict[str, float]:
    """So slow that no machine on which this runs lets a second passer by."""
    return {"unknown_rate_burst": BURST, "unknown_rate_per_second": 0.01}


def guess() -> dict[str, str]:
    return {"Authorization": f"Bearer {secrets.new_api_key()}"}


def named(address: str) -> dict[str, str]:
    """What a proxy on this machine says of its client."""
    return {"X-Forwarded-For": address}


class Transactions:
    """Counts those that are opened for somebody's credential."""

    def __init__(self, edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, db = 0, edge.plane.control.db
        begin = db.authenticated

        def counted(hash: bytes) -> Any:
            self.count += 1
            return begin(hash)

        monkeypatch.setattr(db, "authenticated", counted)


async def test_guessed_keys_are_refused_before_the_database_is_asked(
    edge: Edge, limits: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    friend = await edge.client()
    assert (await friend.get("/api/flows", headers=named("203.0.113.7"))).status_code == 200
    transactions = Transactions(edge, monkeypatch)
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        asking = (http.get("/api/flows", headers=guess() | named("203.0.113.7")) for _ in range(60))
        answers = await asyncio.gather(*asking)
        assert Counter(answer.status_code for answer in answers) == {401: BURST, 429: 60 - BURST}
        assert transactions.count == BURST
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["error"]["code"] == "rate_limited" and int(refused.headers["retry-after"]) > 1
        assert "Too many sign-ins or unknown credentials from your address" in refused.text
        # Neither another address nor who was known before from this one pays for it.
        assert (await http.get("/api/flows", headers=guess() | named("203.0.113.8"))).status_code == 401
    assert (await friend.get("/api/flows", headers=named("203.0.113.7"))).status_code == 200


async def test_who_proves_to_be_known_is_not_counted(edge: Edge, limits: dict[str, float]) -> None:
    for count in range(2 * BURST):  # each key for the first time, all from one office
        async with await edge.client(f"Clinic{count}") as http:
            assert (await http.get("/api/flows", headers=named("203.0.113.7"))).status_code == 200


@pytest.mark.parametrize("error", [ConnectionRefusedError, asyncpg.QueryCanceledError])
async def test_an_outage_uses_up_no_address(
    edge: Edge, limits: dict[str, float], monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    office = named("203.0.113.7")
    async with await edge.client() as http:
        with monkeypatch.context() as outage:

            def away(_: bytes) -> Any:
                raise error

            outage.setattr(edge.plane.control.db, "authenticated", away)
            for _ in range(2 * BURST):
                assert (await http.get("/api/flows", headers=office)).status_code in {500, 503}
        assert (await http.get("/api/flows", headers=office)).status_code == 200


async def test_a_revoked_key_is_a_strangers(edge: Edge, limits: dict[str, float]) -> None:
    http, office = await edge.client(), named("203.0.113.7")
    made = (await http.post("/api/api-keys", json={"name": "k", "role": "viewer"})).json()
    bearer = {"Authorization": f"Bearer {made['secret']}"} | office
    assert (await http.get("/api/flows", headers=bearer)).status_code == 200
    assert (await http.delete(f"/api/api-keys/{made['id']}")).status_code == 204
    statuses = [(await http.get("/api/flows", headers=bearer)).status_code for _ in range(BURST + 4)]
    assert statuses[0] == 401 and statuses[-1] == 429


async def test_an_ipv6_customer_has_one_limit(edge: Edge, limits: dict[str, float]) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        asked = [http.get("/api/flows", headers=guess() | named(f"2001:db8:1:2::{count:x}")) for count in range(20)]
        assert Counter(answer.status_code for answer in await asyncio.gather(*asked)) == {401: BURST, 429: 20 - BURST}
        assert (await http.get("/api/flows", headers=guess() | named("2001:db8:1:3::1"))).status_code == 401


@pytest.mark.parametrize(("kind", "is_of_this_deployment"), [("gateway", False), ("media", True)])
async def test_over_grpc_nobody_names_an_address_but_a_gateway(
    edge: Edge, limits: dict[str, float], kind: str, is_of_this_deployment: bool
) -> None:
    key = home.node_key(edge.plane.settings) if is_of_this_deployment else b"another deployment's key"
    flows = flows_pb2_grpc.FlowsServiceStub(edge.plane.channel)
    codes = []
    for count in range(BURST + 6):
        forged = rpc.NodeIdentity(key, kind, "n").vouching_metadata(f"203.0.113.{count}")
        metadata = ((rpc.CREDENTIAL, rpc.BEARER_SCHEME + secrets.new_api_key()), *forged)
        with pytest.raises(aio.AioRpcError) as refused:
            await flows.ListFlows(flows_pb2.ListFlowsRequest(), metadata=metadata)
        codes.append(refused.value.code())
    assert codes == [StatusCode.UNAUTHENTICATED] * BURST + [StatusCode.RESOURCE_EXHAUSTED] * 6


async def test_sign_ins_begun_for_nothing_are_few(edge: Edge, limits: dict[str, float]) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        answers = [await http.get("/auth/login", headers=named("203.0.113.7")) for _ in range(BURST + 10)]
        assert Counter(answer.status_code for answer in answers) == {302: BURST, 429: 10}
        async with edge.plane.control.db.system() as tx:
            assert await tx.fetchval("SELECT count(*) FROM sign_ins") == BURST
        invented = {"Cookie": "__Host-hum_sign_in=made-up"} | named("203.0.113.8")
        callbacks = [await http.get("/auth/callback?state=made-up&code=x", headers=invented) for _ in range(BURST + 4)]
        assert Counter(answer.status_code for answer in callbacks) == {400: BURST, 429: 4}
        assert (await http.get("/auth/login", headers=named("203.0.113.9"))).status_code == 302


class TestDirect:
    """Nobody's proxy stands before this gateway."""

    @pytest.fixture
    def public_socket(self) -> dict[str, Any]:
        return {"trusted_proxies": "10.0.0.0/8"}

    async def test_what_a_stranger_says_of_its_address_is_not_believed(
        self, edge: Edge, limits: dict[str, float]
    ) -> None:
        async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
            asked = [http.get("/api/flows", headers=guess() | named(f"203.0.113.{count}")) for count in range(20)]
            answers = await asyncio.gather(*asked)
        assert Counter(answer.status_code for answer in answers) == {401: BURST, 429: 20 - BURST}


# --- the known who are many ----------------------------------------------------------------------------------------


async def keys_of_one(edge: Edge, count: int) -> list[httpx.AsyncClient]:
    org = await identity.create_organization(edge.plane.control.db, "Many", "owner@many.example")
    clients = []
    for number in range(count):
        _, secret = await identity.issue_key(edge.plane.control.db, org, f"k{number}", "admin", [])
        clients.append(
            httpx.AsyncClient(base_url=edge.url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False)
        )
    return clients


class TestOrganization:
    @pytest.fixture
    def limits(self) -> dict[str, float]:
        return {
            "rate_burst": 5,
            "rate_per_second": 0.01,
            "organization_rate_burst": 12,
            "organization_rate_per_second": 0.01,
            "streams_per_credential": 2,
            "streams_per_organization": 3,
        }

    async def test_ten_keys_of_one_organization_have_one_limit(self, edge: Edge, limits: dict[str, float]) -> None:
        clients = await keys_of_one(edge, 10)
        answers = [await each.get("/api/flows") for each in clients for _ in range(4)]
        assert Counter(answer.status_code for answer in answers) == {200: 12, 429: 28}
        assert "Too many requests from your organization" in answers[-1].text
        assert [answers[at].headers["ratelimit-remaining"] for at in (0, 1, 11)] == ["4", "3", "0"]
        assert answers[11].headers["ratelimit-limit"] == "12"  # the limit that is nearer
        other = await edge.client("Other")
        assert (await other.get("/api/flows")).status_code == 200


class TestStreams:
    @pytest.fixture
    def limits(self) -> dict[str, float]:
        return {"streams_per_credential": 2, "streams_per_organization": 3}

    async def test_streams_of_a_credential_and_of_an_organization(self, edge: Edge, limits: dict[str, float]) -> None:
        one, two = await keys_of_one(edge, 2)
        call = await ringing(edge, one)
        async with wire(edge.url) as first, wire(edge.url) as second, wire(edge.url) as third:
            for stream, who in ((first, one), (second, one), (third, two)):
                await stream.send(head("GET", f"/api/calls/{call}/stream", who.headers))
                await stream.reader.readuntil(b"retry: ")
            for who, whose in (
                (one, "This credential has 2 open streams"),
                (two, "Your organization has 3 open streams"),
            ):
                refused = await who.get(f"/api/calls/{call}/stream")
                assert refused.status_code == 429 and whose in refused.text and "close one first" in refused.text
                assert refused.headers["retry-after"] == "5"
            third.writer.close()  # a place is free again
            async with patience():
                while True:
                    async with two.stream("GET", f"/api/calls/{call}/stream") as again:
                        if again.status_code == 200:
                            break
                    await asyncio.sleep(0.05)


class TestStreamsOfMany:
    """Ten places for requests, of which two are for others than streams."""

    OF_EACH = 5

    @pytest.fixture
    def limits(self) -> dict[str, float]:
        return {"streams_per_credential": self.OF_EACH, "streams_per_organization": self.OF_EACH}

    @pytest.fixture
    def public_socket(self) -> dict[str, Any]:
        return {"max_connections": 16, "carrier_connections": 6, "connections_per_address": 8}

    async def test_streams_of_two_organizations_leave_places_for_a_third_and_for_the_carrier(
        self, edge: Edge, limits: dict[str, float], public_socket: dict[str, Any]
    ) -> None:
        one, two, third = await edge.client("One"), await edge.client("Two"), await edge.client("Third")
        async with AsyncExitStack() as stack:
            streams, statuses = list[Wire](), list[int]()
            for count, who in enumerate([one, two] * self.OF_EACH):
                each = await stack.enter_async_context(wire(edge.url))
                await each.send(head("GET", "/api/stream", {**who.headers, **named(f"203.0.113.{count}")}))
                statuses.append(int((await each.reader.readuntil(b"\r\n")).split()[1]))
                streams.append(each)
            assert Counter(statuses) == {200: 8, 503: 2} and statuses[:8] == [200] * 8
            assert (await third.get("/api/flows")).status_code == 200
            assert (await third.post("/api/flows", json={"name": "F"})).status_code == 201
            assert await carrier_is_answered(edge.url)
            for path in ("/api/stream", "/api/contacts/export"):
                full = await third.get(path)
                assert (full.status_code, full.headers["retry-after"]) == (503, "5"), full.text
                assert "as many open streams and downloads as it may" in full.json()["error"]["message"]

            streams[0].writer.close()  # a place is free again
            async with patience():
                while (await third.get("/api/contacts/export")).status_code != 200:
                    await asyncio.sleep(0.05)


async def ringing(edge: Edge, http: httpx.AsyncClient) -> str:
    """The id of a call whose stream is open."""
    flow = (await http.post("/api/flows", json={"name": "F", "greeting": "Hi"})).json()
    number = {"e164": "+13175550100", "flow_id": flow["id"]}
    assert (await http.post("/api/numbers", json=number)).status_code == 201
    assert await carrier_is_answered(edge.url)
    calls: list[dict[str, str]] = (await http.get("/api/calls")).json()["calls"]
    return calls[0]["id"]


# --- what gRPC can't carry -----------------------------------------------------------------------------------------


async def test_many_bad_fields_are_a_400_with_a_list(edge: Edge) -> None:
    http = await edge.client()
    for bad in ("x" * 300, "\u20ac" * 300, "\U0001f600" * 200, "\\" * 300, "\x01" * 150):
        answer = await http.post("/api/contacts", json={"phone_e164": "+13175550150", "tags": [bad] * 60})
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["code"] == "invalid_request" and answer.json()["error"]["details"]
