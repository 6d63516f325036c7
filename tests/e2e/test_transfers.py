"""Transfers through the whole platform, with a carrier that rings and people, machines and nobody at the other end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import Call, Person, farend, say
from tests.e2e.conftest import NUMBER, House
from tests.e2e.test_inbound_call import LISTEN
from tests.e2e.test_tools import sse
from tests.support.waits import patience

DESK, ADA = "+13175550142", "+13175550143"
MAP = {"front desk": DESK, "Dr Ada": {"to": ADA, "accept_key": True, "timeout_seconds": 5}}
ON = "I put you through."
BACK = "I am sorry, nobody is there."


def ask(target: str) -> dict[str, Any]:
    arguments = {"target": target, "summary": "Wants to move an appointment."}
    return {"say": ON, "call": {"name": "transfer_to_number", "arguments": arguments}}


def script_of(target: str, *more: dict[str, Any]) -> Script:
    heard = ["Please put me through"] * 3
    return Script.of({"shared": True, "heard": heard, "turns": [ask(target), *more], "otherwise": "Hm."})


@pytest.fixture
def script() -> Script:
    return script_of("Dr Ada", {"say": BACK})


@pytest.fixture
async def words(speech: Speech) -> bytes:
    return await speech.say("Please put me through.", "caller")


Ring = Callable[..., Awaitable[Call]]


@pytest.fixture
def ring(house: House, words: bytes) -> Ring:
    """A caller who asks to be put through; then whoever answers there."""

    async def rung(*people: Person, then: tuple[dict[str, Any], ...] = (), stay: bool = True, **flow: Any) -> Call:
        fields = {"greeting": "Welcome.", "transfer_map_json": MAP, "whisper_text": "From the clinic."}
        await house.answer_with(**(fields | flow))
        await house.clips_rendered()
        for number in (DESK, ADA):
            house.carrier.set_people(number, *people)
        return await house.ring(LISTEN, say(words), *then, stay=stay)

    return rung


async def child_of(house: House, number: str) -> Call:
    """The call to whoever is rung."""
    async with patience():
        while not (found := house.carrier.calls_to(number)):
            await asyncio.sleep(0.02)
    return found[-1]


async def until(house: House, is_true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The call's record, once this is true of it."""
    async with patience():
        while True:
            for call in (await house.http.get("/api/calls")).json()["calls"]:
                found: dict[str, Any] = (await house.http.get(f"/api/calls/{call['id']}")).json()
                if is_true(found):
                    return found
            await asyncio.sleep(0.05)


async def transferred(house: House, state: str) -> dict[str, Any]:
    """The last transfer, once it is in this state."""
    record = await until(house, lambda found: bool(found["transfers"]) and found["transfers"][-1]["state"] == state)
    row: dict[str, Any] = record["transfers"][-1]
    return row


async def spoken(house: House, text: str) -> dict[str, Any]:
    """The call's record, once its agent has said this."""
    return await until(
        house, lambda found: ("agent", text) in [(each["role"], each["text"]) for each in found["transcript"]]
    )


@pytest.mark.calls
async def test_a_person_takes_the_call_by_key_and_the_two_talk(house: House, ring: Ring) -> None:
    call = await ring(farend.presses("1", after_ms=300, ring_ms=300))
    await call.journal.find("bridged")
    child = await child_of(house, ADA)
    assert child.from_ == NUMBER, "the person sees the organization's number"
    await transferred(house, "connected")
    child.hang_up("caller")
    await call.ended()
    record = await house.record()
    assert (record["status"], record["end_reason"]) == ("completed", "transferred")
    (row,) = record["transfers"]
    assert (row["label"], row["to"], row["state"], row["asked_by"]) == ("Dr Ada", ADA, "completed", "agent")
    assert row["started_at"] <= row["answered_at"] <= row["connected_at"] <= row["ended_at"]
    assert row["talked_seconds"] is not None

    # What everybody heard: the agent's last words before the ringing; the whisper, which the caller doesn't hear.
    assert [each["text"] for each in record["transcript"] if each["role"] == "agent"][-1] == ON
    assert [verb.name for verb in call.verbs] == ["Connect", "Dial", "Hangup"]
    whispered = child.sentences[0]
    assert whispered.startswith("From the clinic. You have a transferred call from ")
    assert "Wants to move an appointment. Press 1 to take the call." in whispered
    assert call.sentences == []
    heard = [each["what"] for each in call.truth.heard()]
    assert heard[: heard.index("bridge")][-1] == "ringing", "it rings through the whisper"

    # And what was told: tools in pairs, the transfer's own events before the end.
    names = [name for name, _ in await sse(house, record["id"])]
    order = ["tool.started", "tool.finished", "transfer.started", "transfer.connected", "transfer.ended", "call.ended"]
    assert [name for name in names if name in order] == order
    (activity,) = record["tool_activity"]
    assert (activity["name"], activity["status"], activity["result"]) == (
        "transfer_to_number",
        "ok",
        {"transferring_to": "Dr Ada"},
    )
    assert call.errors == [] and child.errors == []


UNTAKEN = [
    (farend.busy(), "busy"),
    (farend.no_answer(), "no_answer"),
    (farend.fails(), "failed"),
    (farend.machine("Leave a message.", ring_ms=200, quiet_ms=1_000), "not_accepted"),
    (farend.presses("2", after_ms=200, ring_ms=200), "not_accepted"),
    (farend.hangs_up(after_ms=200, ring_ms=200), "not_accepted"),
    (farend.fax(ring_ms=200), "not_accepted"),
]


