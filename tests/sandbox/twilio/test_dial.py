"""<Dial> in virtual time: ringing, whisper, bridge, and how it ends."""

from typing import Any

import pytest

from sandbox.audio import BYTES_PER_MS, is_audible
from sandbox.twilio import Call, farend, tones
from sandbox.twilio.call import Document
from tests.sandbox.twilio.virtual import DESK, NUMBER, PERSON, Desk, House, virtually

HANGUP = "<Response><Hangup/></Response>"
ACCEPT = (
    '<Response><Gather numDigits="1" action="/accepted" timeout="4"><Say>A caller</Say></Gather><Hangup/></Response>'
)


def dial(attributes: str = "", number: str = "", to: str = DESK, rest: str = "") -> str:
    noun = f"<Number {number}>{to}</Number>"
    return f'<Response><Dial action="/dialled" {attributes}>{noun}</Dial>{rest}</Response>'


def called(
    desk: Desk, steps: list[dict[str, Any]] | None = None, *people: farend.Person, **more: Any
) -> tuple[Call, House]:
    """A caller rings us, and the desk's TwiML dials DESK; until the call is over."""
    made: list[Any] = []

    async def main() -> None:
        house = House(desk)
        house.set_people(DESK, *people)
        call = await house.ring(NUMBER, PERSON, steps or [], stay=steps is None, **more)
        made.extend((call, house))
        await call.ended(3600)
        await house.close()

    virtually(main)
    return made[0], made[1]


def child_of(house: House) -> Call:
    return next(each for each in house.calls.values() if each.parent_sid)


def heard(call: Call) -> list[str]:
    return [each["what"] for each in call.truth.heard()]


def test_two_parties_hear_each_other_and_the_action_hears_how_it_went() -> None:
    desk = Desk(voice=dial(), dialled=HANGUP)
    speech: list[dict[str, Any]] = [{"do": "wait", "ms": 3_000}, {"do": "say", "text": "Is anybody there?"}]
    answerer = farend.human("Front desk.", ring_ms=2_000, then=[{"do": "wait", "ms": 3_000}, {"do": "hang_up"}])
    call, house = called(desk, [*speech, {"do": "wait", "ms": 60_000}], answerer)
    outcome, child = desk.fields("dialled"), child_of(house)
    assert (outcome["DialCallStatus"], outcome["DialBridged"]) == ("completed", "true")
    assert outcome["DialCallSid"] == child.sid
    assert outcome["DialCallDuration"] == str(child.duration_s) == "5"
    assert is_audible(call.heard_audio.of("bridge")) and is_audible(child.heard_audio.of("bridge"))
    assert heard(call) == ["ringing", "ringing", "silence", "bridge", "silence"]
    assert (child.direction, child.parent_sid, child.hung_up_by) == ("outbound-dial", call.sid, "caller")


def test_the_caller_hears_the_ringback_that_was_asked_for() -> None:
    desk = Desk(voice=dial('ringTone="uk"'), dialled=HANGUP)
    call, _ = called(desk, None, farend.declines())
    ringing = next(each for each in call.heard_audio.spans if each.what == "ringing" and each.audio)
    assert bytes(ringing.audio[: 400 * BYTES_PER_MS]) == tones.ringback("uk")[: 400 * BYTES_PER_MS]


@pytest.mark.parametrize(
    ("person", "status"),
    [
        (farend.busy(), "busy"),
        (farend.declines(), "busy"),
        (farend.no_answer(), "no-answer"),
        (farend.human(ring_ms=9_000), "no-answer"),
        (farend.fails(), "failed"),
    ],
)
def test_nobody_answers_and_the_caller_is_not_cut(person: farend.Person, status: str) -> None:
    desk = Desk(voice=dial('timeout="5"'), dialled="<Response><Say>Sorry</Say></Response>")
    call, house = called(desk, None, person)
    outcome = desk.fields("dialled")
    assert (outcome["DialCallStatus"], outcome["DialBridged"], outcome["DialCallDuration"]) == (status, "false", "0")
    assert (call.sentences, call.status, child_of(house).status) == (["Sorry"], "completed", status)


def test_it_rings_as_long_as_the_timeout_says() -> None:
    desk = Desk(voice=dial('timeout="7"'), dialled=HANGUP)
    called(desk, None, farend.no_answer())
    assert desk.at("dialled") == pytest.approx(7, abs=0.1)


def test_a_caller_who_hangs_up_cancels_the_ringing_phone() -> None:
    desk = Desk(voice=dial(number='statusCallback="/leg" statusCallbackEvent="initiated ringing answered completed"'))
    call, house = called(desk, [{"do": "wait", "ms": 2_000}, {"do": "hang_up"}], farend.no_answer())
    assert (child_of(house).status, desk.fields("dialled")["DialCallStatus"]) == ("canceled", "canceled")
    assert [each["CallStatus"] for each in desk.all("leg")] == ["initiated", "ringing", "canceled"]
    assert [each["SequenceNumber"] for each in desk.all("leg")] == ["0", "1", "2"]
    assert {each["ParentCallSid"] for each in desk.all("leg")} == {call.sid}


def test_a_key_accepts_the_whisper() -> None:
    desk = Desk(voice=dial(number='url="/whisper"'), whisper=ACCEPT, accepted="<Response/>", dialled=HANGUP)
    call, house = called(desk, [{"do": "wait", "ms": 9_000}, {"do": "hang_up"}], farend.presses("1"))
    assert desk.fields("accepted")["Digits"] == "1"
    assert desk.fields("accepted")["CallSid"] == child_of(house).sid
    assert desk.fields("dialled")["DialBridged"] == "true"
    assert "A caller" not in call.sentences


