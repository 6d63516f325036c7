"""Control goes away while the carrier asks: a short absence is waited for, a long one is told of later."""

import asyncio
import errno
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from control import app as control
from control.identity import usecases as identity
from control.outbound.dialler import CallDialler
from gateway import app as gateway
from gateway.retryqueue import RetryQueue, StoredWebhook
from gateway.twilio import APOLOGY, CarrierWebhooks
from hum import ids
from hum.clock import now
from hum.process.sockets import free_port
from hum.settings import ControlSettings, GatewaySettings
from hum.spool import Spool
from sandbox.twilio import sign
from storage import media_links
from storage.db import Db
from storage.media_links import NodeState
from tests.control.conftest import FakeCarrier, fake_clients
from tests.control.outbound.desk import LIMITS, PACE
from tests.support.endings import ends_are_told
from tests.support.metrics import sample
from tests.support.present import present
from tests.support.waits import patience, until
from tests.support.wires import head, wire

__all__ = ["ends_are_told"]
pytestmark = pytest.mark.usefixtures("ends_are_told")

ACCOUNT, TOKEN, PUBLIC = "AC" + "0" * 32, "carrier-token", "https://hum.example"
NUMBER, CALLER = "+13175550100", "+13175550199"
LASTED = """
    SELECT c.call_sid, e.quantity::integer FROM usage_entries e JOIN calls c ON c.id = e.subject_id
     WHERE e.meter = 'inbound_seconds' ORDER BY 1
"""


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class Deployment:
    """A gateway whose control comes and goes."""

    def __init__(self, database_url: str, home: Path) -> None:
        self.database_url, self.home, self.control_port = database_url, home, free_port("127.0.0.1")
        self.address = f"127.0.0.1:{self.control_port}"

    @asynccontextmanager
    async def control(self, **fields: Any) -> AsyncIterator[control.Control]:
        own: dict[str, Any] = {
            "home": self.home,
            "control_listen": self.address,
            "drain_seconds": 0.1,
            "room_seconds": 0.1,
        }
        settings = ControlSettings(**own, **fields)
        async with control.build(settings, self.database_url, fake_clients(FakeCarrier())) as made:
            yield made

    @asynccontextmanager
    async def gateway(self, **fields: Any) -> AsyncIterator["Carrier"]:
        settings = GatewaySettings(
            home=self.home,
            gateway_listen="127.0.0.1:0",
            control_address=self.address,
            public_url=PUBLIC,
            twilio_account_sid=ACCOUNT,
            drain_seconds=1,
            linger_seconds=0,
            **{"twilio_auth_token": TOKEN, "postponed_retry_seconds": 0.05, "ingress_retry_seconds": 0.05, **fields},
        )
        async with gateway.serve(settings) as ports, AsyncExitStack() as stack:
            url = f"http://127.0.0.1:{ports.public}"
            yield Carrier(await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False)))

    async def set_up(self) -> None:
        async with self.control() as made, self.gateway() as carrier:
            org = await identity.create_organization(made.db, "Clinic", "o@clinic.example")
            _, self.key = await identity.issue_key(made.db, org, "k", "admin", [])
            flow = (await self.api(carrier, "POST", "/api/flows", {"name": "F"}))["id"]
            await self.api(carrier, "POST", "/api/numbers", {"e164": NUMBER, "flow_id": flow})

    async def api(self, carrier: "Carrier", verb: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        return (await carrier.http.request(verb, path, json=body, headers=headers)).raise_for_status().json()

    def told(self) -> int:
        """How many of the webhooks that were kept are done with."""
        return int((self.home / "webhooks" / "0" / "done").read_text() or 0)

    async def calls(self, count: int) -> list[dict[str, Any]]:
        """So many calls that are over, by their id at the carrier."""
        db = await Db.open(self.database_url, size=2)
        try:
            async with patience():
                while True:
                    async with db.system() as tx:
                        rows = await tx.fetch("SELECT * FROM calls WHERE ended_at IS NOT NULL ORDER BY call_sid")
                    if len(rows) >= count:
                        return [dict(row) for row in rows]
                    await asyncio.sleep(0.05)
        finally:
            await db.close()


class Carrier:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def post(self, path: str, call_sid: str, **fields: str) -> httpx.Response:
        form = {"CallSid": call_sid, "AccountSid": ACCOUNT, "From": CALLER, "To": NUMBER, **fields}
        signature = sign(TOKEN, PUBLIC + path, list(form.items()))
        return await self.http.post(path, data=form, headers={"X-Twilio-Signature": signature}, timeout=60)


@pytest.fixture
async def deployment(database_url: str, tmp_path: Path) -> Deployment:
    made = Deployment(database_url, tmp_path)
    await made.set_up()
    return made


async def test_a_restart_of_control_is_waited_for(deployment: Deployment) -> None:
    async with deployment.gateway(ingress_seconds=60) as carrier:
        asking = asyncio.create_task(carrier.post("/twilio/voice", "CA1"))
        telling = asyncio.create_task(carrier.post("/twilio/voice/status", "CA404", CallStatus="completed"))
        done, _ = await asyncio.wait({asking, telling}, timeout=0.5)
        assert not done
        async with deployment.control():
            assert "<Connect" in (await asking).text
            assert (await telling).status_code == 204
    assert not list((deployment.home / "webhooks").glob("*/*.seg")), "nothing was postponed"


async def test_a_call_that_heard_the_apology_has_a_record(deployment: Deployment) -> None:
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        for sid in ("CA1", "CA2"):
            assert APOLOGY in (await carrier.post("/twilio/voice", sid, StirVerstat="TN-Validation-Failed")).text
        assert (await carrier.post("/twilio/voice/status", "CA1", CallStatus="completed")).status_code == 204
        assert (await carrier.post("/twilio/voice", "CA1", To="+13175559999")).status_code == 200  # no number of ours
        async with deployment.control():
            first, second = await deployment.calls(2)
            for call in (first, second):
                assert (call["status"], call["end_reason"]) == ("failed", "control_away")
                assert call["caller_verification"] == "failed"
            assert first["created_at"] == first["ended_at"] < second["ended_at"], "when it happened"
            assert (await deployment.api(carrier, "GET", "/api/calls"))["calls"][0]["end_reason"] == "control_away"
            async with patience():
                while deployment.told() < 4:
                    await asyncio.sleep(0.05)


async def test_a_call_that_heard_the_apology_has_a_record_also_when_the_disk_was_full(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spool, "_write", full)
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        for sid in ("CA1", "CA2"):
            assert APOLOGY in (await carrier.post("/twilio/voice", sid)).text
        answer = await carrier.post("/twilio/voice/status", "CA1", CallStatus="completed")
        assert answer.status_code == 503, "the carrier tries again"
        assert sum(each.stat().st_size for each in (deployment.home / "webhooks").glob("*/*.seg")) == 0
        async with deployment.control():
            first, second = await deployment.calls(2)
    for call in (first, second):
        assert (call["status"], call["end_reason"]) == ("failed", "control_away")
    assert first["created_at"] == first["ended_at"] < second["ended_at"], "when it happened"


async def test_what_a_killed_gateway_kept_is_told_once_by_the_next(deployment: Deployment) -> None:
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        for sid in ("CA1", "CA2", "CA3"):
            assert APOLOGY in (await carrier.post("/twilio/voice", sid)).text
    spool = Spool(deployment.home / "webhooks" / "0")
    assert len(spool) == 3, "on disk before the carrier had its answer"
    spool.close()
    async with deployment.control(), deployment.gateway():
        first, second, third = await deployment.calls(3)
        assert first["created_at"] < second["created_at"] < third["created_at"]
        async with patience():
            while deployment.told() < 3:
                await asyncio.sleep(0.05)
    async with deployment.control(), deployment.gateway(ingress_seconds=60) as carrier:
        assert "<Connect" in (await carrier.post("/twilio/voice", "CA4")).text
        assert len(await deployment.calls(3)) == 3


async def test_what_a_gateway_kept_that_left_is_told_by_its_successor(deployment: Deployment) -> None:
    """The successor serves first, as with each deploy: it began before there was anything to take."""
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        successor = deployment.gateway()
        await successor.__aenter__()
        assert APOLOGY in (await carrier.post("/twilio/voice", "CA1")).text
    async with deployment.control():
        assert [each["call_sid"] for each in await deployment.calls(1)] == ["CA1"]
    await successor.__aexit__(None, None, None)


async def test_an_answer_that_came_too_late_is_no_call_that_rings_for_ever(deployment: Deployment) -> None:
    """Control had taken the call when the gateway gave up: the caller heard the apology all the same."""
    async with deployment.control(), deployment.gateway() as carrier:
        assert "<Connect" in (await carrier.post("/twilio/voice", "CA1")).text
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        assert APOLOGY in (await carrier.post("/twilio/voice", "CA1")).text
    async with deployment.control(), deployment.gateway():
        (call,) = await deployment.calls(1)
        assert (call["status"], call["end_reason"]) == ("failed", "control_away")


async def test_the_carriers_status_may_overtake_the_apology(deployment: Deployment) -> None:
    """Control had taken the call, as above; the gateway that apologized is the last of several to reach it again."""
    async with deployment.control(), deployment.gateway() as carrier:
        assert "<Connect" in (await carrier.post("/twilio/voice", "CA1")).text
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        assert APOLOGY in (await carrier.post("/twilio/voice", "CA1")).text
    (deployment.home / "webhooks").rename(deployment.home / "kept")
    async with deployment.control(), deployment.gateway() as carrier:
        assert (await carrier.post("/twilio/voice/status", "CA1", CallStatus="completed")).status_code == 204
        (call,) = await deployment.calls(1)
        assert (call["status"], call["end_reason"]) == ("canceled", "caller")
    shutil.rmtree(deployment.home / "webhooks")
    (deployment.home / "kept").rename(deployment.home / "webhooks")
    async with deployment.control(), deployment.gateway():
        await until(lambda: deployment.told() == 1)
        (call,) = await deployment.calls(1)
        assert (call["status"], call["end_reason"]) == ("failed", "control_away")


async def test_a_status_does_not_wait_for_what_is_queued(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status that overtakes its own call's apology is delivered again after it: control knew no such call."""
    deliver, may_deliver = CarrierWebhooks._deliver_webhook, asyncio.Event()

    async def held(self: CarrierWebhooks, webhook: StoredWebhook) -> None:
        await may_deliver.wait()
        await deliver(self, webhook)

    monkeypatch.setattr(CarrierWebhooks, "_deliver_webhook", held)
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        assert APOLOGY in (await carrier.post("/twilio/voice", "CA1")).text
    async with deployment.control() as made, deployment.gateway(ingress_seconds=60) as carrier:
        assert "<Connect" in (await carrier.post("/twilio/voice", "CA2")).text
        for sid, seconds in (("CA1", "7"), ("CA2", "9")):
            over = await carrier.post("/twilio/voice/status", sid, CallStatus="completed", CallDuration=seconds)
            assert over.status_code == 204
        (second,) = await deployment.calls(1)
        assert second["call_sid"] == "CA2"
        may_deliver.set()
        await until(lambda: deployment.told() == 3)
        async with made.db.system() as tx:
            lasted = await tx.fetch(LASTED)
    assert [tuple(row) for row in lasted] == [("CA1", 7), ("CA2", 9)]


async def test_a_status_that_control_has_is_accepted_while_nothing_can_be_queued(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deployment.control(), deployment.gateway(ingress_seconds=60) as carrier:
        with monkeypatch.context() as full_queue:
            full_queue.setattr(RetryQueue, "has_backlog", True)
            full_queue.setattr(Spool, "_write", full)
            assert "<Connect" in (await carrier.post("/twilio/voice", "CA1")).text
            assert (await carrier.post("/twilio/voice/status", "CA1", CallStatus="completed")).status_code == 204
        assert len(await deployment.calls(1)) == 1


@pytest.mark.parametrize(
    ("carrier_status", "opened", "end"),
    [
        ("in-progress", False, ("failed", "control_away")),
        ("completed", False, ("canceled", "caller")),
        ("in-progress", True, ("in_progress", None)),
    ],
    ids=["heard the apology", "hung up", "had a stream"],
)
async def test_who_hears_the_apology_in_place_of_a_stream_that_could_not_open(
    deployment: Deployment, carrier_status: str, opened: bool, end: tuple[str, str | None]
) -> None:
    """Control had connected the call, and was gone when the media process asked it for the session."""
    async with deployment.control() as made, deployment.gateway() as carrier:
        step = (await carrier.post("/twilio/voice", "CA1")).text
        path = step[step.index("/twilio/voice/next/") :].partition('"')[0]
        if opened:  # its media process reports how it ended
            async with made.db.system() as tx:
                await tx.execute("UPDATE calls SET status = 'in_progress', streams_opened = 1, node = 'm1'")
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        assert APOLOGY in (await carrier.post(path, "CA1", CallStatus=carrier_status)).text
        assert (await carrier.post("/twilio/voice/status", "CA1", CallStatus="completed")).status_code == 204
        async with deployment.control():
            heard = carrier_status == "in-progress"  # who hung up does not, and that is not queued
            await until(lambda: deployment.told() == 1 + heard)
            (call,) = (await deployment.api(carrier, "GET", "/api/calls"))["calls"]
            assert (call["status"], call["end_reason"]) == end
    assert deployment.told() == 1 + heard


async def test_a_placed_call_that_control_can_not_answer_has_a_record(deployment: Deployment) -> None:
    """A person answers, and the line closes at once."""
    async with deployment.control() as made, deployment.gateway() as carrier:
        flow = (await deployment.api(carrier, "POST", "/api/flows", {"name": "F", "kind": "outbound"}))["id"]
        call = (await deployment.api(carrier, "POST", "/api/outbound/calls", {"flow_id": flow, "to": CALLER}))["id"]
        async with made.db.system() as tx:
            await media_links.open(tx, "media-1", ids.new(), NodeState(beat=timedelta(hours=1)))
        _, claimed = await CallDialler(made.db, FakeCarrier(), PUBLIC, PACE, LIMITS)._claim("")
        attempt = present(claimed).placement.url.partition("#")[0].rpartition("/")[2]
    form = {"From": NUMBER, "To": CALLER}
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        answer = await carrier.post(f"/twilio/voice/placed/{attempt}", "CA1", CallStatus="in-progress", **form)
        assert "<Response><Hangup/></Response>" in answer.text
        async with deployment.control():
            (row,) = await deployment.calls(1)
            assert (row["status"], row["end_reason"]) == ("failed", "control_away")
            over = await carrier.post(f"/twilio/voice/status/{attempt}", "CA1", CallStatus="completed", **form)
            assert over.status_code == 204
            (made_attempt,) = (await deployment.api(carrier, "GET", f"/api/outbound/calls/{call}"))["attempts"]
            assert made_attempt["status"] == "completed"


async def test_an_apology_in_place_of_a_stream_that_the_carrier_never_got_ends_no_call_that_got_one_since(
    deployment: Deployment,
) -> None:
    """The carrier asked again, and is about to open the stream that it was offered then."""
    async with deployment.control(), deployment.gateway() as carrier:
        step = (await carrier.post("/twilio/voice", "CA1")).text
        path = step[step.index("/twilio/voice/next/") :].partition('"')[0]
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        assert APOLOGY in (await carrier.post(path, "CA1", CallStatus="in-progress")).text
    (deployment.home / "webhooks").rename(deployment.home / "kept")
    async with deployment.control(), deployment.gateway() as carrier:
        assert "<Connect" in (await carrier.post(path, "CA1", CallStatus="in-progress")).text
    shutil.rmtree(deployment.home / "webhooks")
    (deployment.home / "kept").rename(deployment.home / "webhooks")
    async with deployment.control(), deployment.gateway() as carrier:
        await until(lambda: deployment.told() == 1)
        (call,) = (await deployment.api(carrier, "GET", "/api/calls"))["calls"]
        assert call["ended_at"] is None


async def test_an_apology_that_the_carrier_never_got_ends_no_call_that_was_answered_since(
    deployment: Deployment,
) -> None:
    """The gateway that apologized was cut off, and tells of it late; another one took the call meanwhile."""
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        assert APOLOGY in (await carrier.post("/twilio/voice", "CA1")).text
    (deployment.home / "webhooks").rename(deployment.home / "kept")
    async with deployment.control(), deployment.gateway() as carrier:
        assert "<Connect" in (await carrier.post("/twilio/voice", "CA1")).text
    shutil.rmtree(deployment.home / "webhooks")
    (deployment.home / "kept").rename(deployment.home / "webhooks")
    async with deployment.control(), deployment.gateway() as carrier:
        async with patience():
            while deployment.told() < 1:
                await asyncio.sleep(0.05)
        (call,) = (await deployment.api(carrier, "GET", "/api/calls"))["calls"]
        assert call["ended_at"] is None, "its stream is still to come"


async def test_a_full_spool_loses_records_and_nothing_else(deployment: Deployment) -> None:
    async with deployment.gateway(ingress_seconds=0.1, postponed_webhooks=2) as carrier:
        for sid in ("CA1", "CA2", "CA3"):
            assert APOLOGY in (await carrier.post("/twilio/voice", sid)).text
        answer = await carrier.post("/twilio/voice/status", "CA1", CallStatus="completed")
        assert answer.status_code == 503, "the carrier tries again"
        async with deployment.control():
            assert [call["call_sid"] for call in await deployment.calls(2)] == ["CA1", "CA2"]


async def test_a_record_that_can_not_be_read_is_lost_and_no_other(deployment: Deployment) -> None:
    spool = Spool(deployment.home / "webhooks" / "0")
    spool.append(b'{"path": "/twilio/voice"}')
    spool.append(msgspec.json.encode(StoredWebhook("/twilio/voice", b"a=1&" * 300, now())))
    spool.close()
    lost = counted_as_lost()
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        assert APOLOGY in (await carrier.post("/twilio/voice", "CA1")).text
        async with deployment.control():
            assert [call["call_sid"] for call in await deployment.calls(1)] == ["CA1"]
            async with patience():
                while deployment.told() < 3:
                    await asyncio.sleep(0.05)
    assert counted_as_lost() == lost + 2


def counted_as_lost() -> float:
    return sample("hum_webhooks_postponed_total", {"how": "lost"}) or 0


# --- readiness ----------------------------------------------------------------------------------------------------


async def ready(carrier: Carrier) -> int:
    return (await carrier.http.get("/readyz")).status_code


async def is_ready(carrier: Carrier) -> bool:
    return await ready(carrier) == httpx.codes.OK


async def test_a_gateway_is_ready_while_control_and_its_database_are(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deployment.gateway(ready_cache_seconds=0) as carrier:
        assert await ready(carrier) == 503
        async with deployment.control():
            async with patience():
                while await ready(carrier) != 200:
                    await asyncio.sleep(0.05)

            async def away(_: Db) -> None:
                raise ConnectionRefusedError

            monkeypatch.setattr(Db, "check", away)
            assert await ready(carrier) == 503
            monkeypatch.undo()
            assert await ready(carrier) == 200
        async with deployment.gateway(ready_cache_seconds=0, node_key="another key also long enough") as stranger:
            async with deployment.control():
                assert await ready(stranger) == 503
                async with patience():
                    while await ready(carrier) != 200:
                        await asyncio.sleep(0.05)


async def test_a_gateway_that_delivers_nothing_any_more_is_not_ready(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("gateway.retryqueue.RetryQueue._finish", broken)
    async with deployment.gateway(ready_cache_seconds=0, ingress_seconds=0.2) as carrier:
        assert APOLOGY in (await carrier.post("/twilio/voice", "CA1")).text
        async with deployment.control():
            await deployment.calls(1)
            async with patience():
                while await ready(carrier) != 503:
                    await asyncio.sleep(0.05)


async def test_readiness_is_asked_once_for_many(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    async with deployment.control(), deployment.gateway(ready_cache_seconds=60) as carrier:
        asked, check = [], Db.check

        async def counted(db: Db) -> None:
            asked.append(1)
            await check(db)

        monkeypatch.setattr(Db, "check", counted)
        assert await asyncio.gather(*(ready(carrier) for _ in range(20))) == [200] * 20
        assert len(asked) == 1


MCP = {"Accept": "application/json, text/event-stream"}


async def test_an_agent_is_refused_while_control_is_away(deployment: Deployment) -> None:
    headers = {"Authorization": f"Bearer {deployment.key}", **MCP}
    tools: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    me = {"name": "execute_hum_api", "arguments": {"operation_id": "getMe"}}
    execution = tools | {"method": "tools/call", "params": me}
    async with deployment.gateway(control_seconds=1) as carrier:
        for message in (tools, execution):
            answer = await carrier.http.post("/mcp", json=message, headers=headers, timeout=60)
            assert answer.status_code in {503, 504} and "error" in answer.json()
        async with deployment.control():

            async def is_answered() -> bool:
                return (await carrier.http.post("/mcp", json=tools, headers=headers)).status_code == httpx.codes.OK

            await until(is_answered)
        answer = await carrier.http.post("/mcp", json=tools, headers=headers, timeout=60)
        assert answer.status_code in {503, 504} and "error" in answer.json()
        answer = await carrier.http.post("/mcp", json=execution, headers=headers, timeout=60)
        result = answer.json()["result"]
        assert result["isError"] and msgspec.json.decode(result["content"][0]["text"])["status"] in {503, 504}


async def test_a_large_body_is_not_read_while_control_is_away(deployment: Deployment) -> None:
    async with deployment.gateway(control_seconds=1) as carrier, wire(str(carrier.http.base_url)) as client:
        headers = {"Authorization": f"Bearer {deployment.key}", "Content-Length": "60000"}
        await client.send(head("POST", "/api/flows", {**headers, "Content-Type": "application/json"}))
        status, body = await client.answer(60)
        assert status in {503, 504} and "temporarily unavailable" in body
