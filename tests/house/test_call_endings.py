"""docs/call-endings.md lists every reason with which the code can end a call, and the test that does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.calls import callendings, routing
from control.outbound import dialdecision as outbound
from tests.house.sources import functions, nodes, tree

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "call-endings.md"
STATUSES = {"completed", "busy", "no_answer", "failed", "canceled", "blocked"}
#: Reasons that control tells the media plane with a command (`control/calls/calltask.py`).
FROM_CONTROL = {"machine", "fax"}
#: Which argument says why.
REASON = {"end_call": 4, "Refuse": 3, "Reject": 1, "End": 1, "CallEnding": 1}
#: Reasons that were decided elsewhere, where they are found: what a call passes on.
PASSED_ON = {"reason", "ended.reason", "decision.reason", "apology.reason", "refusal.reason", "outcome[1]"} | {
    "REASONS.get(result, result)"
}


def rows() -> list[tuple[str, str, str]]:
    """Status, reason and test of each row."""
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and not set(cells[0]) <= {"-"} and cells[0] != "what ends it":
            found.append((cells[2], cells[3].strip("`"), cells[4].strip("`")))
    return found


def modules(room: str) -> Iterator[ast.Module]:
    for path in sorted((ROOT / room).rglob("*.py")):
        yield tree(path)


def constants(trees: list[ast.Module]) -> dict[str, str]:
    """Module constants that are strings: `X = "x"`, and `X, Y = "x", "y"`."""
    found: dict[str, str] = {}
    for node in (node for each in trees for node in each.body if isinstance(node, ast.Assign)):
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for name, value in pairs:
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found[name.id] = value.value
    return found


def values(node: ast.expr, known: dict[str, str]) -> set[str]:
    """What an expression in the place of a reason can be."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=body, orelse=orelse):
            return values(body, known) | values(orelse, known)
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in known:
            return {known[name]}
    text = ast.unparse(node)
    assert text in PASSED_ON, f"what ends a call with {text}? Say so in PASSED_ON, or write the reason there"
    return set()


def produced(trees: list[ast.Module]) -> set[str]:
    """The reasons that these modules end calls with."""
    known, found = constants(trees), set[str]()
    for node in (node for each in trees for node in nodes(each, ast.Call, ast.Tuple)):
        if isinstance(node, ast.Call) and (place := REASON.get(ast.unparse(node.func))) is not None:
            arguments = [each for each in node.args for _ in range(1 + isinstance(each, ast.Starred))]
            if len(arguments) > place:  # a starred prompt is two: its text and its language
                found |= values(arguments[place], known)
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:  # a status and a reason
            first, second = node.elts
            try:
                decided = bool(values(first, {}) & STATUSES)
            except AssertionError:
                decided = ast.unparse(first) in {"status", "ended"}
            if decided and isinstance(second, (ast.Constant, ast.IfExp)):
                found |= values(second, known)
    return found


def of_streams() -> set[str]:
    """The reasons with which the media plane ends streams."""
    trees = list(modules("media"))
    known, found = constants(trees), set[str]()
    for node in (node for each in trees for node in nodes(each, ast.Call)):
        if node.args and ast.unparse(node.func) in {"HangUp", "EndCall", "self.end", "shell.end"}:
            match node.args[0]:
                case ast.Constant(value=str(text)):
                    found.add(text)
                case ast.Name(id=name) if name in known:
                    found.add(known[name])
    return found


def test_the_page_has_every_reason_and_no_other() -> None:
    rooms = ("control/calls", "control/livecall", "control/transfers", "control/outbound")
    code = (
        produced([module for room in rooms for module in modules(room)])
        | set(callendings.ENDINGS)
        | set(routing.NO_PLACE)
    )
    code |= set(outbound.REASONS.values()) | outbound.RETRIED
    assert {reason for _, reason, _ in rows()} - {""} == code


def test_every_end_of_a_stream_is_the_end_of_a_call_or_a_lost_stream() -> None:
    assert of_streams() | FROM_CONTROL == {*callendings.ENDINGS, callendings.STREAM_LOST}


def test_statuses_are_those_of_the_contract() -> None:
    for status, reason, _ in rows():
        named = set(re.findall(r"`(\w+)`", status)) - {"no record"}
        assert named <= STATUSES and (named or not reason), status
        if (expected := callendings.ENDINGS.get(reason)) is not None and reason != "caller":
            assert expected in named


@pytest.mark.parametrize("test", sorted({test for _, _, test in rows()}))
def test_each_is_shown_by_a_test(test: str) -> None:
    path, _, name = test.partition("::")
    (found,) = [node for node in functions(tree(ROOT / path)) if node.name == name]
    words = {node.value for node in ast.walk(found) if isinstance(node, ast.Constant)}
    for _, reason, shown_by in rows():
        assert shown_by != test or not reason or reason in words, f"the test says nothing of {reason}"


@pytest.mark.parametrize(
    ("source", "reasons"),
    [
        ('R = "away"\nend_call(tx, state, "failed", at, R)', {"away"}),
        ('Refuse(*localized(S, l), "failed", "no_flow")', {"no_flow"}),
        ('Refuse("", None, "failed", "x_y")', {"x_y"}),
        ('Reject("blocked", "blocked")', {"blocked"}),
        ('return ("failed", "a") if x else ("completed", "b")', {"a", "b"}),
        ('return (status, "hang_up") if x else (status, "c" if y else "d")', {"hang_up", "c", "d"}),
    ],
)
def test_a_reason_is_found(source: str, reasons: set[str]) -> None:
    module = ast.parse(f"def f():\n    {source}" if source.startswith("return") else source)
    assert produced([module]) == reasons


def test_a_reason_that_can_not_be_read_is_told() -> None:
    with pytest.raises(AssertionError, match="what ends a call"):
        produced([ast.parse('end_call(tx, state, "failed", at, why())')])
