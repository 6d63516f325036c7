"""What people text in six languages (wordings.txt): the rule hears each unambiguous revocation, and nothing else."""

from pathlib import Path

import pytest

from control.texts import keywords, replies, revocation
from control.texts.keywords import Keyword

LINES = [
    line
    for line in (Path(__file__).parent / "wordings.txt").read_text("utf-8").splitlines()
    if line[:1] not in ("", "#")
]
WORDINGS = [(mark, text.strip().replace("\\n", "\n")) for mark, _, text in (line.partition(" ") for line in LINES)]


def is_heard(body: str) -> bool:
    return keywords.recognize(body) is Keyword.STOP or revocation.revokes(body) is not None


def of(*marks: str) -> list[str]:
    return [text for mark, text in WORDINGS if mark in marks]


def test_the_table() -> None:
    assert {mark for mark, _ in WORDINGS} == {"rule", "agent", "none"}
    assert len(set(WORDINGS)) == len(WORDINGS) >= 200


@pytest.mark.parametrize("body", of("rule"))
def test_each_unambiguous_one_is_heard(body: str) -> None:
    assert is_heard(body)


@pytest.mark.parametrize("body", of("agent", "none"))
def test_nothing_else_is(body: str) -> None:
    assert not is_heard(body)


@pytest.mark.parametrize("body", of("rule", "none"))
@pytest.mark.parametrize(
    "form",
    [
        str.upper,
        str.lower,
        lambda body: f"  {body}  ",
        lambda body: f"{body} \U0001f64f",
        lambda body: f"\u200b{body}\u200b",
    ],
)
def test_neither_case_nor_decoration_changes_it(body: str, form) -> None:  # type: ignore[no-untyped-def]
    assert is_heard(form(body)) is is_heard(body)


@pytest.mark.parametrize("keyword", Keyword)
def test_our_own_replies_revoke_nothing(keyword: Keyword) -> None:
    assert not is_heard(replies.reply(keyword, "Clinic"))
