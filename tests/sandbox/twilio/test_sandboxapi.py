import asyncio
import base64
import io
import json
import os
import signal
import sys
import wave

import httpx
import pytest

from sandbox.twilio import Carrier, say
from tests.sandbox.twilio.conftest import Customer

ACCOUNT, TOKEN, NUMBER, PERSON = "AC" + "a" * 32, "12345", "+13175550100", "+14155550123"
SPEECH = bytes([0x00, 0x80]) * 400  # 100 ms


async def test_a_call_is_followed_live_and_its_truth_is_told(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", customer.connect())
    async with httpx.AsyncClient(base_url=carrier.url) as http:
        began = await http.post("/sandbox/calls", json={"to": NUMBER, "from": PERSON, "steps": [say(SPEECH)]})
        assert began.status_code == 201
        sid = began.json()["call_sid"]
        async with http.stream("GET", f"/sandbox/calls/{sid}/events") as stream:
            events = [json.loads(line) async for line in stream.aiter_lines()]
        assert events[-1]["event"] == "ended"
        spoken = [each for each in events if each["event"] == "caller.said"]
        assert [each["phase"] for each in spoken] == ["begin", "end"]
        assert all({"at_monotonic", "stream_ms"} <= set(each) for each in events)
        truth = (await http.get(f"/sandbox/calls/{sid}/truth")).json()
        assert truth["status"] == "completed"
        assert base64.b64decode(truth["streams"][0]["caller"]["payload"])
        with wave.open(io.BytesIO((await http.get(f"/sandbox/calls/{sid}/truth.wav")).content)) as file:
            assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        requests = (await http.get("/sandbox/requests")).json()["requests"]
        assert requests[0]["kind"] == "voice"
        assert requests[0]["attempts"][0]["status"] == 200


async def test_refusals_are_sentences(carrier: Carrier) -> None:
    async with httpx.AsyncClient(base_url=carrier.url) as http:
        stranger = await http.post("/sandbox/calls", json={"to": "+13175550111", "from": PERSON})
        nonsense = await http.post("/sandbox/calls", json={"to": NUMBER, "from": PERSON, "steps": [{"do": "sing"}]})
        unknown = await http.post("/sandbox/calls", json={"to": NUMBER, "from": PERSON, "mood": "good"})
        lost = await http.get("/sandbox/calls/CA0/truth")
    assert (stranger.status_code, "does not have" in stranger.json()["error"]) == (404, True)
    assert (nonsense.status_code, nonsense.json()) == (400, {"error": "unknown step 'sing'"})
    assert (unknown.status_code, "mood" in unknown.json()["error"]) == (400, True)
    assert (lost.status_code, lost.json()) == (404, {"error": "no call CA0"})


async def test_people_are_introduced(carrier: Carrier) -> None:
    async with httpx.AsyncClient(base_url=carrier.url) as http:
        fine = await http.put(f"/sandbox/people/{PERSON}", json={"answers": "busy", "ring_ms": 10})
        wrong = await http.put(f"/sandbox/people/{PERSON}", json={"answers": "maybe"})
    assert (fine.status_code, wrong.status_code) == (204, 400)
    assert carrier.exchange.people[PERSON][0].answers == "busy"


@pytest.mark.interop
async def test_it_runs_alone_and_ends_in_good_order() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox.twilio", "--account-sid", ACCOUNT, "--number", NUMBER,
        "--person", f"{PERSON}=busy", "--calls-per-second", "2",
        env={**os.environ, "TWILIO_AUTH_TOKEN": TOKEN},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    url = json.loads(await process.stdout.readline())["url"]
    async with httpx.AsyncClient(base_url=url, auth=(ACCOUNT, TOKEN)) as http:
        held = await http.get(f"/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json")
        form = {"To": PERSON, "From": NUMBER, "Twiml": "<Response/>"}
        placed = (await http.post(f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json", data=form)).json()
        async with http.stream("GET", f"/sandbox/calls/{placed['sid']}/events") as stream:
            events = [json.loads(line) async for line in stream.aiter_lines()]
    assert events[-1]["status"] == "busy"
    assert [each["phone_number"] for each in held.json()["incoming_phone_numbers"]] == [NUMBER]
    process.send_signal(signal.SIGTERM)
    _, complaints = await process.communicate()
    assert (process.returncode, complaints) == (0, b"")


async def test_far_ends_faults_and_limits_are_set_from_outside(carrier: Carrier) -> None:
    async with httpx.AsyncClient(base_url=carrier.url, auth=(ACCOUNT, TOKEN)) as http:
        people = await http.put(f"/sandbox/people/{PERSON}", json=[{"kind": "busy"}, {"kind": "machine"}])
        unknown = await http.put(f"/sandbox/people/{PERSON}", json={"kind": "robot"})
        nobody = await http.put(f"/sandbox/people/{PERSON}", json=[])
        faults = await http.post("/sandbox/faults", json={"on": "create", "do": "error", "stage": "before"})
        nonsense = await http.post("/sandbox/faults", json={"on": "create", "do": "twice"})
        limits = await http.put("/sandbox/limits", json={"forbidden_prefixes": ["+49"], "calls_per_second": 5})
        assert (people.status_code, faults.status_code, limits.status_code) == (204, 204, 204)
        assert [each.status_code for each in (unknown, nobody, nonsense)] == [400, 400, 400]
        assert [each["do"] for each in (await http.get("/sandbox/faults")).json()["faults"]] == ["error"]
        form = {"To": PERSON, "From": NUMBER, "Twiml": "<Response/>"}
        calls = f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
        assert (await http.post(calls, data=form)).status_code == 503
        assert (await http.post(calls, data=form | {"To": "+4930123456"})).json()["code"] == 21215
        placed = await http.post(calls, data=form)
        await carrier.call(placed.json()["sid"]).ended()
        (told,) = (await http.get("/sandbox/calls", params={"to": PERSON})).json()["calls"]
        assert (told["sid"], told["status"]) == (placed.json()["sid"], "busy")
        truth = (await http.get(f"/sandbox/calls/{told['sid']}/truth")).json()
        assert (truth["answered_by"], truth["heard"]) == (None, [])
        assert (await http.get(f"/sandbox/calls/{told['sid']}/heard.wav")).headers["content-type"] == "audio/wav"
        await http.post("/sandbox/faults", json={"on": "list", "do": "cut"})
        assert (await http.delete("/sandbox/faults")).status_code == 204
        assert (await http.get(calls)).status_code == 200
