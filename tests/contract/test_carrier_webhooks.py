"""The carrier's webhooks over real HTTP: signed, idempotent, answered in TwiML, whatever they hold."""

import xml.etree.ElementTree as ET

import httpx
import pytest
from grpc import aio
from structlog.testing import capture_logs

from hum.v1 import runtime_pb2, runtime_pb2_grpc
from sandbox.twilio import sign
from tests.contract.conftest import ACCOUNT, PUBLIC, SUBACCOUNT, TOKEN, Edge
from tests.support.endings import ends_are_told
from tests.support.examples import sample

__all__ = ["ends_are_told"]
pytestmark = pytest.mark.usefixtures("ends_are_told")

CALL = {
    "CallSid": "CA1",
    "AccountSid": ACCOUNT,
    "From": "+13175550199",
    "StirVerstat": "TN-Validation-Passed-A",
    "To": "+13175550100",
    "CallStatus": "ringing",
    "Empty": "",
}


def next_path(connect: ET.Element) -> str:
    """Where the carrier asks when the stream has closed; the fragment says how, and is neither sent nor signed."""
    path, _, overrides = str(connect.get("action")).removeprefix(PUBLIC).partition("#")
    assert overrides == "rc=5&rp=all&ct=2000&rt=5000"
    return path


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
    call_id = next_path(connect).removeprefix("/twilio/voice/next/")
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


async def test_a_bad_signature_changes_nothing(edge: Edge) -> None:
    http = await flow_with_number(edge)
    cases: list[tuple[str, dict[str, str]]] = [
        ("/twilio/voice", {"token": "other"}),
        ("/twilio/voice/status", {"token": "other"}),
        ("/twilio/voice/next/call_x", {"token": "other"}),
        ("/twilio/voice", {"public": "https://evil.example"}),
        ("/twilio/voice", {"public": "http://hum.example"}),
        ("/twilio/voice", {"Host": "evil.example", "public": "https://evil.example"}),
        ("/twilio/voice", {"X-Twilio-Webhooks-Signature-Settings": "key=1,algorithm=HMAC_SHA256"}),
        ("/twilio/voice?x=1", {}),
    ]
    for path, how in cases:
        answer = await post(edge, path, CALL, **how)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), (path, how)
        assert (await http.get("/api/calls")).json()["calls"] == [], (path, how)


async def test_what_is_logged_of_a_stranger_is_short(edge: Edge) -> None:
    with capture_logs() as lines:
        answer = await post(edge, "/twilio/voice/next/" + "x" * 50_000, CALL, token="other")
    assert answer.status_code == 403
    assert any(line["event"] == "carrier webhook refused" for line in lines)
    assert all(len(str(line)) < 1_000 for line in lines)


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
    shut: dict[str, object] = {"time_zone": "UTC", "weekly": {"mon": []}}
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


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("no-answer", "no_answer"),
        ("busy", "busy"),
        ("canceled", "canceled"),
        ("failed", "failed"),
        ("completed", "canceled"),
    ],
)
async def test_the_carriers_status_closes_a_call_that_never_spoke(edge: Edge, said: str, status: str) -> None:
    http = await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    for each in ("ringing", said, said, "busy"):
        assert (await post(edge, "/twilio/voice/status", {**CALL, "CallStatus": each})).status_code == 204
    (call,) = (await http.get("/api/calls")).json()["calls"]
    assert (call["status"], call["end_reason"]) == (status, "caller")
    unknown = await post(edge, "/twilio/voice/status", {**CALL, "CallSid": "CA404", "CallStatus": "completed"})
    assert unknown.status_code == 204


async def test_next_reconnects_twice_within_a_minute_then_apologizes(edge: Edge) -> None:
    http = await flow_with_number(edge)
    media = runtime_pb2_grpc.MediaServiceStub(edge.plane.channel)
    answer = await post(edge, "/twilio/voice", CALL)
    path = ""
    for expected in ("Connect", "Connect", "Connect", "Say"):
        root = ET.fromstring(answer.text)
        connect = root.find("Connect")
        assert connect is not None
        path = next_path(connect)
        token = str(root.find("Connect/Stream/Parameter").get("value"))  # type: ignore[union-attr]
        opening = runtime_pb2.OpenSessionRequest(token=token, call_sid="CA1", stream_sid="MZ", node="m")
        await media.OpenSession(opening, metadata=edge.plane.node())
        async with edge.plane.control.db.system() as tx:  # the first was lost long ago, and counts no more
            await tx.execute("UPDATE call_streams SET opened_at = opened_at - interval '2 minutes' WHERE number = 1")
        answer = await post(edge, path, CALL)
        assert ET.fromstring(answer.text)[0].tag == expected
    (call,) = (await http.get("/api/calls")).json()["calls"]
    assert (call["status"], call["end_reason"]) == ("failed", "stream_lost")
    assert ET.fromstring((await post(edge, path, CALL)).text)[0].tag == "Hangup"
    other = await post(edge, path, {**CALL, "CallSid": "CA2"})
    assert ET.fromstring(other.text)[0].tag == "Say", "another call's sid is answered with an apology alone"


# --- whose request it is ------------------------------------------------------------------------------------------


async def test_another_account_is_refused(edge: Edge) -> None:
    """Whoever shares our token, as a sub-account's owner may, does not speak for us."""
    http = await flow_with_number(edge)
    without = {name: value for name, value in CALL.items() if name != "AccountSid"}
    for path in ("/twilio/voice", "/twilio/voice/status", "/twilio/voice/next/call_x"):
        for form in (without, without | {"AccountSid": ""}, without | {"AccountSid": "AC" + "9" * 32}):
            answer = await post(edge, path, form)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), (path, form)
            assert (await http.get("/api/calls")).json()["calls"] == [], (path, form)


