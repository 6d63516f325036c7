"""Outbound calls over REST: who may order which, what is refused, what is repeated, and the carrier's signed webhooks."""

import asyncio
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from control.outbound.dialler import CallDialler
from gateway import carrierforms, controlclient
from hum import ids
from hum.clock import now
from hum.v1 import runtime_pb2_grpc
from storage import media_links
from storage.media_links import NodeState
from tests.contract.conftest import ACCOUNT, Edge
from tests.contract.test_carrier_webhooks import post
from tests.contract.test_live_stream import answered
from tests.control.outbound.desk import LIMITS, PACE
from tests.support.cases import in_turn

NUMBER, CALLEE = "+13175550100", "+13175550199"
CALLS = "/api/outbound/calls"


async def clinic(edge: Edge, **options: Any) -> tuple[httpx.AsyncClient, str]:
    """A client, and the flow that calls."""
    http = await edge.client(**options)
    flow = (await http.post("/api/flows", json={"name": "F", "kind": "outbound"})).json()["id"]
    assert (await http.post("/api/numbers", json={"e164": NUMBER})).status_code == 201
    return http, flow


@pytest.fixture
async def ordering(edge: Edge) -> tuple[httpx.AsyncClient, str]:
    return await clinic(edge)


def order(flow: str, **fields: Any) -> dict[str, Any]:
    return {"flow_id": flow, "to": CALLEE, **fields}


async def test_a_call_is_ordered_shown_and_listed(edge: Edge) -> None:
    http, flow = await clinic(edge)
    context = {"reason": "Confirm appointment details", "preferred_window": "today afternoon"}
    made = await http.post(CALLS, json=order(flow, task_context=context, max_attempts=2))
    assert made.status_code == 201, made.text
    call = made.json()
    assert (call["status"], call["from"], call["to"], call["waits_for"], call["task_context"]) == (
        "queued", NUMBER, CALLEE, "turn", context,
    )  # fmt: skip
    assert (call["max_attempts"], call["retry_after_seconds"], call["ring_seconds"], call["attempts"]) == (
        2,
        300,
        30,
        [],
    )
    assert (await http.get(f"{CALLS}/{call['id']}")).json() == call
    assert (await http.get(CALLS)).json() == {"calls": [call], "next_cursor": None}
    shown = (await http.get(f"/api/calls/{call['id']}")).json()
    assert (shown["direction"], shown["status"], shown["contact"]["phone_e164"]) == ("outbound", "queued", CALLEE)
    entries = (await http.get("/api/audit-log")).json()["entries"]
    (entry,) = (each for each in entries if each["action"] == "placeCall")
    assert entry["subject"] == call["id"] and "Confirm" not in str(entry)


async def test_the_list_pages_and_filters(edge: Edge) -> None:
    http, flow = await clinic(edge)
    calls = [(await http.post(CALLS, json=order(flow, to=f"+1317555020{n}"))).json()["id"] for n in range(5)]
    await http.delete(f"{CALLS}/{calls[0]}")
    seen = list[str]()
    cursor: str | None = ""
    while cursor is not None:
        page = (await http.get(CALLS, params={"limit": 2, "cursor": cursor})).json()
        seen += [each["id"] for each in page["calls"]]
        cursor = page["next_cursor"]
    assert seen == calls[::-1]

    async def found(**filters: str) -> list[str]:
        return [each["id"] for each in (await http.get(CALLS, params=filters)).json()["calls"]]

    assert await found(status="canceled") == [calls[0]]
    assert await found(to="+13175550203") == await found(to=" 1 317 555 0203") == [calls[3]]
    assert await found(flow_id=flow) == calls[::-1]
    assert await found(flow_id="flow_" + "0" * 26) == await found(number_id="x") == []


