"""The carrier's webhooks over real HTTP: signed, idempotent, answered in TwiML."""

import xml.etree.ElementTree as ET

import httpx
import pytest
from grpc import aio

from hum.v1 import runtime_pb2, runtime_pb2_grpc
from sandbox.twilio import sign
from tests.contract.conftest import PUBLIC, TOKEN, Edge

CALL = {
    "CallSid": "CA1",
    "AccountSid": "AC1",
    "From": "+13175550199",
    "To": "+13175550100",
    "CallStatus": "ringing",
    "Empty": "",
}


async def post(
    edge: Edge, path: str, form: dict[str, str], *, token: str = TOKEN, public: str = PUBLIC, **headers: str
) -> httpx.Response:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        signature = sign(token, public + path, list(form.items()))
        return await http.post(path, data=form, headers={"X-Twilio-Signature": signature, **headers})


async def flow_with_number(edge: Edge, **fields: object) -> httpx.AsyncClient:
    http = await edge.client()
    flow = (await http.post("/api/flows", json={"name": "F", "greeting": "Hi", **fields})).json()
    assert (await http.post("/api/numbers", json={"e164": CALL["To"], "flow_id": flow["id"]})).status_code == 201
    return http


async def test_a_call_is_connected_with_a_one_time_token(edge: Edge) -> None:
    http = await flow_with_number(edge)
    answer = await post(edge, "/twilio/voice", CALL)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    response = ET.fromstring(answer.text)
    connect = response.find("Connect")
    assert connect is not None
    stream = connect.find("Stream")
    assert stream is not None and stream.get("url") == "wss://media.example/media/twilio"
    parameter = stream.find("Parameter")
    assert parameter is not None and parameter.get("name") == "token"
    call_id = str(connect.get("action")).removeprefix(f"{PUBLIC}/twilio/voice/next/")
    call = (await http.get(f"/api/calls/{call_id}")).json()
    assert (call["status"], call["direction"], call["from"], call["to"]) == (
        "ringing",
        "inbound",
        CALL["From"],
        CALL["To"],
    )
    assert call["contact"]["name"] is None
    media = runtime_pb2_grpc.MediaServiceStub(edge.plane.channel)
    node = edge.plane.node()

    def opening(
        token: str, call_sid: str
    ) -> aio.UnaryUnaryCall[runtime_pb2.OpenSessionRequest, runtime_pb2.OpenSessionResponse]:
        return media.OpenSession(
            runtime_pb2.OpenSessionRequest(token=token, call_sid=call_sid, stream_sid="MZ1", node="m"), metadata=node
        )

    token = str(parameter.get("value"))
    for bad_token, call_sid in ((token, "CA2"), ("x", "CA1")):
        with pytest.raises(aio.AioRpcError):
            await opening(bad_token, call_sid)
    session = await opening(token, "CA1")
    assert (session.call_id, session.clips[0].kind, session.clips[0].text) == (call_id, "greeting", "Hi")
    assert "# Caller Context" in session.instructions
    with pytest.raises(aio.AioRpcError):
        await opening(token, "CA1")  # it is spent


@pytest.mark.parametrize("form", [CALL, {**CALL, "CallSid": "CA9"}])
async def test_a_repeated_question_makes_no_second_call(edge: Edge, form: dict[str, str]) -> None:
    http = await flow_with_number(edge)
    answers = [await post(edge, "/twilio/voice", form) for _ in range(3)]
    actions = {ET.fromstring(answer.text).find("Connect").get("action") for answer in answers}  # type: ignore[union-attr]
    assert len(actions) == 1
    assert len((await http.get("/api/calls")).json()["calls"]) == 1


@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("/twilio/voice", {"token": "other"}),
        ("/twilio/voice/status", {"token": "other"}),
        ("/twilio/voice/next/call_x", {"token": "other"}),
        ("/twilio/voice", {"public": "https://evil.example"}),
        ("/twilio/voice", {"public": "http://hum.example"}),
        ("/twilio/voice", {"Host": "evil.example", "public": "https://evil.example"}),
        ("/twilio/voice", {"X-Twilio-Webhooks-Signature-Settings": "key=1,algorithm=HMAC_SHA256"}),
        ("/twilio/voice?x=1", {}),
    ],
)
async def test_a_bad_signature_changes_nothing(edge: Edge, path: str, how: dict[str, str]) -> None:
    http = await flow_with_number(edge)
    answer = await post(edge, path, CALL, **how)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert (await http.get("/api/calls")).json()["calls"] == []


