"""Which calls count as missed, and what the text about them may hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from control.base.texttemplates import BadTextTemplate
from control.texts import missedcalls
from control.texts.missedcalls import EndedCall

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CLOSED = EndedCall(
    direction="inbound",
    origin="phone",
    reason="after_hours",
    ended_at=NOW,
    verification="passed",
    was_heard=False,
    left_message=False,
    was_taken=False,
    has_process=False,
    untranscribed_ms=0,
)
HUNG_UP = replace(CLOSED, reason="caller")


@pytest.mark.parametrize(
    ("call", "is_missed"),
    [
        (CLOSED, True),
        (HUNG_UP, True),
        (replace(CLOSED, verification=None), True),
        (replace(CLOSED, reason="no_capacity"), True),
        (replace(CLOSED, reason="calls_of_organization"), True),
        (replace(CLOSED, reason="no_message"), True),
        (replace(HUNG_UP, ended_at=NOW - timedelta(hours=5)), True),
        (replace(CLOSED, reason="stream_lost"), True),
        (replace(CLOSED, reason="control_away"), True),
        (replace(HUNG_UP, has_process=True), True),
        (replace(CLOSED, reason="stream_lost", has_process=True), False),
        (replace(CLOSED, reason="control_away", has_process=True), False),
        (replace(CLOSED, verification="failed"), False),
        (replace(CLOSED, direction="outbound"), False),
        (replace(CLOSED, origin="browser"), False),
        (replace(CLOSED, reason="blocked"), False),
        (replace(CLOSED, reason="calls_of_caller"), False),
        (replace(HUNG_UP, reason="hang_up"), False),
        (replace(HUNG_UP, reason="agent"), False),
        (replace(HUNG_UP, reason="idle"), False),
        (replace(HUNG_UP, reason="a new one"), False),
        (replace(HUNG_UP, was_heard=True), False),
        # Hung up before a transcript came.
        (replace(HUNG_UP, untranscribed_ms=missedcalls.SPOKEN_MS - 20), True),
        (replace(HUNG_UP, untranscribed_ms=missedcalls.SPOKEN_MS), False),
        (replace(HUNG_UP, untranscribed_ms=60_000), False),
        # Spoke, perhaps to nobody.
        (replace(CLOSED, reason="model_lost", untranscribed_ms=60_000), True),
        (replace(CLOSED, reason="drained", untranscribed_ms=60_000), True),
        (replace(HUNG_UP, left_message=True), False),
        (replace(HUNG_UP, was_taken=True), False),
        (replace(HUNG_UP, ended_at=NOW - timedelta(hours=6)), False),
    ],
)
def test_a_call_is_missed(call: EndedCall, is_missed: bool) -> None:
    assert missedcalls.is_missed(call, NOW) is is_missed


def test_its_reasons_are_documented_ends() -> None:
    page = (Path(__file__).parents[3] / "docs" / "call-endings.md").read_text()
    assert [reason for reason in missedcalls.REASONS if f"`{reason}`" not in page] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" ", "must hold something"),
        ("Hi {{contact.name}}", "needs a default for contact.name"),
        ("Hi {{nobody}}", "names nobody, which is unknown"),
        ("Hi {{contact.name", "without the other"),
    ],
)
def test_a_text_that_can_not_go_to_every_caller_says_why(text: str, reason: str) -> None:
    with pytest.raises(BadTextTemplate, match=reason):
        missedcalls.check(text)


def test_a_text_is_rendered_for_a_caller_within_its_length() -> None:
    text = "Hi {{contact.first_name|there}}, you called {{number.phone}}."
    missedcalls.check(text)
    assert missedcalls.render(text, {"number.phone": "+1"}) == "Hi there, you called +1."
    assert missedcalls.render(text, {"contact.first_name": "Ann", "number.phone": "+1"}) == "Hi Ann, you called +1."
    assert len(missedcalls.render("x" * 1595 + "{{org.name}}", {"org.name": "y" * 60})) == 1600