@pytest.mark.calls
class TestUntaken:
    @pytest.mark.parametrize(("person", "state"), UNTAKEN, ids=lambda each: each if isinstance(each, str) else "")
    async def test_nobody_takes_it_and_the_agent_says_so(
        self, house: House, ring: Ring, person: Person, state: str
    ) -> None:
        call = await ring(person)
        row = await transferred(house, state)
        record = await spoken(house, BACK)
        assert row["ended_at"] and row["connected_at"] is None
        assert [verb.name for verb in call.verbs] == ["Connect", "Dial", "Connect"]
        roles = [(each["role"], each["text"]) for each in record["transcript"]]
        system = next(place for place, (role, _) in enumerate(roles) if role == "system")
        assert "The transfer to Dr Ada did not come about" in roles[system][1]
        assert roles[system - 1] == ("agent", ON) and roles[system + 1] == ("agent", BACK)
        assert sum(text == "Welcome." for _, text in roles) == 1, "nobody is greeted twice"
        assert call.sentences == [] and not call.is_over, "and never cut"
        call.hang_up()
        await call.ended()
        assert (await house.record())["end_reason"] == "caller"


@pytest.mark.calls
async def test_the_model_is_told_what_happened(house: House, ring: Ring) -> None:
    call = await ring(farend.busy())
    await spoken(house, BACK)
    _, second = house.model.sessions
    told = [each["item"] for each in second.received("conversation.item.create")]
    notes = [item["content"][0]["text"] for item in told if item["role"] == "system"]
    assert "did not come about: the line is busy" in notes[0] and "Do not greet again" in notes[-1]
    call.hang_up()
    await call.ended()


@pytest.mark.calls
async def test_the_caller_hangs_up_while_it_rings(house: House, ring: Ring) -> None:
    call = await ring(farend.human(ring_ms=60_000), transfer_map_json={"Dr Ada": {"to": ADA, "timeout_seconds": 60}})
    await transferred(house, "ringing")
    child = await child_of(house, ADA)
    call.hang_up()
    await call.ended()
    await child.ended()
    record = await house.record()
    assert (record["status"], record["end_reason"], child.status) == ("completed", "caller", "canceled")
    (row,) = record["transfers"]
    assert (row["state"], row["answered_at"]) == ("canceled", None)


@pytest.mark.calls
async def test_the_caller_hangs_up_while_they_talk(house: House, ring: Ring) -> None:
    call = await ring(farend.human(ring_ms=200), transfer_map_json={"Dr Ada": ADA})
    await call.journal.find("bridged")
    await transferred(house, "connected")
    call.hang_up()
    await call.ended()
    record = await house.record()
    assert (record["status"], record["end_reason"]) == ("completed", "transferred")
    (row,) = record["transfers"]
    assert row["state"] == "completed"


@pytest.mark.calls
async def test_a_caller_who_speaks_does_not_undo_a_transfer(house: House, ring: Ring, words: bytes) -> None:
    """What the tool arranged is on its way: nothing that the caller says over the last words takes it back."""
    over = {"do": "wait_for_agent_to_talk", "for_ms": 200, "timeout_ms": 60_000}
    call = await ring(farend.presses("1", after_ms=200, ring_ms=200), then=(over, say(words), say(words)))
    await call.journal.find("bridged")
    call.hang_up()
    await call.ended()
    assert (await house.record())["end_reason"] == "transferred"


@pytest.mark.calls
async def test_a_person_takes_a_call_over_from_the_agent(house: House, ring: Ring) -> None:
    await house.answer_with(greeting="Welcome.")
    await house.clips_rendered()
    house.carrier.set_people(DESK, farend.human(ring_ms=200))
    call = await house.ring(stay=True)
    found = await house.call_that_is("in_progress")
    answer = await house.http.post(f"/api/calls/{found['id']}/take-over", json={"to": DESK})
    assert answer.status_code == 200, answer.text
    await call.journal.find("bridged")
    child = await child_of(house, DESK)
    assert child.sentences == [], "whoever takes a call over knows why it rings"
    child.hang_up("caller")
    await call.ended()
    record = await house.record()
    assert record["end_reason"] == "transferred"
    (row,) = record["transfers"]
    assert row["asked_by"].startswith("key:") and row["label"] is None


@pytest.mark.calls
async def test_a_call_that_rings_somewhere_is_taken_over(house: House, ring: Ring) -> None:
    call = await ring(farend.human(ring_ms=60_000), transfer_map_json={"Dr Ada": {"to": ADA, "timeout_seconds": 60}})
    await transferred(house, "ringing")
    first = await child_of(house, ADA)
    house.carrier.set_people(DESK, farend.human(ring_ms=200))
    found = await house.call_that_is("in_progress")
    assert (await house.http.post(f"/api/calls/{found['id']}/take-over", json={"to": DESK})).status_code == 200
    await call.journal.find("bridged")
    await first.ended()
    (await child_of(house, DESK)).hang_up("caller")
    await call.ended()
    record = await house.record()
    assert record["end_reason"] == "transferred"
    assert [each["state"] for each in record["transfers"]] == ["canceled", "completed"]
    assert first.status == "canceled"