async def test_an_unknown_number_is_refused_in_words(edge: Edge) -> None:
    answer = await post(edge, "/twilio/voice", {**CALL, "To": "+13175559999"})
    verbs = [verb.tag for verb in ET.fromstring(answer.text)]
    assert verbs == ["Say", "Hangup"]


async def test_a_number_without_a_flow_says_so_and_is_recorded(edge: Edge) -> None:
    http = await edge.client()
    await http.post("/api/numbers", json={"e164": CALL["To"]})
    assert "<Hangup/>" in (await post(edge, "/twilio/voice", CALL)).text
    (call,) = (await http.get("/api/calls")).json()["calls"]
    assert (call["status"], call["end_reason"]) == ("failed", "no_flow")


async def test_after_hours_the_flows_message_is_said(edge: Edge) -> None:
    shut: dict[str, object] = {"time_zone": "UTC", "weekly": {}}
    http = await flow_with_number(edge, business_hours_json=shut, after_hours_message="We sleep & dream.")
    for _ in range(2):  # the carrier may have missed the first answer
        text = (await post(edge, "/twilio/voice", CALL)).text
        assert "<Say>We sleep &amp; dream.</Say><Hangup/>" in text
    (call,) = (await http.get("/api/calls", params={"status": "completed"})).json()["calls"]
    assert call["end_reason"] == "after_hours"


async def test_a_blocked_caller_is_rejected_before_anything_opens(edge: Edge) -> None:
    http = await flow_with_number(edge)
    async with edge.plane.control.db.system() as tx:
        await tx.execute(
            "INSERT INTO blocklist (org_id, phone_e164) SELECT org_id, $1 FROM organizations", CALL["From"]
        )
    assert '<Reject reason="rejected"/>' in (await post(edge, "/twilio/voice", CALL)).text
    (call,) = (await http.get("/api/calls")).json()["calls"]
    assert call["status"] == "blocked"


async def test_the_carriers_status_closes_a_call_that_never_spoke(edge: Edge) -> None:
    http = await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    for status in ("ringing", "no-answer", "no-answer", "busy"):
        assert (await post(edge, "/twilio/voice/status", {**CALL, "CallStatus": status})).status_code == 204
    (call,) = (await http.get("/api/calls")).json()["calls"]
    assert call["status"] == "no_answer"
    unknown = await post(edge, "/twilio/voice/status", {**CALL, "CallSid": "CA404", "CallStatus": "completed"})
    assert unknown.status_code == 204


async def test_next_reconnects_once_then_apologizes(edge: Edge) -> None:
    http = await flow_with_number(edge)
    media = runtime_pb2_grpc.MediaServiceStub(edge.plane.channel)
    answer = await post(edge, "/twilio/voice", CALL)
    path = ""
    for expected in ("Connect", "Say"):
        root = ET.fromstring(answer.text)
        connect = root.find("Connect")
        assert connect is not None
        path = str(connect.get("action")).removeprefix(PUBLIC)
        token = str(root.find("Connect/Stream/Parameter").get("value"))  # type: ignore[union-attr]
        opening = runtime_pb2.OpenSessionRequest(token=token, call_sid="CA1", stream_sid="MZ", node="m")
        await media.OpenSession(opening, metadata=edge.plane.node())
        answer = await post(edge, path, CALL)
        assert ET.fromstring(answer.text)[0].tag == expected
    (call,) = (await http.get("/api/calls")).json()["calls"]
    assert (call["status"], call["end_reason"]) == ("failed", "stream_lost")
    assert ET.fromstring((await post(edge, path, CALL)).text)[0].tag == "Hangup"
    other = await post(edge, path, {**CALL, "CallSid": "CA2"})
    assert ET.fromstring(other.text)[0].tag == "Say", "another call's sid is answered with an apology alone"