async def test_the_same_key_orders_once(edge: Edge) -> None:
    http, flow = await clinic(edge)
    key = {"Idempotency-Key": "order-1"}
    answers = await asyncio.gather(*(http.post(CALLS, json=order(flow), headers=key) for _ in range(4)))
    assert {each.status_code for each in answers} <= {201, 409}
    again = await http.post(CALLS, json=order(flow), headers=key)
    assert again.status_code == 201 and again.headers["idempotent-replayed"] == "true"
    other = await http.post(CALLS, json=order(flow, to="+13175550198"), headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_mismatch")
    assert len((await http.get(CALLS)).json()["calls"]) == 1


@in_turn(
    ("fields", "field"),
    [
        ({"to": "12"}, "to"),
        ({"to": None}, "to"),
        ({"to": "+19005550100"}, "to"),
        ({"to": "+4930123456"}, "to"),
        ({"to": NUMBER}, "to"),
        ({"flow_id": "flow_" + "0" * 26}, "flow_id"),
        ({"flow_id": ""}, "flow_id"),
        ({"from_number_id": "01HVN000000000000000000000"}, "from_number_id"),
        ({"from_number_id": "x"}, "from_number_id"),
        ({"max_attempts": 11}, "max_attempts"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"retry_after_seconds": 1}, "retry_after_seconds"),
        ({"ring_seconds": 601}, "ring_seconds"),
        ({"task_context": {"a": "x" * 8200}}, "task_context"),
        ({"task_context": "no json"}, "task_context"),
        ({"scheduled_at": (now() + timedelta(days=400)).isoformat()}, "scheduled_at"),
        ({"scheduled_at": "tomorrow"}, "scheduled_at"),
        ({"other": 1}, "other"),
    ],
)
async def test_bad_orders_are_named(
    ordering: tuple[httpx.AsyncClient, str], fields: dict[str, Any], field: str
) -> None:
    http, flow = ordering
    refused = await http.post(CALLS, json={**order(flow), **fields})
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["details"][0]["field"] == field
    assert (await http.get(CALLS)).json()["calls"] == []


async def test_who_is_blocked_is_not_called(edge: Edge) -> None:
    http, flow = await clinic(edge)
    await http.post("/api/blocklist", json={"phone_e164": CALLEE})
    for refused in (
        await http.post(CALLS, json=order(flow)),
        await http.post(f"/api/flows/{flow}/test-call", json={"to": CALLEE}),
    ):
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "invalid_state")


async def test_an_organization_has_its_limits_and_no_number_is_pestered(edge: Edge) -> None:
    http, flow = await clinic(edge)
    per_number = edge.plane.settings.outbound_per_number
    statuses = [(await http.post(CALLS, json=order(flow))).status_code for _ in range(per_number + 1)]
    assert statuses == [201] * per_number + [402]
    async with edge.plane.control.db.system() as tx:  # as if they had ordered as many as they may
        await tx.execute(
            """INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164)
               SELECT gen_random_uuid(), org_id, 'outbound', 'canceled', $1, '+13175550001'
                 FROM organizations, generate_series(1, $2)""",
            NUMBER,
            edge.plane.settings.outbound_per_day - per_number,
        )
        await tx.execute(
            """INSERT INTO outbound_calls (call_id, org_id, to_e164, account, max_attempts, retry_after_seconds,
                                           ring_seconds, honor_quiet_hours, test, wanted_at)
               SELECT id, org_id, to_e164, '', 1, 300, 30, true, false, now() FROM calls WHERE to_e164 = '+13175550001'"""
        )
    refused = await http.post(CALLS, json=order(flow, to="+13175550002"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "plan_limit")


async def test_nobody_calls_without_a_number_or_from_anothers(edge: Edge) -> None:
    http, _ = await clinic(edge)
    (number,) = (await http.get("/api/numbers")).json()["numbers"]
    other = await edge.client("Other")
    flow = (await other.post("/api/flows", json={"name": "F"})).json()["id"]
    refused = await other.post(CALLS, json=order(flow))
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "invalid_state")
    theirs = await other.post(CALLS, json=order(flow, from_number_id=number["id"]))
    assert theirs.status_code == 400 and theirs.json()["error"]["details"][0]["field"] == "from_number_id"


