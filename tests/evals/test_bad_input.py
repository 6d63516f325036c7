"""What others write, say and break: a clear error before anything starts, or a verdict that does not blame the agent."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evals import matching, runner, scenario
from evals.matching import PatternTooSlow, found
from evals.results import ResultFile
from evals.runner import SuitePlan
from evals.scenario import MOST_SCENARIOS, BadSuite
from evals.world import RunningWorld, World
from tests.evals.samples import DEAF, FLOW, PASSING, SUITE, Line, run

ROOT = Path(__file__).parents[2]
LOAD = """
import sys
from pathlib import Path
from evals import scenario
from tests.support.processes import peak_kib
try:
    scenario.load([Path(name) for name in sys.argv[1:]])
except scenario.BadSuite as refusal:
    print(refusal)
print(peak_kib())
"""
#: Takes hours; `impatient` gives up at once, whatever else the machine does.
SLOW = r"\w+\w+\w+\w+\w+\w+\w+\w+!"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "SECONDS", 0.05)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "((a+))+$", "((a|b)c)*", "(?:x(?:a*)y)+", "(a|b){5,}", "([)]+)*", r"(\(a+)*", "(a{2,})+", "([]a]+)+"],
)
def test_patterns_that_backtrack_for_ever_are_refused(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "s.yaml").write_text(SUITE.replace("understood: cleaning", f"understood: '{pattern}'"))
    with pytest.raises(BadSuite, match=r"s\.yaml:6: .*may take for ever"):
        scenario.load([tmp_path / "s.yaml"])


@pytest.mark.parametrize(
    "pattern", ["cleaning.*(9|nine)", "(a|b)c+", r"\(a+\)+", "[(a+)]+x", "(ab)+", "(?:mon|tue)sday", "(a+)?b", "x{2,3}"]
)
def test_patterns_of_every_day_are_taken(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "s.yaml").write_text(SUITE.replace("understood: cleaning", f"understood: '{pattern}'"))
    assert scenario.load([tmp_path / "s.yaml"]).scenarios


@pytest.mark.usefixtures("impatient")
def test_a_pattern_that_is_slow_nevertheless_is_interrupted() -> None:
    with pytest.raises(PatternTooSlow, match="write a simpler pattern"):
        found(SLOW, "a" * 500)
    assert found("a", "a")
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0), "the alarm must not ring later"


@pytest.mark.usefixtures("impatient")
async def test_a_slow_pattern_is_an_error_and_no_failure(plan: Callable[[], SuitePlan], tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SUITE.replace("understood: cleaning", f"understood: '{SLOW}'"))
    turns = [{"role": "caller", "text": "a" * 500}]
    file = ResultFile(None)
    await run(plan(), Line(*[replace(PASSING, record={**PASSING.record, "transcript": turns})] * 2), file)
    assert [one.verdict for one in file.runs] == ["error", "error"]
    assert "took more than 0.05 s" in file.runs[0].reasons[0][1]


@pytest.mark.usefixtures("impatient")
def test_a_slow_pattern_of_a_world_is_told() -> None:
    world = RunningWorld(World.model_validate({"tools": {"book": [{"when": {"day": {"matches": SLOW}}}]}}))
    assert world.answer("book", {"day": "a" * 500}).status == 501
    assert "took more than" in world.gaps[0]


@pytest.mark.usefixtures("impatient")
def test_a_slow_pattern_of_a_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    world = f"  world: {{state: {{day: {'a' * 500}}}}}\n"
    text = SUITE.replace("understood: cleaning", f"state: {{day: {{matches: '{SLOW}'}}}}") + world
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(BadSuite, match=r"s\.yaml:1: .*took more than"):
        scenario.load([tmp_path / "s.yaml"])


async def test_a_fact_that_was_never_asked_for_is_the_agents_failure(
    plan: Callable[[], SuitePlan], tmp_path: Path
) -> None:
    (tmp_path / "s.yaml").write_text(SUITE.replace("  expect:", "    name: {say: Anna., when: your name}\n  expect:"))
    file = ResultFile(None)
    await run(plan(), Line(DEAF), file)
    assert [one.verdict for one in file.runs] == ["failed"]
    assert ("understanding", "the agent never asked for 'name'") in file.runs[0].reasons


async def test_runs_of_another_scenario_do_not_count(plan: Callable[[], SuitePlan], tmp_path: Path) -> None:
    out = tmp_path / "runs.jsonl"
    await run(plan(), Line(PASSING), ResultFile(out))
    (tmp_path / "s.yaml").write_text(SUITE.replace("say: A cleaning.", "say: A filling."))
    await run(plan(), line := Line(PASSING), ResultFile(out))
    assert len(line.seeds) == 1


def test_how_much_it_is_is_known_before(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "s.yaml").write_text(
        "".join(SUITE.replace("books", f"s{n}").replace("runs: 1", "runs: 10") for n in range(200))
    )
    made = runner.plan(scenario.load([tmp_path / "s.yaml"]), "", None, 1, None)
    assert (made.calls, made.most_minutes) == (2_000, 4_000)


@pytest.mark.parametrize("files", [1, 20])
def test_ten_thousand_scenarios_are_refused_in_bounded_memory(tmp_path: Path, files: int) -> None:
    count = 10_000 // files
    (tmp_path / "flow.yaml").write_text(FLOW)
    paths = [tmp_path / f"{number}.yaml" for number in range(files)]
    for path in paths:
        path.write_text(
            "".join(
                f"- {{name: {path.stem} {n}, flow: flow.yaml, facts: {{w: {{say: x, when: ok}}}}, expect: [{{understood: x}}]}}\n"
                for n in range(count)
            )
        )
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *map(str, paths)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    sentence, peak_kilobytes = done.stdout.rsplit("\n", 2)[:2]
    wanted = "larger than|more than 50000 values" if files == 1 else f"more than {MOST_SCENARIOS} scenarios together"
    assert re.search(wanted, sentence)
    assert len(sentence) < 10_000
    assert int(peak_kilobytes) < 400_000


def test_a_thousand_refusals_are_told_in_part(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("- {name: x, flwo: y}\n" * 1_000)
    with pytest.raises(BadSuite) as refused:
        scenario.load([tmp_path / "s.yaml"])
    assert 40 < str(refused.value).count("\n") < 60


@pytest.mark.parametrize("name", ["when", "say"])
def test_a_text_is_no_number(tmp_path: Path, name: str) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "s.yaml").write_text(SUITE.replace(f"{name}: ", f"{name}: [").replace("}", "]}", 1))
    with pytest.raises(BadSuite, match=r"s\.yaml:\d+: "):
        scenario.load([tmp_path / "s.yaml"])
