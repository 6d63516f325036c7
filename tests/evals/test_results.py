"""Three verdicts; runs are written one by one, and a killed run's file is gone on with."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from evals import validity
from evals.brains import Action
from evals.results import ResultFile, Run, junit, scenario_verdict, status
from evals.scenario import Fact, Scenario
from evals.validity import Conduct

SCENARIO = Scenario.model_validate(
    {
        "name": "books",
        "flow": "f.yaml",
        "facts": {"wish": {"say": "A cleaning.", "when": "help"}},
        "expect": [{"understood": "cleaning"}],
        "pass": {"at_least": 2},
    }
)


def run(verdict: Any, number: int = 0) -> Run:
    return Run("books", "f", number, number, verdict, (("tool", "not called \x00"),) if verdict != "passed" else ())


@pytest.mark.parametrize(
    ("runs", "verdict", "code"),
    [
        ("passed passed passed", "passed", 0),
        ("passed passed failed", "passed", 0),
        ("passed failed failed", "failed", 1),
        ("passed invalid invalid", "invalid", 3),
        ("passed failed error", "error", 3),
        ("passed passed invalid", "passed", 3),
        ("invalid passed passed passed passed passed", "passed", 0),
    ],
)
def test_verdicts_and_statuses(runs: str, verdict: str, code: int) -> None:
    made = [run(name) for name in runs.split()]
    assert scenario_verdict(SCENARIO, made) == verdict
    assert status([scenario_verdict(SCENARIO, made)], made) == code


def test_a_half_written_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    ResultFile(path).append(run("passed", 1))
    with path.open("a") as file:
        file.write('{"scenario": "bo')
    again = ResultFile(path)
    again.append(run("failed", 2))
    assert [each.number for each in ResultFile(path).of("books", "f")] == [1, 2]
    assert ResultFile(path).of("books", "another flow") == []


@pytest.mark.parametrize(("verdict", "tag"), [("passed", None), ("failed", "failure"), ("invalid", "error")])
def test_junit_tells_failures_from_errors(verdict: str, tag: str | None) -> None:
    case = ET.fromstring(junit([(SCENARIO, [run(verdict)] * 2)])).find("testcase")
    assert case is not None and case.get("name") == "books"
    assert [child.tag for child in case if child.tag != "properties"] == ([tag] if tag else [])


@pytest.mark.parametrize(
    ("agent", "conduct", "count"),
    [
        (["Can I help?", "Bye."], Conduct([Action("say", "A cleaning.", ("wish",))]), 0),
        (["Hello.", "Bye."], Conduct([]), 0),
        (["Can I help?"], Conduct([]), 0),
        (["Can I help?", "Bye."], Conduct([]), 2),
        (["Can I help?", "Bye."], Conduct([Action("say", "x", ("wish", "age"))]), 1),
        (["Hello.", "Bye."], Conduct([], talk_over_ms=500), 1),
    ],
)
def test_a_caller_who_did_not_do_their_part(agent: list[str], conduct: Conduct, count: int) -> None:
    """A fact that was never asked for, and an agent that asks nothing, are the agent's failure."""
    facts = {"wish": Fact(say="A cleaning.", when="help")}
    assert len(validity.faults(facts, agent, conduct)) == count
