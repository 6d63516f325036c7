"""Calls that nobody ends: the caller hears why, to its last word, in the flow's language."""

import json
from typing import Any

import pytest

from tests.e2e.conftest import House

#: No flow may be so short, and no test so long.
SHORTER = "UPDATE flow_versions SET definition = (definition::jsonb || $1::jsonb)::json"


async def agent_said(house: House) -> tuple[dict[str, Any], list[str]]:
    record = await house.record()
    return record, [turn["heard_text"] for turn in record["transcript"] if turn["role"] == "agent"]


@pytest.mark.calls
async def test_a_silent_caller_is_asked_and_hears_the_goodbye(house: House) -> None:
    await house.answer_with(
        greeting="Hallo.", language="de-DE", idle_prompts_json={"1": "Sind Sie noch da?"}, idle_end_seconds=5
    )
    await house.clips_rendered()
    call = await house.ring(stay=True)
    await call.ended()
    record, said = await agent_said(house)
    assert (record["status"], record["end_reason"], call.hung_up_by) == ("completed", "idle", "agent")
    assert said == ["Hallo.", "Sind Sie noch da?", "Vielen Dank für Ihren Anruf. Auf Wiederhören."]
    assert not any(turn["interrupted"] for turn in record["transcript"]), "the goodbye was heard to its end"


@pytest.mark.calls
async def test_the_longest_call_is_announced_and_ends_with_a_goodbye(house: House) -> None:
    await house.answer_with(greeting="Bonjour.", language="fr", goodbye_message="Merci, à bientôt.")
    await house.clips_rendered()
    async with house.control.db.system() as tx:
        await tx.execute(SHORTER, json.dumps({"max_call_seconds": 8, "limit_warning_seconds": 4}))
    call = await house.ring(stay=True)
    await call.ended()
    record, said = await agent_said(house)
    assert (record["status"], record["end_reason"]) == ("completed", "max_duration")
    assert said == [
        "Bonjour.",
        "Il nous reste très peu de temps : cet appel va bientôt se terminer.",
        "Merci, à bientôt.",
    ]
    assert not any(turn["interrupted"] for turn in record["transcript"])


@pytest.mark.calls
async def test_keys_reach_the_model_and_the_record(house: House) -> None:
    await house.answer_with(greeting="Hello.")
    await house.clips_rendered()
    call = await house.ring(
        {"do": "wait_for_agent_to_finish", "quiet_ms": 400, "timeout_ms": 60_000},
        {"do": "press", "digits": "4711#"},
        {"do": "wait_for_agent_to_finish", "quiet_ms": 600, "timeout_ms": 60_000},
    )
    await call.ended()
    record = await house.record()
    assert [entry["keys"] for entry in record["keypad_entries"]] == ["4711#"]
    (session,) = house.model.sessions
    told = [each["item"]["content"][0]["text"] for each in session.received("conversation.item.create")]
    assert "Caller entered 4711 on the keypad" in told