async def test_calls_of_another_organization_do_not_exist(edge: Edge) -> None:
    http, flow = await clinic(edge)
    call = (await http.post(CALLS, json=order(flow))).json()["id"]
    other = await edge.client("Other")
    assert (await other.get(f"{CALLS}/{call}")).status_code == 404
    assert (await other.delete(f"{CALLS}/{call}")).status_code == 404
    assert (await other.post(f"/api/flows/{flow}/test-call", json={"to": CALLEE})).status_code in {400, 404}
    assert (await other.get(CALLS)).json()["calls"] == []
    assert (await http.get(f"{CALLS}/{call}")).json()["status"] == "queued"


@in_turn(
    ("role", "scopes", "status"),
    [("viewer", (), 403), ("operator", ("calls:read",), 403), ("operator", ("calls:write",), 400), ("admin", (), 400)],
)
async def test_only_operators_order_calls(edge: Edge, role: str, scopes: tuple[str, ...], status: int) -> None:
    http = await edge.client(role=role, scopes=scopes)
    flow = "flow_" + "0" * 26
    assert (await http.post(CALLS, json=order(flow))).status_code == status
    missing = 403 if status == 403 else 404
    assert (await http.post(f"/api/flows/{flow}/test-call", json={"to": CALLEE})).status_code == missing
    assert (await http.delete(f"{CALLS}/call_{'0' * 26}")).status_code == missing
    assert (await http.get(CALLS)).status_code == 200


async def test_quiet_hours_defer_a_call_unless_it_need_not_keep_them(edge: Edge) -> None:
    http, flow = await clinic(edge)
    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()
    hours = {"time_zone": "UTC", "weekly": {day: [["09:00", "10:00"]]}}
    changed = await http.patch(
        "/api/organization", json={"voice_quiet_hours_enabled": True, "business_hours_json": hours}
    )
    assert changed.status_code == 200, changed.text
    deferred = (await http.post(CALLS, json=order(flow))).json()
    assert deferred["waits_for"] == "quiet_hours"
    opens = datetime.fromisoformat(deferred["due_at"])
    assert now() < opens and opens.astimezone(UTC).minute == 0
    at_once = (await http.post(CALLS, json=order(flow, honor_quiet_hours=False))).json()
    tested = (await http.post(f"/api/flows/{flow}/test-call", json={"to": CALLEE})).json()
    assert (at_once["waits_for"], tested["waits_for"], tested["test"]) == ("turn", "turn", True)


async def test_the_carriers_webhooks_of_a_placed_call_are_signed(edge: Edge) -> None:
    http, flow = await clinic(edge)
    call = (await http.post(CALLS, json=order(flow))).json()["id"]
    attempt = await placed(edge)
    form = {"CallSid": "CA1", "AccountSid": ACCOUNT, "From": NUMBER, "To": CALLEE, "CallStatus": "ringing"}
    for path in (f"/twilio/voice/{what}/{attempt}" for what in ("placed", "status", "amd")):
        assert (await post(edge, path, form, token="forged")).status_code == 403
    assert (await http.get(f"/api/calls/{call}")).json()["status"] == "queued"
    for _ in range(2):
        assert (await post(edge, f"/twilio/voice/status/{attempt}", form)).status_code == 204
    assert (await http.get(f"/api/calls/{call}")).json()["status"] == "ringing"
    # Another call's, another attempt's, another number's.
    for path, changed in (
        ("placed", {"CallSid": "CA2"}), ("status", {"To": "+13175550111"}), ("amd", {"CallSid": "CA2", "AnsweredBy": "human"}),
    ):  # fmt: skip
        assert (await post(edge, f"/twilio/voice/{path}/{attempt}", form | changed)).status_code == 403
    assert (await post(edge, f"/twilio/voice/placed/attempt_{'0' * 26}", form)).status_code == 403
    answer = await post(edge, f"/twilio/voice/placed/{attempt}", form)
    connect = ET.fromstring(answer.text).find("Connect")
    assert connect is not None and f"/twilio/voice/next/{call}" in str(connect.get("action"))
    for word in ("machine_end_beep", "human"):  # the first word counts
        amd = {"CallSid": "CA1", "AccountSid": ACCOUNT, "AnsweredBy": word}
        assert (await post(edge, f"/twilio/voice/amd/{attempt}", amd)).status_code == 204
    assert (await http.get(f"/api/calls/{call}")).json()["answered_by"] == "machine"
    ended = form | {"CallStatus": "completed"}
    for _ in range(2):
        assert (await post(edge, f"/twilio/voice/status/{attempt}", ended)).status_code == 204
    assert (await http.get(f"/api/calls/{call}")).json()["status"] == "completed"
    hung_up = await post(edge, f"/twilio/voice/placed/{attempt}", form)
    assert ET.fromstring(hung_up.text).find("Hangup") is not None


