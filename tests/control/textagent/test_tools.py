"""What the agent of a conversation may do: each tool by itself, and within a turn."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control.clients.openai import ModelError
from control.textagent.tools import when
from hum.clock import now
from tests.control.textagent.conftest import Desk, call

SCHEMA = {"type": "object", "properties": {"booked": {"type": "boolean"}}, "required": ["booked"]}


def later(**ahead: float) -> str:
    """A time by the organization's clock, which is UTC."""
    return f"{now() + timedelta(**ahead):%Y-%m-%dT%H:%M}"


async def _outputs(desk: Desk) -> list[Any]:
    return [json.loads(each["output"]) for each in await desk.tools()]


async def test_a_person_gets_the_conversation_and_the_reason(desk: Desk) -> None:
    thread = await desk.hear("I want to speak to somebody")
    desk.model.answers = [[call("assign_to_human", reason="Wants a refund")], "Somebody will write to you."]
    await desk.take()
    assert await desk.sent() == ["Somebody will write to you."], "the text that says so is sent all the same"
    (event,) = await desk.rows("SELECT subject_id, data FROM events WHERE type = 'conversation.assigned'")
    data = json.loads(event["data"])
    assert (event["subject_id"], data["by"], data["reason"]) == (thread, "ai", "Wants a refund")
    (row,) = await desk.rows("SELECT ai_paused_reason, turn_due_at FROM conversations")
    assert tuple(row) == ("assigned", None)
    await desk.hear("Hello?")
    assert await desk.take() == []


async def test_a_conversation_is_closed_after_the_goodbye(desk: Desk) -> None:
    await desk.hear("Bye")
    desk.model.answers = [[call("close_conversation", reason="booked")], "Goodbye."]
    await desk.take()
    assert await desk.sent() == ["Goodbye."]
    ((status,),) = await desk.rows("SELECT status FROM conversations")
    (event,) = await desk.rows("SELECT data FROM events WHERE type = 'conversation.closed'")
    assert (status, json.loads(event["data"])["reason"]) == ("closed", "booked")


async def test_what_came_of_it_is_stored_by_the_flows_schema(desk: Desk) -> None:
    await desk.hear("Book me")
    assert "report_outcome" not in {tool["name"] for tool in (await _asked(desk)).tools}
    await desk.configure(outcome_schema_json=json.dumps(SCHEMA))
    await desk.hear("Book me!")
    desk.model.answers = [
        [call("report_outcome", booked="perhaps")],
        [call("report_outcome", booked=True)],
        "Booked.",
    ]
    await desk.take()
    wrong, right = await _outputs(desk)
    assert "not valid" in wrong["error"] and right == {"recorded": True}
    assert json.loads((await desk.run())["outcome"]) == {"booked": True}
    (event,) = await desk.rows("SELECT data FROM events WHERE type = 'conversation.outcome'")
    assert json.loads(event["data"])["outcome"] == {"booked": True}


async def test_who_says_nothing_has_not_answered(desk: Desk) -> None:
    await desk.configure(outcome_schema_json=json.dumps(SCHEMA))
    await desk.hear("Book me")
    desk.model.answers = [[call("report_outcome", booked=True)], "", [call("close_conversation", reason="done")], " "]
    with pytest.raises(ModelError):
        await desk.take()
    assert await desk.rows("SELECT FROM events WHERE type = 'conversation.outcome'") == []
    (run,) = await desk.open_runs()
    assert await desk.turns.turn(desk.org, run) is None, "a conversation may be closed without a word"
    assert ((await desk.run())["reason"], await desk.sent()) == ("no_reply", [])


async def _asked(desk: Desk) -> Any:
    await desk.take()
    return desk.model.asked[-1]


async def test_a_follow_up_is_scheduled_and_known_to_the_next_turn(desk: Desk) -> None:
    await desk.hear("Remind me in an hour")
    at = later(hours=1)
    desk.model.answers = [[call("schedule_followup_sms", text="As **promised**.", send_at=at)], "I will."]
    await desk.take()
    rows = await desk.rows("SELECT * FROM messages WHERE direction = 'outbound' ORDER BY due_at")
    reply, follow_up = rows
    assert (reply["status"], reply["body"]) == ("queued", "I will.")
    assert (follow_up["status"], follow_up["source"], follow_up["body"]) == ("scheduled", "ai_followup", "As promised.")
    assert f"{follow_up['due_at']:%Y-%m-%dT%H:%M}" == at
    assert follow_up["run_id"] == reply["run_id"] and follow_up["honors_hours"]
    assert "1 hour" not in (await _outputs(desk))[0]["scheduled_for"]
    await desk.hear("Thanks")
    question = await _asked(desk)
    assert "These texts of yours are scheduled:" in question.instructions and "As promised." in question.instructions
    assert [each["content"] for each in question.items] == ["Remind me in an hour", "I will.", "Thanks"]


