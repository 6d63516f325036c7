"""Two versions are run in pairs, from few to many, and a killed comparison goes on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evals import runner, scenario, versions
from evals.flowfile import FlowFile
from evals.results import ResultFile
from evals.runner import Called, CallFailed, RunMaker
from evals.scenario import Scenario
from evals.versions import VersionPlan
from tests.evals.samples import DEAF, FLOW, MUTE, PASSING, SUITE

OLD, NEW = "Clinic", "Newer"
Agent = Callable[[str, int], Called]


class Agents:
    """What both versions do, by their name and the seed; the order of calls is written down."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.calls: list[tuple[str, int]] = []

    async def place(self, _scenario: Scenario, flow: FlowFile, seed: int) -> Called:
        self.calls.append((flow.flow["name"], seed))
        return self._agent(flow.flow["name"], seed)


@pytest.fixture
def plan(tmp_path: Path) -> VersionPlan:
    (tmp_path / "s.yaml").write_text(SUITE)
    for name in (OLD, NEW):
        (tmp_path / f"{name}.yaml").write_text(FLOW.replace(OLD, name))
    (tmp_path / "flow.yaml").write_text(FLOW)
    suite = scenario.load([tmp_path / "s.yaml"])
    before, after = (runner.flows_of(suite, tmp_path / f"{name}.yaml") for name in (OLD, NEW))
    return VersionPlan(suite, before, after)


async def compared(plan: VersionPlan, agents: Agents, file: ResultFile | None = None) -> tuple[str, int, int]:
    found = await versions.run(plan, RunMaker(agents.place, file or ResultFile(None), lambda _: None, 1))
    return found.change, versions.status(found), len(agents.calls)


def even(_: str, seed: int) -> Called:
    return PASSING if seed // 3 % 2 else DEAF


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (lambda _, __: PASSING, ("no difference shown", 0, 6)),
        (lambda _, __: DEAF, ("no difference shown", 0, 6)),
        (lambda name, _: PASSING if name == OLD else DEAF, ("worse", 1, 10)),
        (lambda name, _: DEAF if name == OLD else PASSING, ("better", 0, 10)),
        (even, ("no difference shown", 0, 20)),
    ],
    ids=["whole", "broken", "worse", "better", "varied"],
)
async def test_few_runs_first_and_more_where_in_doubt(
    plan: VersionPlan, agent: Agent, expected: tuple[str, int, int]
) -> None:
    assert await compared(plan, Agents(agent)) == expected


async def test_versions_alternate_with_the_same_seeds(plan: VersionPlan) -> None:
    agents = Agents(lambda _, __: PASSING)
    await compared(plan, agents)
    assert agents.calls == [(OLD, 4), (NEW, 4), (NEW, 7), (OLD, 7), (OLD, 10), (NEW, 10)]


async def test_a_version_is_compared_with_itself(plan: VersionPlan) -> None:
    """Its runs are not mistaken for the other's."""
    assert await compared(replace(plan, after=plan.before), Agents(even)) == ("no difference shown", 0, 20)


async def test_pairs_without_a_verdict_are_made_up_for_and_too_few_say_nothing(plan: VersionPlan) -> None:
    assert (await compared(plan, Agents(lambda name, seed: MUTE if (name, seed // 3) == (NEW, 1) else PASSING)))[
        :2
    ] == (
        "no difference shown",
        0,
    )
    assert (await compared(plan, Agents(lambda name, _: MUTE if name == NEW else PASSING)))[:2] == ("too few runs", 3)


async def test_a_killed_comparison_goes_on(plan: VersionPlan, tmp_path: Path) -> None:
    out = tmp_path / "runs.jsonl"

    def killed(name: str, seed: int) -> Called:
        if seed > 7:
            raise KeyboardInterrupt
        return PASSING if name == OLD else DEAF

    with pytest.raises(KeyboardInterrupt):
        await versions.run(plan, RunMaker(Agents(killed).place, ResultFile(out), lambda _: None, 1))
    assert len(ResultFile(out).runs) == 4
    later = Agents(lambda name, _: PASSING if name == OLD else DEAF)
    assert await compared(plan, later, ResultFile(out)) == ("worse", 1, 6)


async def test_lines_say_what_was_seen(plan: VersionPlan) -> None:
    agents = Agents(lambda name, _: PASSING if name == OLD else DEAF)
    found = await versions.run(plan, RunMaker(agents.place, ResultFile(None), lambda _: None, 1))
    assert versions.lines(found) == [
        "worse                5/5 (57% to 100%) → 0/5 (0% to 43%)  books",
        "worse (p = 0.016)",
    ]


async def test_an_outage_is_no_difference(plan: VersionPlan) -> None:
    def gone(name: str, _: int) -> Called:
        if name == NEW:
            raise CallFailed("unreachable")
        return PASSING

    assert (await compared(plan, Agents(gone)))[:2] == ("too few runs", 3)
