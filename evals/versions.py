"""Two versions of a flow in the same scenarios: runs in pairs, with the same seed, one version after the other and then the other way round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.flowfile import FlowFile
from evals.results import FAILED, NO_VERDICT, PASSED
from evals.runner import RunMaker, fingerprint
from evals.scenario import Scenario, Suite
from evals.statistics import FIRST_PAIRS, MOST_PAIRS, Comparison, Pair, ScenarioComparison, compare, wanted_pairs

#: Pairs without a verdict of both are made up for.
SPARE_PAIRS = 3
VERSIONS = ("before", "after")


@dataclass(frozen=True, slots=True)
class VersionPlan:
    """The scenarios, and both versions' flows by the scenario's name."""

    suite: Suite
    before: Mapping[str, FlowFile]
    after: Mapping[str, FlowFile]

    @property
    def calls(self) -> tuple[int, int]:
        """Return how many calls there are at least and at most, without repetitions."""
        count = 2 * len(self.suite.scenarios)
        return count * FIRST_PAIRS, count * MOST_PAIRS

    @property
    def minutes(self) -> tuple[float, float]:
        """Return how long these may last."""
        seconds = 2 * sum(scenario.most_seconds for _, scenario in self.suite.scenarios)
        return seconds * FIRST_PAIRS / 60, seconds * MOST_PAIRS / 60


async def run(plan: VersionPlan, maker: RunMaker) -> Comparison:
    """Make pairs, of each scenario in turn, until no scenario needs more, or there are no more to make."""
    scenarios = [scenario for _, scenario in plan.suite.scenarios]
    pairs: dict[str, list[Pair]] = {scenario.name: [] for scenario in scenarios}
    for number in range(1, MOST_PAIRS + SPARE_PAIRS + 1):
        for scenario in scenarios:
            made = pairs[scenario.name]
            if len(made) < wanted_pairs(made, len(scenarios)) and (pair := await _pair(plan, maker, scenario, number)):
                made.append(pair)
    return compare(pairs)


async def _pair(plan: VersionPlan, maker: RunMaker, scenario: Scenario, number: int) -> Pair | None:
    passed = dict[str, bool]()
    # What grows warm or slow in the course of the runs is no advantage of either.
    for version in VERSIONS if number % 2 else reversed(VERSIONS):
        flow = (plan.before if version == "before" else plan.after)[scenario.name]
        # Also of a version that is compared with itself.
        mark = f"{fingerprint(scenario, flow)} {version}"
        made = await maker.make(scenario, flow, mark, number)
        if made is None:
            return None
        passed[version] = made.verdict == "passed"
    return passed["before"], passed["after"]


def status(comparison: Comparison) -> int:
    """Return the process's exit status."""
    if comparison.change in {"worse", "mixed"}:
        return FAILED
    return NO_VERDICT if comparison.change == "too few runs" else PASSED


def lines(comparison: Comparison) -> Sequence[str]:
    """Return a line for each scenario, and one for the whole."""
    rows = [_line(name, scenario) for name, scenario in comparison.scenarios.items()]
    return [*rows, f"{comparison.change} (p = {comparison.p:.2g})"]


def _line(name: str, found: ScenarioComparison) -> str:
    rates = " → ".join(
        f"{passed}/{found.pairs} ({low:.0%} to {high:.0%})"
        for passed, (low, high) in zip(found.passed, found.intervals, strict=True)
    )
    return f"{found.change:20} {rates}  {name}"