def test_a_mailbox_never_accepts_the_whisper() -> None:
    desk = Desk(voice=dial(number='url="/whisper"'), whisper=ACCEPT, dialled="<Response><Say>Back</Say></Response>")
    call, house = called(desk, None, farend.machine())
    outcome = desk.fields("dialled")
    assert (outcome["DialCallStatus"], outcome["DialBridged"], call.sentences) == ("completed", "false", ["Back"])
    assert (child_of(house).status, child_of(house).hung_up_by) == ("completed", "agent")


@pytest.mark.parametrize(("on_bridge", "during_whisper"), [("true", "ringing"), ("false", "silence")])
def test_what_the_caller_hears_during_the_whisper(on_bridge: str, during_whisper: str) -> None:
    whisper = "<Response><Pause length='2'/></Response>"
    desk = Desk(voice=dial(f'answerOnBridge="{on_bridge}"', 'url="/whisper"'), whisper=whisper, dialled=HANGUP)
    call, _ = called(desk, [{"do": "wait", "ms": 5_000}, {"do": "hang_up"}], farend.silent(ring_ms=1_000))
    spans = [(each["what"], each["from_ms"], each["to_ms"]) for each in call.truth.heard()]
    assert any(what == during_whisper and start <= 2_000 < (end or 1e9) for what, start, end in spans)
    bridged = call.journal.of("bridged")[0]["at_monotonic"]
    assert bridged == pytest.approx(3, abs=0.1)
    assert call.answered_at is not None
    answered_s = (call.answered_at - call.created_at).total_seconds()
    assert answered_s == pytest.approx(3 if on_bridge == "true" else 0, abs=0.1)


def test_star_gives_the_caller_back() -> None:
    desk = Desk(voice=dial('hangupOnStar="true"'), dialled="<Response><Say>Back</Say></Response>")
    steps: list[dict[str, Any]] = [
        {"do": "wait", "ms": 4_000},
        {"do": "press", "digits": "*"},
        {"do": "wait", "ms": 60_000},
    ]
    call, house = called(desk, steps, farend.human())
    assert (call.sentences, child_of(house).hung_up_by) == (["Back"], "other")
    assert desk.fields("dialled")["DialBridged"] == "true"


def test_the_time_limit_ends_the_conversation() -> None:
    desk = Desk(voice=dial('timeLimit="10"'), dialled=HANGUP)
    _, house = called(desk, None, farend.human(ring_ms=1_000))
    assert (desk.fields("dialled")["DialCallDuration"], child_of(house).hung_up_by) == ("10", "carrier")


def test_the_first_that_is_bridged_wins_and_the_others_stop_ringing() -> None:
    nouns = f'<Number url="/whisper">{DESK}</Number><Number>+13175550198</Number>'
    desk = Desk(voice=f'<Response><Dial action="/dialled">{nouns}</Dial></Response>', whisper=ACCEPT, dialled=HANGUP)
    _, house = called(desk, [{"do": "wait", "ms": 9_000}, {"do": "hang_up"}], farend.no_answer())
    statuses = {each.to: each.status for each in house.calls.values() if each.parent_sid}
    assert statuses == {DESK: "canceled", "+13175550198": "completed"}


@pytest.mark.parametrize(
    ("attributes", "to", "code"),
    [('callerId="+15005550000"', DESK, 13214), ("", "12", 13223), ("", "+882161234567", 13227)],
)
def test_what_cannot_be_dialled_fails_with_twilios_code(attributes: str, to: str, code: int) -> None:
    desk = Desk(voice=dial(attributes, to=to), dialled="<Response><Say>Sorry</Say></Response>")
    made: list[Call] = []

    async def main() -> None:
        house = House(desk)
        house.forbidden_prefixes = {"+882"}
        made.append(await house.ring(NUMBER, PERSON, stay=True))
        await made[0].ended()
        await house.close()

    virtually(main)
    assert ([each for each, _ in made[0].errors], made[0].sentences) == ([code], ["Sorry"])
    assert desk.fields("dialled")["DialCallStatus"] == "failed"


def test_rest_moves_the_caller_out_of_the_dial_and_the_other_is_hung_up() -> None:
    desk = Desk(voice=dial())
    made: list[Any] = []

    async def main() -> None:
        house = House(desk)
        house.set_people(DESK, farend.human())
        call = await house.ring(NUMBER, PERSON, stay=True)
        await call.journal.find("bridged")
        call.redirect(Document("<Response><Say>Moved</Say></Response>"))
        await call.ended()
        await child_of(house).ended()
        made.extend((call, child_of(house)))
        await house.close()

    virtually(main)
    call, child = made
    assert (call.sentences, child.status, child.hung_up_by) == (["Moved"], "completed", "other")
    assert "dialled" not in [path for _, path, _ in desk.asked]


def test_rest_moves_the_dialled_party_and_the_caller_goes_on() -> None:
    desk = Desk(voice=dial(), dialled="<Response><Say>Back</Say></Response>")
    made: list[Any] = []

    async def main() -> None:
        house = House(desk)
        house.set_people(DESK, farend.human())
        call = await house.ring(NUMBER, PERSON, stay=True)
        await call.journal.find("bridged")
        child_of(house).redirect(Document("<Response><Say>Elsewhere</Say></Response>"))
        await call.ended()
        await child_of(house).ended()
        made.extend((call, child_of(house)))
        await house.close()

    virtually(main)
    assert (made[0].sentences, made[1].sentences) == (["Back"], ["Elsewhere"])
