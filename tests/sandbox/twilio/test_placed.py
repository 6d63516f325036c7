"""Calls that the customer places, in virtual time: who answers, what machine detection says and when, pace, faults."""

from typing import Any

import pytest

from sandbox.twilio import Amd, Call, Fault, farend
from sandbox.twilio.call import Callback, Fetch
from sandbox.twilio.placed import CallRequest
from tests.sandbox.twilio.virtual import NUMBER, PERSON, Desk, House, virtually

LISTEN = "<Response><Pause length='40'/></Response>"
EVERYTHING = frozenset({"initiated", "ringing", "answered", "completed"})


def order(**more: Any) -> CallRequest:
    progress = Callback("http://h/progress", events=EVERYTHING)
    return CallRequest(PERSON, NUMBER, Fetch("http://h/out"), progress, **more)


def placed(desk: Desk, person: farend.Person, *faults: Fault, **more: Any) -> Call:
    """Place one call to this person, until it is over."""
    calls: list[Call] = []

    async def main() -> None:
        house = House(desk)
        house.set_people(PERSON, person)
        house.faults.add(*faults)
        calls.append(house.place(order(**more)))
        await calls[0].ended(3600)
        await house.close()

    virtually(main)
    return calls[0]


def statuses(desk: Desk) -> list[str]:
    return [each["CallStatus"] for each in desk.all("progress")]


@pytest.mark.parametrize(
    ("person", "told", "sip"),
    [
        (farend.hangs_up(), ["initiated", "ringing", "in-progress", "completed"], "200"),
        (farend.busy(), ["initiated", "busy"], "486"),
        (farend.declines(), ["initiated", "ringing", "busy"], "486"),
        (farend.no_answer(), ["initiated", "ringing", "no-answer"], "487"),
        (farend.fails(), ["initiated", "failed"], "404"),
    ],
)
def test_every_fate_is_told_in_order(person: farend.Person, told: list[str], sip: str) -> None:
    desk = Desk(out=LISTEN)
    call = placed(desk, person)
    assert statuses(desk) == told
    assert [each["SequenceNumber"] for each in desk.all("progress")] == [str(each) for each in range(len(told))]
    assert desk.all("progress")[-1]["SipResponseCode"] == sip
    assert (call.status, bool(desk.all("out"))) == (told[-1], "in-progress" in told)


def test_it_rings_five_seconds_longer_than_asked() -> None:
    desk = Desk(out=LISTEN)
    placed(desk, farend.no_answer(), timeout_s=20)
    assert desk.asked[-1][0] == pytest.approx(25, abs=0.1)


@pytest.mark.parametrize(
    ("kind", "enable", "at_the_end"),
    [
        ("human", "human", "human"),
        ("silent", "unknown", "unknown"),
        ("machine", "machine_start", "machine_end_beep"),
        ("machine_short_greeting", "machine_start", "machine_end_beep"),
        ("machine_two_beeps", "machine_start", "machine_end_beep"),
        ("machine_odd_beep", "machine_start", "machine_end_other"),
        ("machine_without_beep", "machine_start", "machine_end_silence"),
        ("machine_full", "machine_start", "machine_end_other"),
        ("fax", "fax", "fax"),
        ("fax_that_calls", "fax", "fax"),
        ("screening", "machine_start", "machine_end_silence"),
    ],
)
def test_machine_detection_tells_who_answered(kind: str, enable: str, at_the_end: str) -> None:
    for amd, expected in ((Amd(), enable), (Amd(until_end=True), at_the_end)):
        desk = Desk(out=LISTEN)
        call = placed(desk, farend.KINDS[kind](), amd=amd, amd_callback=Callback("http://h/amd"))
        assert (desk.fields("amd")["AnsweredBy"], call.answered_by) == (expected, expected)
        assert desk.at("out") < desk.at("amd"), "an asynchronous verdict keeps nobody waiting"


def test_a_human_is_known_when_their_hello_is_over_and_a_machine_when_it_goes_on() -> None:
    verdicts = {}
    for name, person in (("human", farend.human("Hello?")), ("machine", farend.machine())):
        desk = Desk(out=LISTEN)
        placed(desk, person, amd=Amd(), amd_callback=Callback("http://h/amd"))
        verdicts[name] = int(desk.fields("amd")["MachineDetectionDuration"])
        assert desk.at("amd") - desk.at("out") == pytest.approx(verdicts[name] / 1000, abs=0.1)
    assert verdicts["human"] == pytest.approx(500 + 360 + 1_200, abs=60)
    assert verdicts["machine"] == pytest.approx(300 + 2_400, abs=60)


def test_the_beep_is_reported_when_it_is_over() -> None:
    desk = Desk(out=LISTEN)
    call = placed(desk, farend.machine(), amd=Amd(until_end=True), amd_callback=Callback("http://h/amd"))
    greeting_ms = 300 + 60 * len(farend.LONG_GREETING) + 500
    assert int(desk.fields("amd")["MachineDetectionDuration"]) == pytest.approx(greeting_ms + 450, abs=80)
    (begin,) = (each for each in call.journal.of("machine.recording") if each["phase"] == "begin")
    assert begin["at_monotonic"] >= call.journal.of("amd")[0]["at_monotonic"]


