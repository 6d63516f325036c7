"""Whether one version is better than another, from few runs.  Pure.

Each pair is a run of both versions with the same seed, as (passed, passed).  A scenario gets 3 pairs; while these are all alike, it is
done, else it gets 5, and 10.  It is looked at twice, after 5 pairs and after 10, each with half of the error, so that looking early adds
none; Holm's procedure corrects for the number of scenarios and for the comparison of the whole.  Of all comparisons of a
version with itself, at most `LEVEL` show any difference, in either direction.

Example: 5 of 5 passed before and 0 of 5 now: Fisher's exact p is 0.008, which counts as 0.016 at the first look.  One scenario alone is
worse then (two hypotheses, it and the whole: 0.025); one of 20 needs all 10 pairs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

#: How often a comparison of a version with itself may show a difference.
LEVEL = 0.05
#: Pairs, and the share of the error that a scenario may be judged with then.
LOOKS = ((5, 0.5), (10, 0.5))
FIRST_PAIRS, MOST_PAIRS = 3, LOOKS[-1][0]
#: Of the normal distribution, for intervals of 95 %.
Z_95 = 1.959963984540054

Pair = tuple[bool, bool]
Change = Literal["better", "worse", "no difference shown", "too few runs"]


@dataclass(frozen=True, slots=True)
class ScenarioComparison:
    """What `pairs` runs of both versions show; `p` is corrected for looking twice, and not for other scenarios."""

    change: Change
    pairs: int
    passed: tuple[int, int]
    p: float

    @property
    def intervals(self) -> tuple[tuple[float, float], tuple[float, float]]:
        before, after = self.passed
        return wilson(before, self.pairs), wilson(after, self.pairs)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The verdict of the whole, and of each scenario."""

    change: Literal["better", "worse", "mixed", "no difference shown", "too few runs"]
    p: float
    scenarios: Mapping[str, ScenarioComparison]


def wilson(passed: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Return the interval of Wilson's score in which the true rate is."""
    if total == 0:
        return 0.0, 1.0
    rate, square = passed / total, z * z / total
    centre = (rate + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(rate * (1 - rate) / total + square / (4 * total))
    return max(0.0, centre - half), min(1.0, centre + half)


@cache
def fisher(passed: tuple[int, int], totals: tuple[int, int]) -> float:
    """Return the two-sided p of Fisher's exact test: how likely a table as unlikely as this is, if both have the same rate."""
    all_passed, runs = sum(passed), sum(totals)

    def ways(first: int) -> int:
        return math.comb(totals[0], first) * math.comb(totals[1], all_passed - first)

    possible = range(max(0, all_passed - totals[1]), min(totals[0], all_passed) + 1)
    seen = ways(passed[0])
    return sum(count for first in possible if (count := ways(first)) <= seen) / math.comb(runs, all_passed)


@cache
def sign_test(better: int, worse: int) -> float:
    """Return the two-sided p of so many pairs in each direction, if both directions are as likely."""
    count, fewer = better + worse, min(better, worse)
    ways = sum(math.comb(count, number) for number in range(fewer + 1))
    return min(1.0, 2 * ways / (1 << count))


def holm(ps: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Tell which hypotheses fall, if at most `level` of all families may lose a true one."""
    falls = [False] * len(ps)
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        if ps[index] > level / (len(ps) - rank):
            break
        falls[index] = True
    return falls


def wanted_pairs(pairs: Sequence[Pair], scenarios: int) -> int:
    """Return how many pairs a scenario of so many should have by now: more than it has, or it is done."""
    if len(pairs) < FIRST_PAIRS:
        return FIRST_PAIRS
    if len({outcome for pair in pairs for outcome in pair}) < 2:
        return len(pairs)
    for look, _ in LOOKS:
        if len(pairs) < look:
            return look
        # The strictest step of Holm's procedure, with the whole as one more hypothesis: it falls whatever the others show.
        if sequential_p(pairs[:look]) <= LEVEL / (scenarios + 1):
            break
    return len(pairs)


def sequential_p(pairs: Sequence[Pair]) -> float:
    """Return a scenario's p over all looks so far."""
    ps = [1.0]
    for look, share in LOOKS:
        if len(pairs) >= look:
            first = pairs[:look]
            ps.append(fisher(_passed(first), (look, look)) / share)
    return min(ps)


def compare(pairs: Mapping[str, Sequence[Pair]]) -> Comparison:
    """Compare two versions by the pairs of each scenario."""
    ps = [sequential_p(scenario) for scenario in pairs.values()]
    stopped = any(
        len(each) < MOST_PAIRS and p <= LEVEL / (len(pairs) + 1) for each, p in zip(pairs.values(), ps, strict=True)
    )
    flat = [pair for scenario in pairs.values() for pair in scenario]
    better, worse = sum(after > before for before, after in flat), sum(after < before for before, after in flat)
    # Once a scenario has stopped early, the number of its pairs is no accident; the whole is known by it then.
    whole_p = 1.0 if stopped else sign_test(better, worse)
    falls = holm([*ps, whole_p])
    scenarios = {
        name: ScenarioComparison(
            _change(scenario, len(pairs), falls=falls[number]), len(scenario), _passed(scenario), ps[number]
        )
        for number, (name, scenario) in enumerate(pairs.items())
    }
    changes = {scenario.change for scenario in scenarios.values()}
    if {"better", "worse"} <= changes:
        return Comparison("mixed", min(ps), scenarios)
    for change in ("worse", "better"):
        if change in changes:
            return Comparison(change, min(ps), scenarios)
    if falls[-1]:
        return Comparison("worse" if worse > better else "better", whole_p, scenarios)
    return Comparison("too few runs" if "too few runs" in changes else "no difference shown", whole_p, scenarios)


def _change(pairs: Sequence[Pair], scenarios: int, *, falls: bool) -> Change:
    if not falls:
        return "no difference shown" if len(pairs) >= wanted_pairs(pairs, scenarios) else "too few runs"
    before, after = _passed(pairs)
    return "better" if after > before else "worse"


def _passed(pairs: Sequence[Pair]) -> tuple[int, int]:
    return sum(before for before, _ in pairs), sum(after for _, after in pairs)
