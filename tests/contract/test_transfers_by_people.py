"""People transfer live calls, or take them over: wherever the call is, known to be done or not, once."""

import asyncio
import json
from typing import Any

import pytest

from hum.contract.errors import CarrierError
from tests.contract.conftest import PUBLIC, Edge
from tests.contract.lines import DESK, MOBILE, TAKEN, Dial, Line, tags
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.control.conftest import UNLIMITED
from tests.support.cases import in_turn


@pytest.fixture
def limits() -> dict[str, float]:
    return {
        **UNLIMITED,
        "command_seconds": 0.5,
    }


@pytest.fixture
async def line(edge: Edge) -> Line:
    return await Line.begun(edge)


async def test_a_person_transfers_a_live_call(edge: Edge) -> None:
    line = await Line.begun(edge)
    answer, command = await line.person_moves("transfer", to=MOBILE, summary="Is angry.")
    assert answer.status_code == 200, answer.text
    assert (command.call_id, command.leave.reason) == (line.id, "transfer")
    await line.left()
    dial = Dial.of(line, await line.next())
    assert dial.number.text == MOBILE
    row = await dial.row()
    assert (row["label"], row["summary"]) == (None, "Is angry.") and row["asked_by"].startswith("key:")
    (entry,) = [
        each for each in (await line.http.get("/api/audit-log")).json()["entries"] if each["action"] == "transferCall"
    ]
    assert (entry["subject"], entry["actor"]) == (line.id, row["asked_by"])
    assert MOBILE not in json.dumps(entry)


async def test_what_a_person_wants_is_done_even_if_the_stream_dies(edge: Edge) -> None:
    line = await Line.begun(edge)
    answer, _ = await line.person_moves("take-over", to=MOBILE)
    assert answer.status_code == 200, answer.text
    await line.left("carrier_lost")
    dial = Dial.of(line, await line.next())
    assert dial.number.get("url") is None, "nothing is whispered"
    assert (await dial.status()).status_code == 204
    assert (await dial.row())["state"] == "connected"
    assert tags(await dial.over(**TAKEN)) == ["Hangup"]
    assert (await line.record())["end_reason"] == "transferred"


# --- what became of the command ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["transfer", "take-over"])
async def test_without_an_answer_it_is_not_known_and_done_once_under_the_same_key(edge: Edge, path: str) -> None:
    line = await Line.begun(edge)
    unknown = await line.person_asks(path, "k", to=MOBILE)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (503, "unavailable")
    first = await line.media.command()
    answer, second = await line.person_moves(path, key="k", to=MOBILE)  # the first one was lost on its way
    assert (answer.status_code, second.command_id) == (200, first.command_id)
    await line.left()
    dial = Dial.of(line, await line.next())
    assert (dial.id, dial.number.text) == (first.command_id, MOBILE)


async def test_what_was_done_unheard_is_not_done_again(edge: Edge) -> None:
    """The stream was left and somebody's telephone rings; only the answer was lost.  Nothing moves the call there again."""
    line = await Line.begun(edge)
    assert (await line.person_asks("take-over", "k", to=MOBILE)).status_code == 503
    await line.left()
    dial = Dial.of(line, await line.next())
    answer = await line.person_asks("take-over", "k", to=MOBILE)
    assert answer.status_code == 200, answer.text
    assert [each["id"] for each in answer.json()["transfers"]] == [dial.id]
    assert (edge.plane.carrier.redirected, (await dial.row())["state"]) == ([], "ringing")