async def test_follow_ups_are_few(desk: Desk) -> None:
    await desk.configure(sms_config_json='{"max_messages_per_run": 3, "max_pending_followups": 3}')
    ask = [call("schedule_followup_sms", text="Hi", send_at=later(hours=2)) for _ in range(3)]
    for expected in (2, 3):
        await desk.hear(f"Remind me often, {expected}")
        desk.model.answers = [ask, "I will."]
        await desk.take()
        rows = await desk.rows("SELECT FROM messages WHERE status = 'scheduled'")
        assert len(rows) == expected
    assert "error" in (await _outputs(desk))[1]
    await desk.configure(sms_config_json='{"max_pending_followups": 0}')
    await desk.hear("And now?")
    assert "schedule_followup_sms" not in {tool["name"] for tool in (await _asked(desk)).tools}


@pytest.mark.parametrize("closes_first", [True, False])
async def test_what_is_closed_has_no_follow_up(desk: Desk, closes_first: bool) -> None:
    await desk.hear("Remind me, and bye")
    both = [call("close_conversation", reason="done"), call("schedule_followup_sms", text="Hi", send_at=later(hours=2))]
    desk.model.answers = [both if closes_first else both[::-1], "Goodbye."]
    assert await desk.take() == [None]
    _, second = await _outputs(desk)
    assert "error" in second, "what the agent was told will be done is done"
    ((status,),) = await desk.rows("SELECT status FROM conversations")
    rows = await desk.rows("SELECT status FROM messages WHERE direction = 'outbound' ORDER BY created_at")
    states = [row["status"] for row in rows]
    assert (status, states) == (("closed", ["queued"]) if closes_first else ("open", ["queued", "scheduled"]))


@pytest.mark.parametrize("text", ["\x01", "\u0436" * 1_000])  # a thousand characters may be fifteen segments
async def test_a_follow_up_has_words_and_not_too_many(desk: Desk, text: str) -> None:
    await desk.hear("Remind me")
    desk.model.answers = [[call("schedule_followup_sms", text=text, send_at=later(hours=2))], "Well."]
    await desk.take()
    assert "error" in (await _outputs(desk))[0] and await desk.sent() == ["Well."]


async def test_tools_come_to_an_end(desk: Desk) -> None:
    await desk.configure(sms_config_json='{"max_tool_calls_per_turn": 2}')
    await desk.hear("Hello?")
    desk.model.answers = [[call("no_such_tool")] * 3, "Done."]
    await desk.take()
    assert [each.may_call for each in desk.model.asked] == [True, False]
    assert [each["error"] for each in await _outputs(desk)] == ["There is no such tool."] * 2
    assert await desk.sent() == ["Done."]
    items = desk.model.asked[-1].items
    assert "enough tools" in json.loads(items[-1]["output"])["error"], "the third is none that was run"
    assert [each.get("type") for each in items[1:]] == ["function_call", "function_call_output"] * 3


async def test_a_tool_of_calls_is_none_of_texts(desk: Desk) -> None:
    await desk.hear("Hello?")
    assert {tool["name"] for tool in (await _asked(desk)).tools} >= {"assign_to_human", "close_conversation"}
    assert "end_call" not in {tool["name"] for tool in desk.model.asked[0].tools}


AT = datetime(2026, 3, 7, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-09T09:00", "2026-03-09T13:00:00+00:00"),  # a day after the clocks changed
        ("2026-03-07T07:00", None),
        ("2026-03-07T06:59", None),
        ("2026-13-40T00:00", None),
        ("9999-12-31T23:59", None),
        ("2026-05-01T00:00", None),
    ],
)
def test_times_are_by_the_organizations_clock(text: str, expected: str | None) -> None:
    at, complaint = when(text, "America/New_York", AT)
    assert (at.isoformat() if at else None) == expected
    assert bool(complaint) is (expected is None)


async def test_whatever_a_tool_does_in_a_text_is_a_row_without_cards(desk: Desk) -> None:
    thread = await desk.hear("My card is 4111 1111 1111 1111")
    desk.model.answers = [
        [call("assign_to_human", reason="Card 4111 1111 1111 1111"), call("nothing", password="hunter2")],
        "Somebody will write to you.",
    ]
    await desk.take()
    rows = await desk.rows("SELECT * FROM tool_runs ORDER BY id")
    assert [(row["name"], row["kind"], row["status"], row["channel"]) for row in rows] == [
        ("assign_to_human", "built_in", "ok", "text"),
        ("nothing", None, "failed", "text"),
    ]
    assert json.loads(rows[0]["arguments"]) == {"reason": "Card [card number]"}
    assert json.loads(rows[1]["arguments"]) == {"password": "[secret]"}
    run = await desk.run()
    for row in rows:
        assert (row["conversation_id"], row["run_id"], row["flow_id"]) == (thread, run["id"], desk.flow)
        assert row["call_id"] is None and row["duration_ms"] is not None and row["output"]
