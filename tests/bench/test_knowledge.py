"""The benchmark's questions have answers in its corpus, and most are found: the way that agents find things is not broken."""

import pytest

from bench.knowledge.quality import FOUND, corpus, questions, unanswerable
from control.knowledge import formats, passages
from control.knowledge.converter import blocks
from control.knowledge.passages import Block
from tests.control.knowledge.conftest import House, house, two

__all__ = ["house", "two"]


def test_every_question_has_an_answer() -> None:
    cut = {
        name: passages.split(
            Block(level, text) for level, text in blocks(body, formats.format_of(body, name), 1000, 4_000_000)
        )
        for name, body in corpus().items()
    }
    assert unanswerable(cut) == []
    assert len(questions()) >= 60 and len({each.text for each in questions()}) == len(questions())
    assert {each.document for each in questions()} == set(cut) - {"hum-install.md"}


@pytest.mark.bench
async def test_most_answers_are_among_the_five(house: House) -> None:
    names = {}
    for name, body in corpus().items():
        names[await house.ready(house.mine, name, body.decode())] = name
    found = 0
    for each in questions():
        rows = [one.row for one in (await house.find(each.text, list(names))).hits]
        assert len(rows) <= FOUND
        found += any(each.is_answered_by(names[row.place.document], row.text) for row in rows)
    assert found / len(questions()) >= 0.85, f"{found} of {len(questions())}"