async def test_a_call_that_is_ending_is_not_transferred_and_owes_nothing(edge: Edge) -> None:
    line = await Line.begun(edge)
    answer, _ = await line.person_moves("transfer", "over", to=MOBILE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state")
    async with edge.plane.control.db.system() as tx:
        assert await tx.fetchval("SELECT next_step FROM calls") is None
    await line.left("carrier_lost")
    assert tags(await line.next()) == ["Connect"], "the agent is back"


async def test_a_stream_that_was_just_left_is_left_for_what_a_person_wants(edge: Edge) -> None:
    """The agent was transferring the call already: its process has it no more, and the person's wish came before its report."""
    line = await Line.begun(edge)
    assert (await line.tool()).status == "ok"
    asking = asyncio.create_task(line.person_asks("take-over", to=MOBILE))
    command = await line.media.command()
    await line.left()
    line.media.answer(command, "over")
    answer = await asking
    assert answer.status_code == 200, answer.text
    assert Dial.of(line, await line.next()).number.text == MOBILE


async def test_a_call_is_taken_over_while_it_has_no_stream(edge: Edge) -> None:
    """It rings somewhere else: the carrier is told to ask for the next step."""
    line = await Line.begun(edge)
    first = await line.dialled("Dr Ada")
    answer = await line.http.post(f"/api/calls/{line.id}/take-over", json={"to": DESK})
    assert answer.status_code == 200, answer.text
    url = f"{PUBLIC}/twilio/voice/next/{line.id}#rc=5&rp=all&ct=2000&rt=5000"
    settings_url = edge.plane.settings.public_url
    assert edge.plane.carrier.redirected == [("CA1", url.replace(PUBLIC, settings_url))]
    second = Dial.of(line, await line.next())
    assert (second.number.text, (await first.row())["state"]) == (DESK, "canceled")
    assert tags(await first.whisper()) == ["Hangup"]
    await first.over(DialCallStatus="canceled")
    assert (await second.row())["state"] == "ringing"


@pytest.mark.parametrize(
    ("status", "owed"),
    [("400", False), ("", True)],
)
async def test_a_carrier_that_does_not_move_the_call(edge: Edge, status: str, owed: bool) -> None:
    """A refusal changes nothing.  If it is unknown whether the call was moved, the transfer is made when it was."""
    line = await Line.begun(edge)
    first = await line.dialled("Dr Ada")
    edge.plane.carrier.fail = CarrierError("no", carrier_status=status)
    answer = await line.http.post(f"/api/calls/{line.id}/take-over", json={"to": DESK})
    assert answer.status_code in {502, 503}, answer.text
    after = await first.over(DialCallStatus="busy")
    assert tags(after) == (["Dial"] if owed else ["Connect"])


@in_turn(
    ("body", "field"),
    [
        ({}, "to"),
        ({"to": DESK, "label": "front desk"}, "to"),
        ({"to": "911"}, "to"),
        ({"to": "+1911"}, "to"),
        ({"to": "+44112"}, "to"),
        ({"to": "+19005551234"}, "to"),
        ({"to": "+1317555"}, "to"),
        ({"to": "+4990012345678"}, "to"),
        ({"to": CALL["From"]}, "to"),
        ({"to": CALL["To"]}, "to"),
        ({"label": "nobody"}, "label"),
        ({"to": DESK, "summary": "x" * 501}, "summary"),
        ({"to": DESK, "flow": 1}, "flow"),
    ],
)
async def test_bad_wishes_are_refused(line: Line, body: dict[str, Any], field: str) -> None:
    answer = await line.http.post(f"/api/calls/{line.id}/transfer", json=body)
    assert answer.status_code == 400, answer.text
    assert field in {each["field"] for each in answer.json()["error"]["details"]}
    assert (await line.next()).find("Dial") is None


async def test_who_may_not(edge: Edge) -> None:
    line = await Line.begun(edge)
    other = await edge.client("Other")
    for path in ("transfer", "take-over"):
        assert (await other.post(f"/api/calls/{line.id}/{path}", json={"to": DESK})).status_code == 404
        for role, scopes in (("viewer", ()), ("operator", ("calls:read",))):
            weak = await edge.client(f"W{role}{path}", role, scopes)
            assert (await weak.post(f"/api/calls/{line.id}/{path}", json={"to": DESK})).status_code == 403
    await line.left("caller")
    over = await line.http.post(f"/api/calls/{line.id}/transfer", json={"to": DESK})
    assert (over.status_code, over.json()["error"]["code"]) == (409, "invalid_state")


async def test_a_call_that_was_not_answered_yet_is_not_transferred(edge: Edge) -> None:
    http = await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    (call,) = (await http.get("/api/calls")).json()["calls"]
    answer = await http.post(f"/api/calls/{call['id']}/transfer", json={"to": DESK})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state")


async def test_a_label_of_the_map_is_rung_as_the_map_says(edge: Edge) -> None:
    line = await Line.begun(edge)
    answer, _ = await line.person_moves("transfer", label="Dr Ada")
    assert answer.status_code == 200, answer.text
    await line.left()
    dial = Dial.of(line, await line.next())
    assert (dial.number.text, dial.verb.get("timeout")) == (MOBILE, "20")
    assert tags(await dial.whisper()) == ["Gather", "Gather", "Hangup"]