def test_without_async_the_call_waits_for_the_verdict() -> None:
    desk = Desk(out=LISTEN)
    placed(desk, farend.machine(), amd=Amd())
    assert desk.fields("out")["AnsweredBy"] == "machine_start"
    answered = next(at for at, path, fields in desk.asked if fields.get("CallStatus") == "in-progress")
    assert desk.at("out") - answered == pytest.approx(2.7, abs=0.1)


def test_who_hangs_up_before_the_verdict_is_unknown() -> None:
    desk = Desk(out=LISTEN)
    quick = farend.Person(steps=[{"do": "say", "text": "No"}])
    placed(desk, quick, amd=Amd(), amd_callback=Callback("http://h/amd"))
    assert desk.fields("amd")["AnsweredBy"] == "unknown"


def test_a_machine_records_what_is_said_after_its_beep() -> None:
    desk = Desk(
        out="<Response><Pause length='15'/><Say>This is the clinic. Call us back.</Say><Pause length='9'/></Response>"
    )
    call = placed(desk, farend.machine())
    (end,) = (each for each in call.journal.of("machine.recording") if each["phase"] == "end")
    assert end["audible_ms"] == pytest.approx(60 * len("This is the clinic. Call us back."), abs=100)


@pytest.mark.parametrize(("kind", "said"), [("screening", 2), ("screening_refuses", 2)])
def test_a_screening_phone_listens_and_then_decides(kind: str, said: int) -> None:
    answer = "<Response><Pause length='6'/><Say>Dana from the clinic</Say><Pause length='9'/></Response>"
    call = placed(Desk(out=answer), farend.KINDS[kind]())
    spoken = [each for each in call.journal.of("caller.said") if each["phase"] == "begin"]
    assert (len(spoken), call.hung_up_by) == (said, "agent" if kind == "screening" else "caller")


@pytest.mark.parametrize(("digits", "spoken"), [("w1", 2), ("2", 1)])
def test_a_menu_knows_the_keys_that_it_hears(digits: str, spoken: int) -> None:
    out = f'<Response><Pause length="5"/><Play digits="{digits}"/><Pause length="20"/></Response>'
    call = placed(Desk(out=out), farend.menu("1"))
    assert [each["key"] for each in call.journal.of("caller.heard_key")] == [digits[-1]]
    assert len([each for each in call.journal.of("caller.said") if each["phase"] == "begin"]) == spoken
    assert call.hung_up_by == ("agent" if spoken == 2 else "caller")


def test_a_screening_phone_that_hears_nothing_hangs_up() -> None:
    call = placed(Desk(out=LISTEN), farend.screening(patience_ms=4_000))
    assert (call.hung_up_by, call.duration_s < 15) == ("caller", True)


def test_calls_beyond_the_pace_wait_in_the_queue_and_can_be_canceled_there() -> None:
    desk = Desk(out=LISTEN)
    calls: list[Call] = []

    async def main() -> None:
        house = House(desk, calls_per_second=1)
        house.set_people(PERSON, farend.busy())
        calls.extend(house.place(order()) for _ in range(3))
        calls[1].hang_up("rest")
        for each in calls:
            await each.ended()
        await house.close()

    virtually(main)
    assert [each.status for each in calls] == ["busy", "canceled", "busy"]
    began = [at for at, _, fields in desk.asked if fields["CallStatus"] == "initiated"]
    assert began == [pytest.approx(0, abs=0.01), pytest.approx(2, abs=0.01)]


def test_each_attempt_meets_the_next_person() -> None:
    made: list[Call] = []

    async def main() -> None:
        house = House(Desk(out=LISTEN))
        house.set_people(PERSON, farend.busy(), farend.hangs_up())
        for _ in range(3):
            made.append(house.place(order()))
            await made[-1].ended()
        await house.close()

    virtually(main)
    assert [each.status for each in made] == ["busy", "completed", "completed"]


def test_a_star_is_who_answers_elsewhere() -> None:
    made: list[Call] = []

    async def main() -> None:
        house = House(Desk(out=LISTEN))
        house.set_people("*", farend.busy())
        made.append(house.place(order()))
        await made[0].ended()
        await house.close()

    virtually(main)
    assert made[0].status == "busy"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("callback", "never", event="ringing"), ["initiated", "in-progress", "completed"]),
        (
            Fault("callback", "twice", event="completed"),
            ["initiated", "ringing", "in-progress", "completed", "completed"],
        ),
        (Fault("callback", "late", event="ringing", ms=60_000), ["initiated", "in-progress", "completed", "ringing"]),
        (Fault("callback", "never", to="+13175550111"), ["initiated", "ringing", "in-progress", "completed"]),
        (Fault("callback", "never", times=4), []),
    ],
)
def test_callbacks_go_wrong_as_asked(fault: Fault, told: list[str]) -> None:
    desk = Desk(out=LISTEN)

    async def main() -> None:
        house = House(desk)
        house.set_people(PERSON, farend.hangs_up())
        house.faults.add(fault)
        call = house.place(order())
        await call.ended()
        await house.settled()
        await house.close()

    virtually(main)
    assert statuses(desk) == told
    if fault.do == "twice":
        assert desk.all("progress")[-1] == desk.all("progress")[-2]