async def test_that_a_machine_answered_is_reported_until_its_process_confirms_it(edge: Edge) -> None:
    """The process hands the call to another, or its answer is lost: nobody may talk to a machine for that."""
    http, flow = await clinic(edge)
    assert (await http.patch(f"/api/flows/{flow}", json={"machine_action": "hang_up"})).status_code == 200
    await http.post(CALLS, json=order(flow))
    attempt = await placed(edge)
    form = {"CallSid": "CA1", "AccountSid": ACCOUNT, "From": NUMBER, "To": CALLEE, "CallStatus": "in-progress"}
    media = await answered(edge, f"/twilio/voice/placed/{attempt}", form)
    amd = {"CallSid": "CA1", "AccountSid": ACCOUNT, "AnsweredBy": "machine_end_beep"}
    reported = asyncio.create_task(post(edge, f"/twilio/voice/amd/{attempt}", amd))
    first = await media.command()
    assert (first.call_id, first.machine.reason) == (media.call_id, "machine")
    media.answer(first, "over")
    again = await media.command()
    assert again.machine == first.machine
    media.answer(again)
    assert (await reported).status_code == 204
    assert (await http.get(f"/api/calls/{media.call_id}")).json()["answered_by"] == "machine"


async def placed(edge: Edge) -> str:
    """The id of an attempt that a worker has made: the carrier has been asked, and has not answered."""
    db = edge.plane.control.db
    async with db.system() as tx:
        await media_links.open(tx, "media-1", ids.new(), NodeState(beat=timedelta(hours=1)))
    _, claimed = await CallDialler(db, edge.plane.carrier, "https://hum.example", PACE, LIMITS)._claim("")
    assert claimed is not None
    return claimed.placement.url.partition("#")[0].rpartition("/")[2]


async def test_a_machine_that_a_dead_process_cannot_be_told_of_is_no_outage_of_control(edge: Edge) -> None:
    http, flow = await clinic(edge)
    assert (await http.patch(f"/api/flows/{flow}", json={"machine_action": "hang_up"})).status_code == 200
    assert (await http.post(CALLS, json=order(flow))).status_code == 201
    attempt = await placed(edge)
    form = {"CallSid": "CA1", "AccountSid": ACCOUNT, "From": NUMBER, "To": CALLEE, "CallStatus": "in-progress"}
    await post(edge, f"/twilio/voice/placed/{attempt}", form)
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET node = 'gone'")
    node = edge.plane.node("gateway", "g")
    method = runtime_pb2_grpc.PlacedCallsServiceStub(edge.plane.channel).ReportAnsweredBy
    request = carrierforms.answered_by_request({**form, "AnsweredBy": "machine_start"}, attempt)
    with pytest.raises(controlclient.NotConfirmedYet):
        await controlclient.ask(method, request, lambda: node, within_seconds=60, pause_seconds=0.1)
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET node = NULL")  # the next process learns of it with the session
    await controlclient.ask(method, request, lambda: node, within_seconds=60, pause_seconds=0.1)
