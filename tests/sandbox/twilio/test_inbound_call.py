"""A person calls, end to end over loopback: webhooks, TwiML, the stream and its record."""

import asyncio
import base64
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import websockets
from starlette.responses import Response
from twilio.request_validator import RequestValidator

from sandbox.twilio import Carrier, NoSuchLine, Path, Person, say, simulate_call
from sandbox.twilio.caller import Caller
from tests.sandbox.twilio.conftest import Customer, Line
from tests.support.waits import patience, until

ACCOUNT, TOKEN, NUMBER, PERSON = "AC" + "a" * 32, "12345", "+13175550100", "+14155550123"
LOUD = bytes([0x00, 0x80])
SPEECH = LOUD * 800  # 200 ms
HANGUP = "<Response><Hangup/></Response>"


def loud(ms: int) -> bytes:
    return LOUD * (ms * 4)


async def test_a_whole_call(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", customer.connect())
    customer.answer("/next", HANGUP)

    async def agent(line: Line) -> None:
        await line.play(loud(300))
        await line.mark("greeted")
        await line.until("mark")
        await line.until("stop")

    customer.agent = agent
    call = await carrier.ring(
        NUMBER,
        PERSON,
        [{"do": "wait_for_agent_to_finish", "quiet_ms": 100}, say(SPEECH), {"do": "press", "digits": "7"}],
    )
    truth = (await call.ended()).as_json()

    assert customer.paths() == ["/voice", "/next", "/status"] or customer.paths() == ["/voice", "/status", "/next"]
    voice, following, status = (customer.fields(path) for path in ("/voice", "/next", "/status"))
    assert (
        voice
        | {
            "CallSid": call.sid,
            "AccountSid": ACCOUNT,
            "From": PERSON,
            "Caller": PERSON,
            "To": NUMBER,
            "Called": NUMBER,
            "CallStatus": "ringing",
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
            "FromCity": "SAN FRANCISCO",
            "ToState": "IN",
        }
        == voice
    )
    assert following["CallStatus"] == status["CallStatus"] == "completed"
    assert (status["SequenceNumber"], status["CallbackSource"]) == ("0", "call-progress-events")

    got = customer.lines[0].got
    assert [got[0]["event"], got[1]["event"], got[-1]["event"]] == ["connected", "start", "stop"]
    assert got[1]["start"]["callSid"] == call.sid
    assert got[1]["start"]["customParameters"] == {"token": "t1"}
    assert [int(each["sequenceNumber"]) for each in got[1:]] == list(range(1, len(got)))
    media = [each["media"] for each in got if each["event"] == "media"]
    stamps = [int(each["timestamp"]) for each in media]
    assert all(later - earlier in {20, 19, 21} for earlier, later in itertools.pairwise(stamps))
    assert sum(base64.b64decode(each["payload"]) == LOUD * 80 for each in media) == 10
    assert [each["dtmf"]["digit"] for each in got if each["event"] == "dtmf"] == ["7"]

    stream = truth["streams"][0]
    assert (truth["status"], truth["hung_up_by"], stream["closed_by"]) == ("completed", "caller", "carrier")
    (segment,) = stream["segments"]
    assert base64.b64decode(segment["payload"]) == loud(300)
    assert stream["marks"] == [{"name": "greeted", "at_ms": segment["end_ms"], "reason": "played"}]
    (span,) = stream["caller"]["spans"]
    assert round(span["end_ms"] - span["start_ms"]) == 200
    assert span["start_ms"] - segment["end_ms"] >= 100 - 20, "it begins with a frame, which may be due already"
    assert stream["errors"] == truth["errors"] == []
    assert call.truth.wav().startswith(b"RIFF")


async def test_every_request_is_signed(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", customer.connect())
    call = await carrier.ring(NUMBER, PERSON, [{"do": "wait", "ms": 40}])
    await call.ended()
    validator = RequestValidator(TOKEN)
    for path, fields, headers in customer.asked:
        assert validator.validate(customer.url + path, fields, headers["x-twilio-signature"])
    ((path, headers),) = customer.upgrades
    assert path == "/media"  # the query string is stripped
    assert validator.validate(f"{customer.ws}/media", {}, headers["X-Twilio-Signature"])


async def test_the_action_is_asked_when_the_agent_closes_and_its_answer_is_executed(
    carrier: Carrier, customer: Customer
) -> None:
    customer.answer("/voice", customer.connect(rest="<Say>never</Say>"))
    customer.answer("/next", "<Response><Say>Goodbye</Say></Response>")
    customer.agent = lambda line: line.play(loud(40))
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    assert customer.fields("/next")["CallStatus"] == "in-progress"
    assert (call.sentences, call.hung_up_by, call.stream.closed_by) == (["Goodbye"], "agent", "agent")


async def test_without_an_action_the_next_verb_follows(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", customer.connect(rest="<Say>after</Say>").replace(' action="/next"', ""))
    customer.agent = lambda line: line.play(loud(20))
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    assert call.sentences == ["after"]


async def test_clear_drops_the_queue_and_flushes_its_marks(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", customer.connect())

    async def agent(line: Line) -> None:
        await line.play(loud(60))
        await line.mark("heard")
        await line.play(loud(5000))
        await line.mark("unheard")
        await line.until("mark")
        await line.send("clear")
        await line.until("mark")

    customer.agent = agent
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    playout = call.stream.playout
    assert [(each.name, each.reason) for each in playout.echoes] == [("heard", "played"), ("unheard", "cleared")]
    (clear,) = playout.clears
    assert playout.played_bytes + clear.dropped_bytes == 5060 * 8
    assert clear.received_at_ms >= 60
    assert playout.segments[-1].end_ms == pytest.approx(clear.received_at_ms, abs=0.126)
    assert [each["mark"]["name"] for each in customer.lines[0].got if each["event"] == "mark"] == ["heard", "unheard"]


async def test_a_delayed_path_delays_the_mark_by_both_ways(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", customer.connect())
    loop = asyncio.get_running_loop()
    trips: list[float] = []

    async def agent(line: Line) -> None:
        began = loop.time()
        await line.play(loud(40))
        await line.mark("m")
        await line.until("mark")
        trips.append((loop.time() - began) * 1000)

    customer.agent = agent
    call = await carrier.ring(NUMBER, PERSON, stay=True, path=Path(delay_out_ms=60, delay_in_ms=80))
    await call.ended()
    assert round(trips[0], 3) >= 180
    assert call.stream.playout.segments[0].start_ms >= 80


async def test_a_caller_interrupts_at_the_stated_moment(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", customer.connect())

    async def agent(line: Line) -> None:
        await line.play(loud(3000))
        await line.until("stop")

    customer.agent = agent
    call = await carrier.ring(NUMBER, PERSON, [{"do": "wait_for_agent_to_talk", "for_ms": 200}, say(SPEECH)])
    await call.ended()
    spoke = call.stream.spoken.spans[0].start_ms - call.stream.playout.segments[0].start_ms
    assert 180 < spoke <= 240  # whole frames: the first may have been audible in part


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("<Response><Oops/></Response>", 12200),
        ("<Response>", 12100),
        (Response(status_code=500), 11200),
        (Response("{}", media_type="application/json"), 12300),
    ],
)
async def test_a_bad_answer_goes_to_the_fallback(
    carrier: Carrier, customer: Customer, answer: Response | str, code: int
) -> None:
    customer.answer("/voice", answer)
    customer.answer("/fallback", "<Response><Say>Sorry</Say></Response>")
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    told = customer.fields("/fallback")
    assert (told["ErrorCode"], told["ErrorUrl"]) == (str(code), f"{customer.url}/voice")
    assert (call.sentences, [each[0] for each in call.errors]) == (["Sorry"], [code])
    assert customer.paths().count("/voice") == (3 if code == 11200 else 1)


async def test_when_the_fallback_fails_too_the_caller_hears_an_apology(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", "<Response>")
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    assert call.sentences == ["We are sorry, an application error has occurred. Goodbye."]
    assert [each[0] for each in call.errors] == [12100, 12100]
    assert call.status == "completed"


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "no-answer")])
async def test_a_rejected_call_is_never_answered(
    carrier: Carrier, customer: Customer, reason: str, status: str
) -> None:
    customer.answer("/voice", f'<Response><Reject reason="{reason}"/></Response>')
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    assert (call.status, call.answered_at) == (status, None)
    assert customer.fields("/status")["CallStatus"] == status


async def test_a_redirect_is_followed_relative_to_the_document(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", "<Response><Redirect>else</Redirect></Response>")
    customer.answer("/else", "<Response><Say>here</Say></Response>")
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    assert call.sentences == ["here"]


async def test_a_dialled_party_hears_the_whisper_and_the_action_hears_the_outcome(
    carrier: Carrier, customer: Customer
) -> None:
    customer.answer(
        "/voice", '<Response><Dial action="/dialled"><Number url="/whisper">+13175550199</Number></Dial></Response>'
    )
    customer.answer("/whisper", "<Response><Say>A caller for you</Say></Response>")
    customer.answer("/dialled", HANGUP)
    carrier.set_people("+13175550199", Person(steps=[{"do": "wait", "ms": 1_000}]))
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    outcome, whisper = customer.fields("/dialled"), customer.fields("/whisper")
    child = carrier.call(outcome["DialCallSid"])
    assert (outcome["DialCallStatus"], outcome["DialBridged"]) == ("completed", "true")
    assert (whisper["CallSid"], whisper["ParentCallSid"], child.sentences) == (
        child.sid,
        call.sid,
        ["A caller for you"],
    )


async def test_a_busy_party(carrier: Carrier, customer: Customer) -> None:
    carrier.set_people("+13175550199", Person(answers="busy"))
    customer.answer("/voice", '<Response><Dial action="/dialled">+13175550199</Dial></Response>')
    customer.answer("/dialled", "<Response><Say>Busy</Say></Response>")
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    assert (customer.fields("/dialled")["DialCallStatus"], call.sentences) == ("busy", ["Busy"])


async def test_nonsense_on_the_stream_is_reported_once_and_ignored(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", customer.connect())
    customer.answer("/next", HANGUP)

    async def agent(line: Line) -> None:
        await line.socket.send(b"\x00\x01")
        await line.socket.send("nonsense")
        await line.mark("still alive")
        await line.until("mark")

    customer.agent = agent
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    assert [each[0] for each in call.errors] == [31950]
    assert call.stream.invalid_messages == 2


async def test_nobody_at_the_stream_url(carrier: Carrier, customer: Customer, unused_port: int) -> None:
    customer.ws = f"ws://127.0.0.1:{unused_port}"
    customer.answer("/voice", customer.connect())
    customer.answer("/next", "<Response><Say>Sorry</Say></Response>")
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    assert ([each[0] for each in call.errors], call.sentences) == ([31902], ["Sorry"])


async def test_a_handshake_that_is_refused(carrier: Carrier, customer: Customer) -> None:
    customer.ws = customer.url.replace("http", "ws")
    customer.answer("/voice", customer.connect())
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await call.ended()
    assert call.errors[0][0] == 31920


async def test_a_carrier_that_vanishes_says_no_stop_and_the_call_goes_on(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", customer.connect())
    customer.answer("/next", HANGUP)
    closed: asyncio.Future[websockets.ConnectionClosed] = asyncio.get_running_loop().create_future()

    async def agent(line: Line) -> None:
        try:
            await line.until("stop")
        except websockets.ConnectionClosed as error:
            closed.set_result(error)

    customer.agent = agent
    call = await carrier.ring(NUMBER, PERSON, stay=True)
    await until(lambda: call.open_stream is not None)
    call.vanish()
    await call.ended()
    assert (await closed).rcvd is None
    assert call.stream.closed_by == "nobody"
    assert customer.fields("/next")["CallStatus"] == "in-progress"


async def test_a_frozen_carrier_neither_reads_nor_writes(carrier: Carrier, customer: Customer) -> None:
    customer.answer("/voice", customer.connect())
    frozen, gone = asyncio.Event(), asyncio.Event()
    after: list[Any] = []

    async def agent(line: Line) -> None:
        await line.play(loud(40))
        await frozen.wait()
        await line.play(loud(100))
        try:
            while True:
                after.append(json.loads(await line.socket.recv()))
        except websockets.ConnectionClosed as error:
            after.append(error)
            gone.set()

    customer.agent = agent
    call = await carrier.ring(
        NUMBER, PERSON, [{"do": "wait_for_agent_to_talk"}, {"do": "freeze"}, {"do": "wait", "ms": 100}]
    )
    await call.journal.find("stream.frozen")
    frozen.set()
    await call.ended()
    async with patience():
        await gone.wait()
    assert call.stream.playout.received_bytes == len(loud(40))
    assert isinstance(after[-1], websockets.ConnectionClosedError)
    assert not any(each["event"] == "stop" for each in after[:-1])
    written_ms = [int(each["media"]["timestamp"]) for each in after[:-1] if each["event"] == "media"]
    frozen_ms = call.journal.of("stream.frozen")[0]["stream_ms"]
    assert all(each <= frozen_ms for each in written_ms)
    assert call.stream.spoken.start_ms + len(call.stream.spoken.track) / 8 > frozen_ms + 60  # the person went on


async def test_a_number_that_is_not_held_cannot_be_rung(carrier: Carrier) -> None:
    with pytest.raises(NoSuchLine, match="does not have"):
        await carrier.ring("+13175550111", PERSON)
    carrier.number(NUMBER).configure({"voice_url": ""})
    with pytest.raises(NoSuchLine, match="no voice URL"):
        await carrier.ring(NUMBER, PERSON)


async def test_a_person_of_the_tests_own_is_on_the_line(customer: Customer) -> None:
    class Presser(Caller):
        def _run_steps(self) -> Iterator[None]:
            yield
            yield from self._press("7")
            yield from self._act("hang_up")

    customer.answer("/voice", customer.connect())
    call = await simulate_call(
        f"{customer.url}/voice",
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        to=NUMBER,
        from_=PERSON,
        caller=Presser(),
    )
    assert (await call.journal.find("caller.pressed"))["digit"] == "7"
    assert call.released is not None
    await call.released
    assert call.hung_up_by == "caller"


async def test_one_call_without_a_carrier(customer: Customer) -> None:
    customer.answer("/voice", customer.connect())
    call = await simulate_call(
        f"{customer.url}/voice",
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        to=NUMBER,
        from_=PERSON,
        steps=[say(SPEECH)],
        status_callback=f"{customer.url}/status",
    )
    events = [event["event"] async for event in call.events()]
    assert events[0] == "call.started"
    assert events[-1] == "ended"
    assert {"webhook.sent", "twiml.verb", "stream.started", "caller.said", "stream.ended"} <= set(events)
    assert customer.fields("/status")["CallStatus"] == "completed"
    assert call.released is not None
    await call.released
