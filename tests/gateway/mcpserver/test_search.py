"""An agent finds the operation that serves a goal in plain words."""

import re

import pytest

from gateway import contract, openapi
from gateway.mcpserver import search, searchindex, words
from gateway.mcpserver.catalogue import Catalogue
from tests.gateway.mcpserver.goals import HELD_OUT, TUNED

BINDINGS = contract.bindings()
CATALOGUE = Catalogue(BINDINGS, openapi.document(BINDINGS, "https://hum.example"))
INDEX = searchindex.index(CATALOGUE)
AMONG = 3


def missed(goals: tuple[tuple[str, str], ...]) -> list[tuple[str, list[str]]]:
    """The goals whose operation is not among the first."""
    found = [(goal, right, INDEX.find(goal, AMONG)) for goal, right in goals]
    return [(goal, some) for goal, right, some in found if not set(some) & set(right.split())]


def test_goals_in_plain_words_are_found() -> None:
    assert len(TUNED) == 40
    assert len(misses := missed(TUNED)) <= 0.05 * len(TUNED), misses


def test_goals_that_nobody_chose_words_for_are_found_too() -> None:
    assert len(HELD_OUT) >= 20 and not {goal for goal, _ in HELD_OUT} & {goal for goal, _ in TUNED}
    assert len(misses := missed(HELD_OUT)) <= 0.1 * len(HELD_OUT), misses


def test_the_goals_are_of_the_contract_and_not_copied_from_it() -> None:
    texts = [f"{each.summary} {each.description}".lower() for each in CATALOGUE]
    for goal, right in (*TUNED, *HELD_OUT):
        assert all(CATALOGUE.get(each) for each in right.split()), right
        assert not any(goal.lower() in each for each in texts), goal


def test_no_goal_is_in_the_vocabulary() -> None:
    phrases = [phrase for phrases, _ in words.SYNONYMS for phrase in phrases]
    assert max(len(phrase.split()) for phrase in phrases) == words.LONGEST
    long = [phrase for phrase in phrases if len(phrase.split()) == words.LONGEST]
    assert not [(goal, phrase) for goal, _ in HELD_OUT for phrase in long if phrase in goal]


def test_an_operation_is_found_by_its_own_name() -> None:
    for each in CATALOGUE:
        as_words = re.sub("(?=[A-Z])", " ", each.id).lower()
        assert INDEX.find(each.id, 1) == INDEX.find(f" {as_words} ", 1) == [each.id]


@pytest.mark.parametrize("goal", ["", " ", "the of and", "🤷", "\x00", "zzzzqqq", "'" * 500])
def test_nothing_is_found_for_nothing(goal: str) -> None:
    assert INDEX.find(goal, 3) == []


def test_a_long_goal_is_bounded() -> None:
    assert INDEX.find("call " * 100_000, 5) == INDEX.find("call " * 100, 5)
    assert len(INDEX.find("call text contact number flow webhook", 5)) == 5


def test_ties_have_an_order() -> None:
    twins = [search.SearchDocument(id, "look", [(1.0, "same words")]) for id in ("b", "a", "c")]
    assert search.Index(twins).find("words", 3) == ["a", "b", "c"]


def test_the_kind_of_thing_decides_between_operations_about_the_same() -> None:
    texts = [(1.0, "contact")]
    kinds = {"make": "createContact", "remove": "deleteContact", "change": "updateContact", "look": "getContact"}
    index = search.Index([search.SearchDocument(id, kind, texts) for kind, id in kinds.items()])
    for goal, right in (
        ("get rid of the contact", "deleteContact"),
        ("register the contact", "createContact"),
        ("edit the contact", "updateContact"),
        ("show the contact", "getContact"),
    ):
        assert index.find(goal, 1) == [right]
