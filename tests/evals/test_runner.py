"""A run that says nothing of the agent is repeated, and what has a verdict is not run again."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals import runner, scenario
from evals.flowfile import FlowFile
from evals.results import ResultFile
from evals.runner import Called, RunMaker, SuitePlan
from evals.scenario import BadSuite, Scenario
from tests.evals.samples import DEAF, FLOW, LATE, MUTE, PASSING, SLOW, SLOW_AND_LATE, SUITE, UNREACHED, Line, run


@pytest.mark.parametrize(
    ("calls", "verdicts", "kinds"),
    [
        ([PASSING], ["passed"], []),
        ([DEAF], ["failed"], ["understanding"]),
        ([SLOW], ["failed"], ["latency"]),
        ([replace(PASSING, gave_up=True)], ["failed"], ["ended"]),
        ([MUTE, PASSING], ["invalid", "passed"], []),
        ([MUTE, MUTE, MUTE], ["invalid"] * 3, ["caller", "caller"]),
        ([UNREACHED, PASSING], ["error", "passed"], []),
        ([UNREACHED, UNREACHED], ["error"] * 2, ["infrastructure"]),
        ([LATE, PASSING], ["error", "passed"], []),
        ([SLOW_AND_LATE], ["failed"], ["latency"]),
        ([replace(PASSING, gaps=["the world has no answer of book to {}"])], ["failed"], ["tool"]),
    ],
)
async def test_runs_until_there_is_a_verdict(
    plan: Callable[[], SuitePlan], calls: Sequence[Any], verdicts: Sequence[str], kinds: Sequence[str]
) -> None:
    file, line = ResultFile(None), Line(*calls)
    await run(plan(), line, file)
    assert [run.verdict for run in file.runs] == verdicts
    assert [kind for kind, _ in file.runs[-1].reasons] == kinds
    assert len(set(line.seeds)) == 1 + sum(verdict == "invalid" for verdict in verdicts[:-1])


async def test_a_later_start_runs_what_has_no_verdict(plan: Callable[[], SuitePlan], tmp_path: Path) -> None:
    out = tmp_path / "runs.jsonl"
    for line, count in ((Line(UNREACHED, UNREACHED), 2), (Line(PASSING), 3), (Line(), 3)):
        await run(plan(), line, ResultFile(out))
        assert len(ResultFile(out).runs) == count
    (tmp_path / "flow.yaml").write_text(FLOW.replace("Clinic", "Another"))
    await run(plan(), Line(DEAF), file := ResultFile(out))
    assert [run.verdict for run in file.runs][-1] == "failed", "another flow is another agent"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: Clinic", "flow.yaml:1: a flow's file has the key `flow`"),
        ("flow: {}\nstandin: {}", "flow.yaml:2: unknown key 'standin'"),
        ("flow: {}\nstand_in: []", "flow.yaml:2: stand_in is a script"),
        ("flow: {}\nstand_in: {rules: [{when: '(', say: x}]}", "flow.yaml:2: .*not a regular expression"),
        ("flow: {", "flow.yaml:1: "),
        ("flow: {name: 2026-12-03}", "flow.yaml:1: .*in quotes"),
    ],
)
def test_a_bad_flow_is_refused(plan: Callable[[], SuitePlan], tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "flow.yaml").write_text(text)
    with pytest.raises(BadSuite, match=sentence):
        plan()


def test_a_suite_without_the_wanted_scenario_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SUITE)
    (tmp_path / "flow.yaml").write_text(FLOW)
    with pytest.raises(BadSuite, match="no scenario has 'cancels' in its name; there are books"):
        runner.plan(scenario.load([tmp_path / "s.yaml"]), "cancels", None, 1, None)


async def test_no_call_is_placed_that_may_exceed_the_budget(plan: Callable[[], SuitePlan]) -> None:
    """A call may last 120 s: the first ends after 20 s, and the invalid one is repeated; then 70 s are left."""
    clock = iter([0, 0, 20_000, 50_000, 60_000])
    file, line = ResultFile(None), Line(MUTE, MUTE)
    told = await run(plan(), line, file, budget_minutes=2.5, clock_ms=lambda: float(next(clock)))
    assert [run.verdict for run in file.runs] == ["invalid"] * 2
    assert [sentence for sentence in told if "budget" in sentence] == [
        "The budget does not allow another call; start again with the same --out to go on."
    ]


async def test_calls_go_on_beside_each_other_only_with_one_flow(tmp_path: Path) -> None:
    """The number and the stand-in model have one flow at a time."""
    names = ("a", "b", "c")
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "other.yaml").write_text(FLOW.replace("Clinic", "Other"))
    suite = "".join(SUITE.replace("books", name).replace("runs: 1", "runs: 4") for name in names)
    (tmp_path / "s.yaml").write_text(
        suite.replace("flow: flow.yaml", "flow: other.yaml", 2).replace("other", "flow", 1)
    )
    going, most, mixed = list[str](), 0, False

    async def place(_: Scenario, flow: FlowFile, __: int) -> Called:
        nonlocal most, mixed
        going.append(flow.flow["name"])
        most, mixed = max(most, len(going)), mixed or len(set(going)) > 1
        for _step in range(3):
            await asyncio.sleep(0)
        going.remove(flow.flow["name"])
        return PASSING

    made, file = runner.plan(scenario.load([tmp_path / "s.yaml"]), "", None, 1, None), ResultFile(None)
    await runner.run(made, RunMaker(place, file, lambda _: None, 1), file, 3)
    assert (most, mixed) == (3, False)
    assert sorted((run.scenario, run.number) for run in file.runs) == [(name, n) for name in names for n in range(1, 5)]
    assert [run.scenario for run in file.runs][-4:] == ["b"] * 4, "those of one flow are together"
