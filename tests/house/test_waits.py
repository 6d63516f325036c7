"""Tests of `make test` pass on a busy machine: what they wait for has a generous deadline, and none measures how long it took.

The processor time of a thread or a process is no such measure: others on the machine can't take it.
A deadline that is meant to run out says so in a comment on its line or the one above: `meant to run out`.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.house.sources import functions, nodes
from tests.topics import TOPICS

TESTS = Path(__file__).parents[1]
LEAST_S = 30
WAITS = {"timeout", "wait_for"}
CLOCKS = {"monotonic", "perf_counter", "monotonic_ms", "time"}
#: What the product says a request took.
MEASURED = {"elapsed_ms"}
EXEMPT = "meant to run out"
#: A module without any of these has no fault.
WORDS = re.compile("|".join(WAITS | CLOCKS | MEASURED))
#: A module without a clock that is read measures nothing.
READINGS = re.compile(rf"\b(?:{'|'.join(CLOCKS)})\(\)|\b(?:{'|'.join(MEASURED)})\b")


def topics(node: ast.AST) -> set[str]:
    """Return the topics that are named anywhere in a node, as in `pytest.mark.realtime`."""
    return {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)} & set(TOPICS)


def deadline_s(call: ast.Call) -> float | None:
    """Return the constant deadline of a wait, or None if this call is not one or has none."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    # `asyncio.wait` returns what is done: it is how tests see that something is not.
    given = [each.value for each in call.keywords if each.arg == "timeout" and name != "wait"]
    given += call.args[-1:] if name in WAITS else []
    found = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, int | float)]
    return found[0] if found else None


def has_difference(node: ast.AST) -> bool:
    """Tell whether a node has, anywhere in it, the difference of two readings of a clock."""
    return any(
        isinstance(each, ast.Call) and (getattr(each.func, "attr", None) or getattr(each.func, "id", "")) in CLOCKS
        for part in ast.walk(node)
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub)
        for each in ast.walk(part)
    )


def durations(function: ast.AST) -> set[str]:
    """Return the names in a function that get a difference of two readings of a clock, or a list with one."""
    found = set[str]()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and has_difference(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
            if isinstance(node.func.value, ast.Name) and any(map(has_difference, node.args)):
                found.add(node.func.value.id)
    return found


def measures(node: ast.Compare, names: set[str]) -> bool:
    """Tell whether a comparison bounds a duration from above: a difference of two readings, such a name, or `elapsed_ms`."""

    def lasts(operand: ast.AST) -> bool:
        return has_difference(operand) or any(
            (isinstance(each, ast.Name) and each.id in names)
            or (isinstance(each, ast.Attribute) and each.attr in MEASURED)
            for each in ast.walk(operand)
        )

    operands = [node.left, *node.comparators]
    for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
        if isinstance(operator, ast.Lt | ast.LtE) and lasts(left):
            return True
        if isinstance(operator, ast.Gt | ast.GtE) and lasts(right):
            return True
        # `pytest.approx` bounds it on both sides.
        if isinstance(operator, ast.Eq) and "approx" in ast.dump(right) and lasts(left):
            return True
    return False


def faults(source: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of impatient waits and of assertions about time, outside of topics."""
    if not WORDS.search(source):
        return
    module, lines = ast.parse(source), source.splitlines()
    if any(isinstance(each, ast.Assign) and topics(each) for each in module.body):
        return
    skipped = [
        range(each.lineno, (each.end_lineno or each.lineno) + 1)
        for each in functions(module)
        if any(map(topics, each.decorator_list))
    ]
    names = dict[int, set[str]]()
    for function in functions(module) if READINGS.search(source) else ():
        found = durations(function)
        names |= {id(node): found for node in ast.walk(function) if isinstance(node, ast.Compare)}
    for node in nodes(module, ast.Call, ast.Compare):
        if not (fault := fault_of(node, names)) or any(node.lineno in lines_of for lines_of in skipped):
            continue
        if EXEMPT not in "".join(lines[max(0, node.lineno - 2) : node.lineno]).lower():
            yield node.lineno, fault


def fault_of(node: ast.expr, names: Mapping[int, set[str]]) -> str:
    """Return what is wrong with a call or a comparison, or nothing; `names` has the durations of comparisons, by their ids."""
    if isinstance(node, ast.Call) and (seconds := deadline_s(node)) is not None and seconds < LEAST_S:
        return f"waits for {seconds} s at most"
    if isinstance(node, ast.Compare) and id(node) in names and measures(node, names[id(node)]):
        return "bounds how long something took"
    return ""


def test_waits_are_patient_and_nothing_is_timed() -> None:
    found = [
        f"{path.relative_to(TESTS.parent)}:{line} {fault}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, fault in faults(path.read_text())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "await asyncio.wait_for(x, 5)",
        "with asyncio.timeout(2.5): pass",
        "stub.Get(request, timeout=1)",
        "assert time.monotonic() - began < 3",
        "assert loop.time() - began <= limit_s",
        "took_ms = monotonic_ms() - began_ms\n    assert took_ms < 3 and True",
        "took_s = time.monotonic() - began\n    assert 0.1 < took_s < 3",
        "took_s = time.monotonic() - began\n    assert 3 > took_s",
        "took_s = time.monotonic() - began\n    assert took_s == pytest.approx(2, abs=0.1)",
        "waits.append(loop.time() - began)\n    assert max(waits) < 10",
        "assert 0 < answer.elapsed_ms < 30_000",
    ],
)
def test_an_impatient_line_is_found(line: str) -> None:
    assert list(faults(f"async def test() -> None:\n    {line.replace('with', 'async with')}"))


@pytest.mark.parametrize(
    "source",
    [
        "async def test():\n    await asyncio.wait_for(x, 60)",
        "async def test():\n    assert time.monotonic() - began >= 0.3",
        "async def test():\n    took = time.monotonic() - began\n    assert took >= 0.3",
        "async def test():\n    took = thread_time() - began\n    assert took < 0.3",
        "async def one():\n    took = time.monotonic() - began\nasync def test():\n    assert took < 3",
        "@pytest.mark.realtime\nasync def test():\n    assert time.monotonic() - began < 3",
        "pytestmark = pytest.mark.chaos\nasync def test():\n    await asyncio.wait_for(x, 5)",
        "async def test():\n    async with asyncio.timeout(0.3):  # meant to run out\n        pass",
    ],
)
def test_a_patient_line_is_not(source: str) -> None:
    assert not list(faults(source))
