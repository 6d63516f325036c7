"""Comparisons of versions: known values, computed anew by enumeration, and as few false alarms as are promised."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from random import Random

import pytest

from evals.statistics import (
    LEVEL,
    MOST_PAIRS,
    Comparison,
    Pair,
    compare,
    fisher,
    holm,
    sequential_p,
    sign_test,
    wanted_pairs,
    wilson,
)


@pytest.mark.parametrize(
    ("passed", "total", "low", "high"),
    [(3, 3, 0.44, 1.0), (5, 5, 0.57, 1.0), (10, 10, 0.72, 1.0), (0, 10, 0.0, 0.28), (4, 5, 0.38, 0.96), (0, 0, 0.0, 1.0)],
)  # fmt: skip
def test_wilson_is_known(passed: int, total: int, low: float, high: float) -> None:
    assert wilson(passed, total) == pytest.approx((low, high), abs=0.005)


@pytest.mark.parametrize("total", [1, 3, 10, 100])
def test_wilson_s_ends_are_the_rates_that_are_just_believable(total: int) -> None:
    for passed in range(total + 1):
        for rate in wilson(passed, total):
            if 1e-9 < rate < 1 - 1e-9:
                deviations = abs(passed / total - rate) / math.sqrt(rate * (1 - rate) / total)
                assert deviations == pytest.approx(1.959964, rel=1e-5)


def enumerated_fisher(passed: tuple[int, int], totals: tuple[int, int]) -> float:
    """Place the passes on all runs in every way."""
    runs, both = range(sum(totals)), sum(passed)
    counts = [sum(place < totals[0] for place in places) for places in combinations(runs, both)]
    rarity = counts.count(passed[0])
    return sum(counts.count(count) <= rarity for count in counts) / len(counts)


@pytest.mark.parametrize("totals", [(3, 3), (5, 5), (4, 6)])
def test_fisher_is_what_enumeration_says(totals: tuple[int, int]) -> None:
    for passed in product(range(totals[0] + 1), range(totals[1] + 1)):
        assert fisher(passed, totals) == pytest.approx(enumerated_fisher(passed, totals)), passed


def test_the_sign_test_is_what_enumeration_says() -> None:
    for count in range(1, 9):
        flips = [sum(signs) for signs in product((0, 1), repeat=count)]
        for better in range(count + 1):
            distance = abs(better - count / 2)
            share = sum(abs(flip - count / 2) >= distance for flip in flips) / len(flips)
            assert sign_test(better, count - better) == pytest.approx(share), (better, count)
    assert sign_test(0, 0) == 1


@pytest.mark.parametrize(
    ("ps", "falls"),
    [
        ([0.01, 0.04, 0.03], [True, False, False]),
        ([0.01, 0.02, 0.03], [True, True, True]),
        ([0.02, 0.02, 0.02], [False, False, False]),
        ([0.2, 0.001], [False, True]),
        ([], []),
    ],
)
def test_holm_goes_on_until_one_stands(ps: Sequence[float], falls: Sequence[bool]) -> None:
    assert holm(ps) == falls


def pairs(before: str, after: str) -> list[Pair]:
    return [(old == "+", new == "+") for old, new in zip(before, after, strict=True)]


@pytest.mark.parametrize(
    ("before", "after", "scenarios", "wanted"),
    [
        ("", "", 1, 3),
        ("++", "+-", 1, 3),
        ("+++", "+++", 1, 3),
        ("---", "---", 1, 3),
        ("+++", "++-", 1, 5),
        ("+++", "---", 1, 5),
        ("+++++", "-----", 1, 5),
        ("+++++", "-----", 20, 10),
        ("+++++", "++---", 1, 10),
        ("++++++++++", "++++++++--", 1, 10),
    ],
)
def test_more_runs_where_in_doubt(before: str, after: str, scenarios: int, wanted: int) -> None:
    assert wanted_pairs(pairs(before, after), scenarios) == wanted


ALIKE = pairs("+++", "+++")


@pytest.mark.parametrize(
    ("scenarios", "whole", "first"),
    [
        ({"a": ALIKE}, "no difference shown", "no difference shown"),
        ({"a": pairs("+++++", "-----")}, "worse", "worse"),
        ({"a": pairs("-----", "+++++")}, "better", "better"),
        ({"a": pairs("+++", "++-")}, "too few runs", "too few runs"),
        ({"a": pairs("++++++++++", "++++++++--")}, "no difference shown", "no difference shown"),
        ({"a": pairs("+" * 10, "-" * 10), "b": pairs("-" * 10, "+" * 10)}, "mixed", "worse"),
        ({"a": pairs("+" * 10, "-" * 8 + "++"), **{str(n): ALIKE for n in range(19)}}, "worse", "worse"),
        ({"a": pairs("+++++", "-----"), **{str(n): ALIKE for n in range(19)}}, "too few runs", "too few runs"),
        # Each a little worse, none alone enough.
        ({name: pairs("+" * 10, "+" * 7 + "---") for name in "abcdef"}, "worse", "no difference shown"),
    ],
)
def test_a_verdict_and_never_a_bare_difference(scenarios: Mapping[str, Sequence[Pair]], whole: str, first: str) -> None:
    found = compare(scenarios)
    assert (found.change, found.scenarios[next(iter(scenarios))].change) == (whole, first)


def test_intervals_stand_beside_the_verdict() -> None:
    before, after = compare({"a": pairs("+++++", "-----")}).scenarios["a"].intervals
    assert before == wilson(5, 5)
    assert after == wilson(0, 5)


def drawn(random: Random, rates: Sequence[tuple[float, float]]) -> Comparison:
    """Draw runs as `hum eval compare` makes them, until each scenario is done."""
    made: dict[str, list[Pair]] = {str(number): [] for number in range(len(rates))}
    for (before, after), scenario in zip(rates, made.values(), strict=True):
        while len(scenario) < wanted_pairs(scenario, len(rates)):
            scenario.append((random.random() < before, random.random() < after))
        assert len(scenario) <= MOST_PAIRS
    return compare(made)


def test_a_version_is_not_worse_than_itself() -> None:
    random = Random(20)
    suites = [[(rate, rate) for rate in random.choices((0.5, 0.7, 0.9, 0.95, 1.0), k=8)] for _ in range(20)]
    assert [drawn(random, suite).change for suite in suites].count("worse") <= 1


def test_no_more_false_alarms_than_the_level() -> None:
    random = Random(21)
    alarms = sum(
        drawn(random, [(rate, rate) for rate in rates]).change in {"better", "worse", "mixed"}
        for rates in [(0.5,), (0.8,) * 3, (0.6, 0.9), (0.5,) * 10] * 150
    )
    assert alarms <= LEVEL * 600


def test_what_is_broken_outright_is_found() -> None:
    random = Random(22)
    for _ in range(50):
        found = drawn(random, [(1.0, 0.0)] * 3 + [(0.98, 0.98)] * 17)
        assert [found.scenarios[str(number)].change for number in range(3)] == ["worse"] * 3
        assert found.change == "worse"


def test_looking_twice_is_paid_for() -> None:
    assert sequential_p(pairs("+++++", "-----")) == pytest.approx(2 * fisher((5, 0), (5, 5)))
    assert sequential_p(pairs("+++", "---")) == 1
