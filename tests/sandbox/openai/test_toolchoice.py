"""The tools that the receptionist chooses from a caller's words, and what it says of their results."""

import json
from typing import Any

import pytest

from realtime.mind import AnswerSituation
from sandbox.openai import toolresults
from sandbox.openai.receptionist import answer
from sandbox.openai.script import FunctionCall

CLINIC = "You are the receptionist of Riverside Clinic. Be brief and kind."


def tool(name: str, required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "name": name, "parameters": parameters}


TEXT = {"type": "string"}
BOOK = tool("book_appointment", ("name", "when"), name=TEXT, when=TEXT, notes=TEXT)
ORDER = tool("get_order_status", ("order_number",), order_number=TEXT)
TRANSFER = tool("transfer_to_number", ("target", "summary"), target={"enum": ["Billing", "Dr. Lee"]}, summary=TEXT)
KNOWLEDGE = tool("lookup_knowledge", ("question",), question=TEXT)
VOICEMAIL = tool("take_voicemail")
TOOLS = (BOOK, ORDER, TRANSFER, KNOWLEDGE, VOICEMAIL)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("I'd like to schedule a cleaning.", "book_appointment"),
        ("Can I get an appointment?", "book_appointment"),
        ("Where is my order?", "get_order_status"),
        ("Can I leave a message?", "take_voicemail"),
        ("I need to talk to somebody in billing.", "transfer_to_number"),
        ("Can I speak with a real person?", "transfer_to_number"),
        ("How much is a crown?", "lookup_knowledge"),
        ("I have a toothache.", None),
        ("Sales.", None),
    ],
)
def test_a_tool_is_chosen_by_what_it_is_for(said: str, name: str | None) -> None:
    known = tool("get_order_status")  # asks for nothing
    book = tool("book_appointment")
    turn = answer(AnswerSituation(CLINIC, said, [("user", said)], tools=(book, known, TRANSFER, KNOWLEDGE, VOICEMAIL)))
    assert (turn.call.name if turn.call else None) == name


def test_what_a_tool_needs_is_asked_first() -> None:
    dialogue: list[tuple[str, str]] = []
    for line in ("I would like to book an appointment.", "My name is Grace Hopper.", "Tuesday at three."):
        dialogue.append(("user", line))
        turn = answer(AnswerSituation(CLINIC, line, dialogue, tools=TOOLS))
        dialogue.append(("assistant", turn.say or ""))
    assert [text for role, text in dialogue if role == "assistant"] == [
        "Certainly. May I have your name?",
        "Certainly. What day and time would suit you?",
        "One moment, please.",
    ]
    assert turn.call is not None and turn.call.name == "book_appointment"
    assert turn.call.arguments["name"] == "Grace Hopper" and turn.call.arguments["when"] == "Tuesday at three"


def test_what_was_said_or_is_on_file_is_not_asked() -> None:
    said = "This is Grace Hopper, can you book me an appointment?"
    assert answer(AnswerSituation(CLINIC, said, [("user", said)], tools=TOOLS)).say == (
        "Certainly. What day and time would suit you?"
    )
    known = f"{CLINIC}\n\n# Caller Context\n- name: Ada Lovelace"
    said = "An appointment, please."
    assert answer(AnswerSituation(known, said, [("user", said)], tools=TOOLS)).say == (
        "Certainly. What day and time would suit you?"
    )


def test_a_tool_is_not_called_again_by_an_old_wish() -> None:
    dialogue = [
        ("user", "Book an appointment for Grace Hopper."),
        ("assistant", "Certainly. What day and time would suit you?"),
        ("user", "Tuesday."),
    ]
    tools = (tool("book_appointment", ("when",), when=TEXT),)
    assert answer(AnswerSituation(CLINIC, "Tuesday.", dialogue, tools=tools)).call is not None
    again = AnswerSituation(CLINIC, "Tuesday.", dialogue, tools=tools, made=["book_appointment"])
    assert answer(again).call is None


def test_the_person_who_was_named_is_called() -> None:
    said = "Please put me through to Dr. Lee, I want to talk to him."
    turn = answer(AnswerSituation(CLINIC, said, [("user", said)], tools=TOOLS))
    assert turn.call is not None and turn.call.arguments["target"] == "Dr. Lee"


def test_the_knowledge_is_asked_the_question_alone() -> None:
    said = "Hello there. How much is a crown?"
    turn = answer(AnswerSituation(CLINIC, said, [("user", said)], tools=TOOLS))
    assert turn.call == FunctionCall("lookup_knowledge", {"question": "How much is a crown?"})


def test_documents_answer_what_the_prompt_only_mentions() -> None:
    prompt = f"{CLINIC} We offer cleanings and check-ups. There is free parking behind the house."
    for said, asked in (
        ("How much is a cleaning?", True),
        ("Do you offer cleanings?", False),
        ("Is there parking?", False),
    ):
        turn = answer(AnswerSituation(prompt, said, [("user", said)], tools=TOOLS))
        assert (turn.call is not None and turn.call.name == "lookup_knowledge") is asked, said
    nothing = json.dumps({"passages": [], "note": "Nothing."})
    turn = answer(
        AnswerSituation(prompt, "How much is parking?", called=["lookup_knowledge"], results=[nothing], tools=TOOLS)
    )
    assert turn.say is not None and turn.say.startswith("There is free parking behind the house.")


def test_a_text_for_a_person_gives_the_conversation_to_the_team() -> None:
    said = "I want to talk to a real person about my bill."
    reason = {"type": "string", "minLength": 1, "maxLength": 500, "pattern": "\\S"}
    tools = (tool("assign_to_human", ("reason",), reason=reason),)
    turn = answer(AnswerSituation(CLINIC, said, [("user", said)], tools=tools))
    assert turn.call == FunctionCall("assign_to_human", {"reason": said})
    done = AnswerSituation(CLINIC, said, called=["assign_to_human"], results=['{"assigned": true}'], tools=tools)
    assert answer(done).say == "Somebody of the team will answer you here."
    assert answer(AnswerSituation(CLINIC, "Thanks, bye.", tools=tools)).say == "Thank you. Goodbye."


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            {"passages": [{"text": "We are closed in May. A crown costs 900 dollars. Ask us."}]},
            "A crown costs 900 dollars.",
        ),
        ({"passages": [], "note": "Nothing."}, "I found nothing about that."),
        ({"error": "The calendar is closed."}, "I am sorry. The calendar is closed."),
        ({"message": "Booked for Tuesday"}, "Booked for Tuesday."),
        (
            {"status": "booked", "confirmation_code": "A17", "paid": False},
            "That is done. Status booked; confirmation code A17.",
        ),
        ([{"status": "sent"}, {"status": "lost"}], "I found 2. The first: Status sent."),
        ("It is on its way", "It is on its way."),
        ({}, "That is done."),
        (None, "That is done."),
    ],
)
def test_a_result_is_said(output: Any, said: str) -> None:
    assert toolresults.sentence(json.dumps(output), "How much is a crown?") == said


def test_a_long_or_broken_result_stays_short() -> None:
    assert len(toolresults.sentence("word " * 10_000, "")) <= toolresults.MAX_CHARS
    assert len(toolresults.sentence(json.dumps({"message": "A sentence. " * 999}), "")) <= toolresults.MAX_CHARS
    assert toolresults.sentence("<html>", "") == "<html>."


def test_the_outcome_is_said_after_the_call() -> None:
    situation = AnswerSituation(CLINIC, "Book it.", called=["book_appointment"], results=['{"message": "Booked."}'])
    assert answer(situation).say == "Booked. Is there anything else?"
