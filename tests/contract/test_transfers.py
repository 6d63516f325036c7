"""Transfers as control, the gateway and the carrier's webhooks make them: each step twice, late, forged, out of order."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from control.calls import orphans
from control.clients.twilio import CarrierCall
from control.livecall.nextsteps import Transfer, decode, encode
from gateway import carrierforms
from hum import ids
from hum.contract.errors import CarrierError
from hum.ids import Kind
from hum.v1 import calls_pb2, runtime_pb2, runtime_pb2_grpc
from tests.contract.conftest import PUBLIC, Edge
from tests.contract.lines import ASKED, CHILD, DESK, GONE, HEARD, LIVE, MOBILE, TAKEN, Dial, Line, tags
from tests.contract.test_carrier_webhooks import CALL, post
from tests.support.endings import ends_are_told
from tests.support.examples import sample

__all__ = ["ends_are_told"]
pytestmark = pytest.mark.usefixtures("ends_are_told")

# --- what the agent is offered ------------------------------------------------------------------------------------


def offered(session: runtime_pb2.OpenSessionResponse) -> list[str] | None:
    for tool in session.tools:
        if tool.name == "transfer_to_number":
            labels: list[str] = json.loads(tool.parameters_json)["properties"]["target"]["enum"]
            return labels
    return None


async def test_the_labels_that_are_numbers_are_offered_and_nothing_else(edge: Edge) -> None:
    line = await Line.begun(edge)
    assert offered(line.media.session) == ["front desk", "Dr Ada"]
    assert DESK not in str(line.media.session), "the model never sees a number"
    for number, arguments in enumerate(({"target": DESK}, {"summary": "x" * 501})):
        refused = await line.tool(f"t{number}", **arguments)
        assert (refused.status, refused.HasField("outcome")) == ("failed", False)
    assert (await line.record())["transfers"] == []


SOMALIA, SATELLITE = "+252612345678", "+881612345678"
SHUT = {"time_zone": "UTC", "weekly": {"mon": []}}


@pytest.mark.parametrize(
    ("numbers", "labels"),
    [
        ({}, None),
        ({"a": CALL["From"], "b": CALL["To"]}, None),
        ({"a": CALL["From"], "b": DESK}, ["b"]),
    ],
)
async def test_nobody_is_transferred_to_themselves(
    edge: Edge, numbers: dict[str, str], labels: list[str] | None
) -> None:
    line = await Line.begun(edge, transfer_map_json=numbers)
    assert offered(line.media.session) == labels


async def test_after_hours_nothing_is_offered_whatever_the_prompt_says(edge: Edge) -> None:
    line = await Line.begun(edge)
    async with edge.plane.control.db.system() as tx:  # it closes while the call goes on
        await tx.execute("UPDATE organizations SET business_hours_json = $1", json.dumps(SHUT))
    refused = await line.tool()
    assert (refused.status, refused.HasField("outcome")) == ("failed", False)


async def test_an_agent_transfers_so_often_and_no_more(edge: Edge) -> None:
    line = await Line.begun(edge)
    async with edge.plane.control.db.system() as tx:
        for _ in range(5):
            await tx.execute(
                "INSERT INTO transfers (id, org_id, call_id, to_e164, caller_id_e164, asked_by, summary, ring_seconds, whispers,"
                " needs_key, unanswered, state, started_at, ended_at) SELECT $1, org_id, id, $2, '+13175550100', 'agent', '', 20,"
                " true, false, 'agent', 'busy', now(), now() FROM calls",
                ids.new(),
                DESK,
            )
    assert (await line.tool()).status == "failed"


@pytest.mark.parametrize("number", ["+19005551234", "+1911", {"to": "+19005551234"}])
async def test_a_map_names_no_number_that_costs_whoever_calls_it(edge: Edge, number: Any) -> None:
    http = await edge.client()
    answer = await http.post("/api/flows", json={"name": "F", "transfer_map_json": {"a": number}})
    assert answer.status_code == 400
    (field,) = answer.json()["error"]["details"]
    assert field["field"].startswith("transfer_map_json.a")


async def test_a_map_names_no_country_that_none_of_the_numbers_calls(edge: Edge) -> None:
    flow = {"name": "F", "transfer_map_json": {"far": SOMALIA, "space": {"to": SATELLITE}, "here": DESK}}
    http = await edge.client()
    assert (await http.post("/api/flows", json=flow)).status_code == 201, "which numbers it answers is not known yet"
    assert (await http.post("/api/numbers", json={"e164": CALL["To"]})).status_code == 201
    answer = await http.post("/api/flows", json=flow)
    assert answer.status_code == 400
    fields = [each["field"] for each in answer.json()["error"]["details"]]
    assert fields == ["transfer_map_json.far", "transfer_map_json.space.to"]
    assert "country (SO)" in answer.text


# --- the dial -----------------------------------------------------------------------------------------------------


async def test_a_transfer_is_rung_once_however_often_the_carrier_asks(edge: Edge) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled()
    attributes = {name: value for name, value in dial.verb.attrib.items() if name != "action"}
    assert attributes == {"timeout": "25", "timeLimit": "14400", "callerId": CALL["To"], "answerOnBridge": "true"}
    assert dial.number.text == DESK
    assert dial.number.get("url") == f"{PUBLIC}/twilio/voice/whisper/{dial.id}#rc=5&rp=all&ct=2000&rt=5000"
    again = Dial.of(line, await line.next())
    assert again.id == dial.id
    (row,) = (await line.record())["transfers"]
    assert (row["id"], row["label"], row["to"], row["state"]) == (dial.id, "front desk", DESK, "ringing")
    assert (row["asked_by"], row["summary"]) == ("agent", ASKED["summary"])
    assert row["answered_at"] is None and row["ended_at"] is None


@pytest.mark.parametrize(
    ("number", "unanswered", "owed"),
    [(SOMALIA, "agent", None), ("+19005551234", "agent", None), (SATELLITE, "voicemail", "unanswered")],
)
async def test_a_number_that_must_not_be_called_is_never_dialled(
    edge: Edge, number: str, unanswered: str, owed: str | None
) -> None:
    line = await Line.begun(edge, voicemail_enabled=True)
    assert (await line.tool()).outcome.leave.reason == "transfer"
    await stored_step(edge, Transfer(ids.new(), number, "far", unanswered=unanswered))  # of the last release
    await line.left()
    for _ in range(2):
        assert tags(await line.next())[-1] == "Connect"
    record = await line.record()
    assert [(row["label"], row["state"]) for row in record["transfers"]] == [("far", "failed")]
    assert [turn["text"] for turn in record["transcript"] if turn["role"] == "system"] == [
        "The transfer to far did not come about: the number could not be reached."
    ]
    assert getattr(decode(await stored_step(edge)), "why", None) == owed, "the agent, or the mailbox"


async def stored_step(edge: Edge, replacement: Transfer | None = None) -> str | None:
    """Return the pending step of the call, after replacing it if one is given."""
    async with edge.plane.control.db.system() as tx:
        if replacement is not None:
            await tx.execute("UPDATE calls SET next_step = $1", encode(replacement))
        step: str | None = await tx.fetchval("SELECT next_step FROM calls")
        return step


async def test_whoever_answers_hears_who_calls_and_why_in_the_flows_language(edge: Edge) -> None:
    line = await Line.begun(edge)
    await line.known_as("Grace  Hopper <b>")
    dial = await line.dialled()
    for _ in range(2):
        (said,) = await dial.whisper()
        assert (said.tag, said.get("language")) == ("Say", "de-DE")
        assert said.text == (
            "From the <clinic>. Ein Anruf für Sie von Grace Hopper <b>. Wants to   move an appointment & is in a hurry."
        )
    row = await dial.row()
    assert row["state"] == "connected" and row["answered_at"] and row["connected_at"]


@pytest.mark.parametrize(
    ("verification", "heard"),
    [("failed", "von 3 1 7, 5 5 5, 0 1 9 9."), (None, "von 3 1 7, 5 5 5, 0 1 9 9."), ("passed", "von Grace.")],
)
async def test_only_a_number_that_is_vouched_for_is_given_a_name(
    edge: Edge, verification: str | None, heard: str
) -> None:
    line = await Line.begun(edge)
    await line.known_as("Grace")
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET caller_verification = $1", verification)
    (said,) = await (await line.dialled()).whisper()
    assert heard in str(said.text) and ("Grace" in str(said.text)) is (verification == "passed")


async def test_a_transfer_is_taken_with_a_key(edge: Edge) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled("Dr Ada")
    assert dial.verb.get("timeout") == "20"
    first, second, end = await dial.whisper()
    assert [first.tag, second.tag, end.tag] == ["Gather", "Gather", "Hangup"], (
        "whoever presses nothing has not taken it"
    )
    assert first.get("numDigits") == "1" and first.get("timeout") == "8"
    assert str(first[0].text).endswith("Drücken Sie die 1, um den Anruf anzunehmen.")
    assert second[0].text == "Drücken Sie die 1, um den Anruf anzunehmen."
    assert first.get("action") == dial.number.get("url")
    assert (await dial.row())["state"] == "answered"
    for _ in range(2):
        assert tags(await dial.whisper(Digits="1")) == [], "they are connected"
    assert (await dial.row())["state"] == "connected"
    for _ in range(2):
        assert tags(await dial.over(**TAKEN)) == ["Hangup"]
    record = await line.record()
    assert (record["status"], record["end_reason"]) == ("completed", "transferred")
    row = await dial.row()
    assert row["state"] == "completed" and row["talked_seconds"] is not None and row["ended_at"]
    events = (await line.http.get("/api/events", params={"type": "call.transfer"})).json()["events"]
    (event,) = [each["data"] for each in events]
    assert (event["transfer_id"], event["state"], event["to"]) == (dial.id, "completed", MOBILE)


UNTAKEN = [
    ({"DialCallStatus": "busy", "DialBridged": "false"}, "busy", "the line is busy"),
    ({"DialCallStatus": "no-answer"}, "no_answer", "nobody answered"),
    ({"DialCallStatus": "failed"}, "failed", "could not be reached"),
    ({"DialCallStatus": "nonsense"}, "failed", "could not be reached"),
    ({}, "failed", "could not be reached"),
    (HEARD, "not_accepted", "nobody took the call"),
]


@pytest.mark.sampled
@pytest.mark.parametrize(("form", "state", "told"), sample(UNTAKEN, 2))
async def test_nobody_took_it_and_the_caller_is_back_with_the_agent(
    edge: Edge, form: dict[str, str], state: str, told: str
) -> None:
    line = await Line.begun(edge, greeting="Hello.")
    dial = await line.dialled("Dr Ada")
    answers = [await dial.over(**form) for _ in range(2)]
    assert [tags(each) for each in answers] == [["Connect"]] * 2
    session = await line.joined(answers[1])
    assert (session.so_far[0].role, session.so_far[0].text) == (calls_pb2.SPEAKER_AGENT, "Hi")
    last = session.so_far[-1]
    assert last.role == calls_pb2.SPEAKER_SYSTEM and told in last.text and "Dr Ada" in last.text
    assert not {"greeting", "resumed"} & {clip.kind for clip in session.clips}
    assert "transfer_to_number" in {tool.name for tool in session.tools}
    record = await line.record()
    assert record["status"] == "in_progress"
    assert [(each["role"], each["text"]) for each in record["transcript"]][-1] == ("system", last.text)
    assert (await dial.row())["state"] == state
    assert tags(await dial.over(**form)) == ["Hangup"], "a late repetition disturbs nobody"
    assert (await line.record())["status"] == "in_progress"
    assert len([each for each in record["transcript"] if each["role"] == "system"]) == 1


async def test_a_caller_who_does_not_wait_for_the_agent_has_hung_up(edge: Edge) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled("Dr Ada")
    assert tags(await dial.over(DialCallStatus="busy")) == ["Connect"]
    assert (await post(edge, "/twilio/voice/status", {**CALL, "CallStatus": "completed"})).status_code == 204
    record = await line.record()
    assert (record["status"], record["end_reason"]) == ("completed", "caller")


async def test_a_voicemail_box_that_heard_the_whisper_has_not_taken_the_call(edge: Edge) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled("Dr Ada")
    await dial.status()
    await dial.whisper()
    assert tags(await dial.whisper(Digits="5")) == ["Hangup"]
    assert tags(await dial.over(**HEARD)) == ["Connect"]
    row = await dial.row()
    assert row["state"] == "not_accepted" and row["answered_at"] and not row["connected_at"]


async def test_a_second_transfer_after_the_first(edge: Edge) -> None:
    line = await Line.begun(edge)
    first = await line.dialled("Dr Ada")
    back = await first.over(DialCallStatus="busy")
    await line.joined(back)
    assert (await line.tool("t2", target="front desk")).outcome.leave.reason == "transfer"
    line.media.seqs["report"] = 0
    report = runtime_pb2.Report(
        call_id=line.id, seq=1, stream_number=2, ended=runtime_pb2.StreamEnded(reason="transfer")
    )
    report.at.GetCurrentTime()
    line.media.seqs["batch"] += 1
    batch = runtime_pb2.ReportBatch(seq=line.media.seqs["batch"], reports=[report])
    line.media.ups.put_nowait(runtime_pb2.LinkUp(batch=batch))
    await line.media.acknowledged(line.media.seqs["batch"])
    second = Dial.of(line, await line.next())
    assert second.id != first.id
    await first.over(DialCallStatus="busy")  # late
    assert (await second.row())["state"] == "ringing"
    assert tags(await second.over(DialCallStatus="no-answer")) == ["Connect"], (
        "left on purpose twice, it is no lost stream"
    )
    systems = [each for each in (await line.record())["transcript"] if each["role"] == "system"]
    assert [each["seq"] for each in systems] == sorted({each["seq"] for each in systems}) and len(systems) == 2


# --- the caller hangs up ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["status", "action"])
async def test_a_caller_who_hangs_up_while_it_rings(edge: Edge, first: str) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled()

    async def status() -> None:
        assert (await post(edge, "/twilio/voice/status", {**CALL, **GONE})).status_code == 204

    async def action() -> None:
        assert tags(await dial.over(**GONE, DialCallStatus="canceled")) == ["Hangup"]

    for step in (status, action) if first == "status" else (action, status):
        await step()
        record = await line.record()
        assert (record["status"], record["end_reason"]) == ("completed", "caller")
    row = await dial.row()
    assert (row["state"], row["connected_at"]) == ("canceled", None)
    assert tags(await dial.whisper()) == ["Hangup"], "whoever picks up a moment later hears no whisper"


@pytest.mark.parametrize("first", ["status", "action"])
async def test_a_caller_who_hangs_up_when_they_have_talked(edge: Edge, first: str) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled("Dr Ada")
    await dial.whisper(Digits="1")
    if first == "status":
        await post(edge, "/twilio/voice/status", {**CALL, **GONE})
    assert tags(await dial.over(**GONE, **TAKEN)) == ["Hangup"]
    record = await line.record()
    assert (record["status"], record["end_reason"]) == ("completed", "transferred")
    assert (await dial.row())["state"] == "completed"


async def test_a_caller_who_hangs_up_while_the_stream_is_left(edge: Edge) -> None:
    line = await Line.begun(edge)
    await line.tool()
    await post(edge, "/twilio/voice/status", {**CALL, **GONE})
    await line.left()
    record = await line.record()
    assert (record["status"], record["end_reason"], record["transfers"]) == ("completed", "caller", [])
    assert tags(await line.next(**GONE)) == ["Hangup"]


# --- deaths -------------------------------------------------------------------------------------------------------


async def test_a_stream_that_dies_before_it_is_left_transfers_nobody(edge: Edge) -> None:
    """And what it owed does not go off later."""
    line = await Line.begun(edge)
    assert (await line.tool()).status == "ok"
    await line.left("carrier_lost")
    response = await line.next()
    assert tags(response) == ["Connect"]
    session = await line.joined(response)
    assert "was not made" in session.so_far[-1].text and session.so_far[-1].role == calls_pb2.SPEAKER_SYSTEM
    await line.joined(await line.next(), "MZ3")
    assert tags(await line.next()) == ["Say", "Hangup"], "its third stream is lost too"
    assert (await line.record())["transfers"] == []


@pytest.mark.parametrize("first", ["the stream", "the carrier"])
async def test_a_call_that_stream_and_carrier_call_over_is_over(edge: Edge, first: str) -> None:
    """A stream that ends without `stop` is no reason to wait, once the carrier has said `completed`; in either order."""
    line = await Line.begun(edge)
    says = [lambda: line.left("carrier_lost"), lambda: post(edge, "/twilio/voice/status", {**CALL, **GONE})]
    for each in says if first == "the stream" else reversed(says):
        assert (await line.record())["ended_at"] is None
        await each()
    record = await line.record()
    assert (record["status"], record["end_reason"]) == ("completed", "stream_lost")


async def test_what_the_carrier_says_twice_waits_for_the_stream(edge: Edge) -> None:
    line = await Line.begun(edge)
    for _ in range(2):
        await post(edge, "/twilio/voice/status", {**CALL, **GONE})
    assert (await line.record())["ended_at"] is None
    await line.left("caller")
    assert (await line.record())["end_reason"] == "caller"


@pytest.mark.parametrize("step", ['{"type":"transfer","to_e164":"+13175550142"}', '{"type":"teleport"}', "{}", "[]"])
async def test_what_another_release_has_stored_is_not_taken(edge: Edge, step: str) -> None:
    line = await Line.begun(edge)
    await line.left("carrier_lost")
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET next_step = $1, next_step_due = true, node = NULL", step)
    assert tags(await line.next()) == ["Connect"]


async def test_a_transfer_that_is_over_is_not_made_again(edge: Edge) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled()
    async with edge.plane.control.db.system() as tx:
        step = await tx.fetchval("SELECT next_step::text FROM calls")
    await dial.over(DialCallStatus="busy")
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET next_step = $1, next_step_due = true", step)
    assert tags(await line.next()) == ["Connect"]
    assert len((await line.record())["transfers"]) == 1


async def test_a_call_in_a_dial_is_not_lost(edge: Edge) -> None:
    """No media process has it, and the carrier may not answer: they talk on.  When the carrier says that it is over, it is."""
    line = await Line.begun(edge)
    dial = await line.dialled("Dr Ada")
    await dial.whisper(Digits="1")
    plane = edge.plane

    async def look() -> int:
        async with plane.control.db.system() as tx:
            await tx.execute(
                "UPDATE calls SET created_at = now() - interval '1 hour', lost_at = now() - interval '1 hour', looked_at = NULL"
            )
        return await orphans.close_orphaned_calls(plane.control.db, plane.carrier, plane.settings)

    plane.carrier.fail = CarrierError("no answer")
    assert await look() == 0
    plane.carrier.fail = None
    plane.carrier.calls["CA1"] = CarrierCall("in-progress", None)
    assert await look() == 0
    assert await orphans.close_orphaned_calls(plane.control.db, plane.carrier, plane.settings) == 0
    asked = len(plane.carrier.asked)
    assert (await dial.row())["state"] == "connected"
    plane.carrier.calls["CA1"] = CarrierCall("completed", None)
    assert await look() == 1
    assert len(plane.carrier.asked) == asked + 1
    record = await line.record()
    assert (record["status"], record["end_reason"]) == ("completed", "transferred")


async def test_hanging_up_ends_the_transfer_too(edge: Edge) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled()
    answer = await line.http.post(f"/api/calls/{line.id}/hangup")
    assert (answer.status_code, edge.plane.carrier.ended) == (200, ["CA1"])
    assert (answer.json()["end_reason"], (await dial.row())["state"]) == ("hang_up", "canceled")
    assert tags(await dial.over(**GONE, DialCallStatus="canceled")) == ["Hangup"]


@pytest.mark.parametrize(
    ("form", "status", "reason", "state"),
    [
        (TAKEN, "completed", "transferred", "completed"),
        ({"DialCallStatus": "busy"}, "failed", "control_away", "busy"),
        ({**GONE, "DialCallStatus": "canceled"}, "completed", "caller", "canceled"),
    ],
)
async def test_a_dial_that_ends_while_control_is_away_is_recorded(
    edge: Edge, form: dict[str, str], status: str, reason: str, state: str
) -> None:
    """The gateway tells control later, perhaps twice."""
    line = await Line.begun(edge)
    dial = await line.dialled()
    ingress = runtime_pb2_grpc.IngressServiceStub(edge.plane.channel)
    told = carrierforms.end_dial_request({**CALL, **LIVE, **form}, dial.id, datetime.now(UTC))
    for _ in range(2):
        answer = await ingress.EndDial(told, metadata=edge.plane.node("gateway", "g"))
        assert not answer.HasField("step")
    record = await line.record()
    assert (record["status"], record["end_reason"], (await dial.row())["state"]) == (status, reason, state)


# --- forgery ------------------------------------------------------------------------------------------------------


async def test_nobody_elses_webhook_touches_a_transfer(edge: Edge) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled("Dr Ada")
    other = await edge.client("Other")
    assert (await other.get(f"/api/calls/{line.id}")).status_code == 404
    action, whisper = f"/twilio/voice/transfer/{dial.id}", f"/twilio/voice/whisper/{dial.id}"
    form, child = {**CALL, **LIVE, **TAKEN}, {**dial.child, "Digits": "1"}
    forged = [
        (action, {**form, "CallSid": "CA2"}),
        (action, {**form, "To": "+13175550101"}),
        (whisper, {**child, "ParentCallSid": "CA2"}),
        (whisper, {**child, "To": DESK}),
        (whisper, {name: value for name, value in child.items() if name != "ParentCallSid"}),
        (f"{action}/status", {**child, "ParentCallSid": CHILD}),
        (f"/twilio/voice/transfer/{line.id}", form),
        (f"/twilio/voice/transfer/{ids.show(Kind.TRANSFER, ids.new())}", form),
        (f"/twilio/voice/whisper/{ids.show(Kind.TRANSFER, ids.new())}", child),
    ]
    for path, sent in forged:
        assert (await post(edge, path, sent)).status_code == 403, path
    for path, sent in ((action, form), (whisper, child), (f"{action}/status", child)):
        assert (await post(edge, path, sent, token="other")).status_code == 403
        assert (await post(edge, path, {**sent, "AccountSid": "AC" + "9" * 32})).status_code == 403
    row = await dial.row()
    assert (row["state"], row["answered_at"]) == ("ringing", None)


async def test_silly_values_do_no_harm(edge: Edge) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled("Dr Ada")
    for silly in ("\0", "9" * 400, "-1", "<Response/>", "'; --", "1 "):
        assert tags(await dial.whisper(Digits=silly)) == ["Hangup"]
        assert (await dial.status(silly)).status_code == 204
    assert tags(await dial.over(DialCallStatus="\0" * 300, DialBridged="maybe")) == ["Connect"]
