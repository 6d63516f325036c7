"""What an agent says to whom it knows: the contact's variables in its greeting and prompt, with a short wait for who is looked up."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from tests.contract.conftest import ACCOUNT, Edge
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.contract.test_crm import ADA, LOOKUP, connect
from tests.contract.test_live_stream import Media, answered
from tests.contract.test_outbound import CALLEE, CALLS, NUMBER, placed
from tests.control.conftest import UNLIMITED
from tests.control.crm.conftest import Crm, answers, serving

GREETING = "Hello {{contact.first_name|there}}, this is {{org.name}}."
PROMPT = 'You speak with {{contact.name}}. Answer {"like": {"this": 1}}.'
VOUCHED = {"StirVerstat": "TN-Validation-Passed-A"}


@pytest.fixture
def limits() -> dict[str, Any]:
    return {**UNLIMITED, "egress_allow": "127.0.0.0/8", "crm_inform_retry_seconds": 0.01}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look-ups are awaited however busy the machine is."""
    monkeypatch.setattr("control.calls.contextupdates.FIRST_WORD_SECONDS", 60)


def greeting(media: Media) -> str | None:
    return next((clip.text for clip in media.session.clips if clip.kind == "greeting"), None)


def held_back(one: Crm) -> asyncio.Event:
    """The CRM knows Ada, and answers when this is set."""
    may_answer, known = asyncio.Event(), answers(ADA)

    async def slow(request: web.Request) -> web.StreamResponse:
        await may_answer.wait()
        return await known(request)

    one.paths[LOOKUP] = slow
    return may_answer


async def test_who_is_in_the_address_book_is_greeted_by_name(edge: Edge, patient: None) -> None:
    http = await flow_with_number(edge, greeting=GREETING, system_prompt=PROMPT)
    await http.post("/api/contacts", json={"phone_e164": CALL["From"], "name": "Ada Lovelace"})
    media = await answered(edge, form=CALL | VOUCHED)
    assert greeting(media) == "Hello Ada, this is Clinic."
    assert media.session.instructions.startswith('You speak with Ada Lovelace. Answer {"like": {"this": 1}}.')


@pytest.mark.parametrize("form", [{"StirVerstat": "TN-Validation-Failed-C"}, VOUCHED | {"From": "+13175550188"}])
async def test_whom_nobody_vouches_for_and_strangers_are_greeted_plainly(
    edge: Edge, patient: None, form: dict[str, str]
) -> None:
    http = await flow_with_number(edge, greeting=GREETING, system_prompt=PROMPT)
    await http.post("/api/contacts", json={"phone_e164": CALL["From"], "name": "Ada Lovelace"})
    media = await answered(edge, form=CALL | form)
    assert greeting(media) == "Hello there, this is Clinic."
    assert "You speak with (not known)." in media.session.instructions and "Ada" not in media.session.instructions


async def test_the_name_that_a_carrier_knows_is_not_said(edge: Edge, patient: None) -> None:
    """It is a company's, or begins with the last name."""
    await flow_with_number(edge, greeting=GREETING)
    media = await answered(edge, form=CALL | VOUCHED | {"CallerName": "LOVELACE ADA"})
    assert greeting(media) == "Hello there, this is Clinic."
    assert "- name: LOVELACE ADA" in media.session.caller_context


@pytest.mark.parametrize("words", [
    {"greeting": GREETING}, {"greeting": ""}, {"greeting": "Hi", "system_prompt": PROMPT},
])  # fmt: skip
async def test_an_answer_in_time_is_known_before_the_first_word(
    edge: Edge, patient: None, words: dict[str, str]
) -> None:
    http = await flow_with_number(edge, **words)
    async with serving() as one:
        may_answer = held_back(one)
        await connect(http, one)
        ringing = asyncio.create_task(answered(edge, form=CALL | VOUCHED))
        await one.came.wait()
        await asyncio.sleep(0.05)
        assert not ringing.done(), "it rings while the CRM is asked"
        may_answer.set()
        media = await ringing
        assert "- name: Ada Lovelace" in media.session.instructions
        assert greeting(media) in {"Hello Ada, this is Clinic.", "Hi", None}
        assert ("You speak with Ada Lovelace." in media.session.instructions) == ("system_prompt" in words)


async def test_a_late_answer_costs_the_caller_nothing_more(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.calls.contextupdates.FIRST_WORD_SECONDS", 0.05)  # meant to run out
    http = await flow_with_number(edge, greeting=GREETING)
    async with serving() as one:
        may_answer = held_back(one)
        await connect(http, one, timeout_ms=30_000)
        media = await answered(edge, form=CALL | VOUCHED)
        assert greeting(media) == "Hello there, this is Clinic."
        may_answer.set()
        command = await media.command()
        media.answer(command, "done")
        assert "- name: Ada Lovelace" in command.caller.text


async def test_who_is_called_is_looked_up_while_it_rings(edge: Edge, patient: None) -> None:
    http = await edge.client()
    flow = (await http.post("/api/flows", json={"name": "F", "kind": "outbound", "greeting": GREETING})).json()["id"]
    assert (await http.post("/api/numbers", json={"e164": NUMBER})).status_code == 201
    async with serving() as one:
        one.paths[LOOKUP] = answers(ADA)
        await connect(http, one)
        await http.post(CALLS, json={"flow_id": flow, "to": CALLEE})
        attempt = await placed(edge)
        form = {"CallSid": "CA1", "AccountSid": ACCOUNT, "From": NUMBER, "To": CALLEE, "CallStatus": "ringing"}
        await post(edge, f"/twilio/voice/status/{attempt}", form)
        await one.came.wait()
        media = await answered(edge, f"/twilio/voice/placed/{attempt}", form | {"CallStatus": "in-progress"})
        assert greeting(media) == "Hello Ada, this is Clinic."
        assert len(one.bodies(LOOKUP)) == 1, "and not again when it is answered"


async def test_a_greeting_that_no_stranger_could_be_told_is_refused(edge: Edge) -> None:
    http = await edge.client()
    refused = await http.post("/api/flows", json={"name": "F", "greeting": "Hi {{contact.first_name}}"})
    (detail,) = refused.json()["error"]["details"]
    assert refused.status_code == 400 and detail == {
        "field": "greeting",
        "reason": "needs a default for who is not known, which may be empty: {{contact.first_name|there}}",
    }
