"""Callers who were to be put through to a person and were not: somebody is told, until they have been dealt with."""

from typing import Any

import pytest

from control.transfers.record import NOT_TAKEN
from hum import ids
from hum.ids import Kind
from tests.contract.conftest import Edge
from tests.contract.lines import CHILD, DESK, GONE, TAKEN, Line
from tests.contract.test_carrier_webhooks import CALL, post

BEGIN = """
    INSERT INTO transfers (id, org_id, call_id, to_e164, caller_id_e164, asked_by, summary, ring_seconds, whispers, needs_key,
                           unanswered, state, started_at)
    SELECT $1, org_id, id, $2, '+13175550100', 'agent', '', 20, true, false, 'agent', 'ringing', now() FROM calls WHERE call_sid = $3
"""


async def not_taken(edge: Edge) -> Line:
    """A call whose caller was transferred to a busy line, and hung up."""
    line = await Line.begun(edge)
    dial = await line.dialled("Dr Ada")
    await dial.over(DialCallStatus="busy")
    assert (await line.record())["tags"] == [], "the call goes on"
    await post(edge, "/twilio/voice/status", {**CALL, **GONE})
    return line


async def waiting(line: Line) -> tuple[int, list[str]]:
    """How many calls the dashboard says wait for somebody, and those that the list finds."""
    board: dict[str, Any] = (await line.http.get("/api/dashboard")).json()
    found = (await line.http.get("/api/calls", params={"tag": NOT_TAKEN})).json()["calls"]
    return board["untaken_transfers"], [call["id"] for call in found]


async def test_a_caller_whom_nobody_took_waits_until_a_person_has_dealt_with_them(edge: Edge) -> None:
    line = await not_taken(edge)
    assert (await line.record())["end_reason"] == "caller" and await waiting(line) == (1, [line.id])
    told = await line.http.get("/api/events", params={"type": "call.transfer_not_taken"})
    assert [event["data"] for event in told.json()["events"]] == [{"call_id": line.id}]
    assert (await line.http.delete(f"/api/calls/{line.id}/tags/{NOT_TAKEN}")).status_code == 204
    assert await waiting(line) == (0, [])
    await post(edge, "/twilio/voice/status", {**CALL, **GONE})
    assert await waiting(line) == (0, []), "the carrier's repetition does not bring it back"


async def test_who_hangs_up_while_it_rings_waits_too(edge: Edge) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled()
    await dial.over(CallStatus="completed")
    await post(edge, "/twilio/voice/status", {**CALL, **GONE})
    assert await waiting(line) == (1, [line.id])


@pytest.mark.parametrize("taken", [True, False])
async def test_a_later_call_that_reaches_a_person_settles_it(edge: Edge, *, taken: bool) -> None:
    line = await not_taken(edge)
    later = {**CALL, "CallSid": "CA2"}
    await post(edge, "/twilio/voice", later)
    transfer = ids.new()
    async with edge.plane.control.db.system() as tx:
        await tx.execute(BEGIN, transfer, DESK, "CA2")
    form = TAKEN if taken else {"DialCallStatus": "busy"}
    path = f"/twilio/voice/transfer/{ids.show(Kind.TRANSFER, transfer)}"
    assert (
        await post(edge, path, {**later, "CallStatus": "in-progress", "DialCallSid": CHILD, **form})
    ).status_code == 200
    assert (await waiting(line))[0] == (0 if taken else 1)


async def test_a_transfer_that_is_taken_leaves_nobody_waiting(edge: Edge) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled()
    await dial.over(**TAKEN)
    assert (await line.record())["end_reason"] == "transferred" and await waiting(line) == (0, [])