async def test_a_number_is_one_of_the_account_that_holds_it(edge: Edge) -> None:
    http = await flow_with_number(edge)
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE numbers SET account_sid = $1", ACCOUNT)
    other = await post(edge, "/twilio/voice", {**CALL, "AccountSid": SUBACCOUNT})
    assert ET.fromstring(other.text)[0].tag == "Say", "not in service there"
    assert (await http.get("/api/calls")).json()["calls"] == []
    assert ET.fromstring((await post(edge, "/twilio/voice", CALL)).text)[0].tag == "Connect"


async def test_a_known_call_with_another_number_is_refused(edge: Edge) -> None:
    http = await flow_with_number(edge)
    await http.post("/api/numbers", json={"e164": "+13175550101"})
    assert ET.fromstring((await post(edge, "/twilio/voice", CALL)).text)[0].tag == "Connect"
    other = {**CALL, "To": "+13175550101"}
    assert (await post(edge, "/twilio/voice", other)).status_code == 403
    assert (await post(edge, "/twilio/voice/status", {**other, "CallStatus": "completed"})).status_code == 403
    (call,) = (await http.get("/api/calls")).json()["calls"]
    assert (call["status"], call["to"]) == ("ringing", CALL["To"])


# --- what no carrier sends ----------------------------------------------------------------------------------------


async def test_too_many_fields_are_too_much(edge: Edge) -> None:
    form = {**CALL, **{f"F{n}": "x" for n in range(300)}}
    for path in ("/twilio/voice", "/twilio/voice/status"):
        answer = await post(edge, path, form)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


SILLY = ("\0", "9" * 400, "-1", "1e99", "NaN", "\ud7ff\uffff", "'; --", "<Response/>", "\r\nX: y")


@pytest.mark.sampled
@pytest.mark.parametrize("silly", sample(SILLY, 3))
async def test_silly_values_do_no_harm(edge: Edge, silly: str) -> None:
    http = await flow_with_number(edge)
    names = (
        "CallStatus",
        "CallDuration",
        "Duration",
        "SequenceNumber",
        "Timestamp",
        "From",
        "StirVerstat",
        "CallerName",
    )
    for name in names:
        answer = await post(edge, "/twilio/voice/status", {**CALL, name: silly})
        assert (name, answer.status_code) == (name, 204)
    for number, name in enumerate(names):
        answer = await post(edge, "/twilio/voice", {**CALL, "CallSid": f"CA{number}", name: silly})
        assert (name, ET.fromstring(answer.text)[0].tag) == (name, "Connect")
    assert len((await http.get("/api/calls")).json()["calls"]) == len(names)
    for path in ("/twilio/voice", "/twilio/voice/status", "/twilio/voice/next/call_x"):
        assert (await post(edge, path, {**CALL, "CallSid": silly + "\0"})).status_code == 204
    assert (
        ET.fromstring((await post(edge, "/twilio/voice", {**CALL, "CallSid": "CAx", "To": silly})).text)[0].tag == "Say"
    )


# --- who vouches for the caller -----------------------------------------------------------------------------------

each_word = pytest.mark.parametrize(
    ("word", "verification", "is_vouched_for"),
    [
        ("TN-Validation-Failed-C", "failed", False),
        ("TN-Validation-Failed", "failed", False),
        ("TN-Validation-Passed-A", "passed", True),
        ("TN-Validation-Passed-B-Diverted", "passed", True),
        ("TN-Validation-Passed-C", None, False),
        ("No-TN-Validation", None, False),
        (None, None, False),
    ],
)


@each_word
async def test_a_number_that_nobody_vouches_for_gives_no_contact_a_name(
    edge: Edge, word: str | None, verification: str | None, is_vouched_for: bool
) -> None:
    http = await flow_with_number(edge)
    form = {**CALL, "CallerName": "YOUR BANK", "StirVerstat": word or ""}
    assert (await post(edge, "/twilio/voice", form)).status_code == 200
    (contact,) = (await http.get("/api/contacts")).json()["contacts"]
    name = "YOUR BANK" if is_vouched_for else None
    assert (contact["name"], contact["caller_name"]) == (name, name)
    (call,) = (await http.get("/api/calls")).json()["calls"]
    assert call["caller_verification"] == verification


@each_word
async def test_a_number_that_nobody_vouches_for_opens_nobodys_notes(
    edge: Edge, word: str | None, verification: str | None, is_vouched_for: bool
) -> None:
    http = await flow_with_number(edge)
    known = {
        "phone_e164": CALL["From"],
        "name": "Ada Secret",
        "notes": "PIN 4711",
        "company": "Hush Ltd",
        "tags": ["vip"],
    }
    assert (await http.post("/api/contacts", json=known)).status_code == 201
    answer = await post(edge, "/twilio/voice", {**CALL, "StirVerstat": word or ""})
    token = str(ET.fromstring(answer.text).find("Connect/Stream/Parameter").get("value"))  # type: ignore[union-attr]
    opening = runtime_pb2.OpenSessionRequest(token=token, call_sid="CA1", stream_sid="MZ1", node="m")
    media = runtime_pb2_grpc.MediaServiceStub(edge.plane.channel)
    prompt = (await media.OpenSession(opening, metadata=edge.plane.node())).instructions
    assert CALL["From"] in prompt
    for secret in ("Ada Secret", "4711", "Hush Ltd", "vip"):
        assert (secret in prompt) is is_vouched_for, secret
    assert ("may be forged" in prompt) is not is_vouched_for
    (call,) = (await http.get("/api/calls")).json()["calls"]
    assert call["caller_verification"] == verification
    assert (await http.get(f"/api/calls/{call['id']}")).json()["caller_verification"] == verification
