"""The table of proofs: what it says of tests that pass, fail, are skipped, or are not there."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos.proofs import PROOFS, TESTS, Collector, Proof, table

ONE = Proof("one", ("chaos/test_net.py",))
TWO = Proof("two", ("chaos/test_notify.py",))


def report(file: str, outcome: str, when: str = "call", **more: Any) -> Any:
    states = {state: outcome == state for state in ("passed", "failed", "skipped")}
    given = {"duration": 1.0, "user_properties": [], "longrepr": None} | more
    return SimpleNamespace(nodeid=f"tests/{file}::test_it", when=when, **states, **given)


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_each_proof_has_tests_of_the_topic(proof: Proof) -> None:
    assert proof.paths(), proof.files
    assert any("pytest.mark.nodes" in path.read_text() for path in proof.paths())


def test_files_belong_to_one_proof() -> None:
    paths = [path for proof in PROOFS for path in proof.paths()]
    assert len(paths) == len(set(paths)) and all(path.is_relative_to(TESTS) for path in paths)


def test_what_passes_has_its_figures_and_its_time() -> None:
    collector = Collector([ONE, TWO])
    collector.pytest_runtest_logreport(report("chaos/test_net.py", "passed", "setup"))
    collector.pytest_runtest_logreport(report("chaos/test_net.py", "passed", user_properties=[("away, s", 2.5)]))
    collector.pytest_runtest_logreport(report("elsewhere/test_x.py", "failed"))
    assert "| one | 1 passed | 2 | away, s: 2.5 |" in table(collector.results.items())
    assert collector.results[ONE].holds
    assert "| two | no test | 0 |  |" in table(collector.results.items())
    assert not collector.results[TWO].holds, "a proof that was not made does not hold"


@pytest.mark.parametrize("when", ["setup", "call", "teardown"])
def test_what_fails_is_named_whenever_it_does(when: str) -> None:
    collector = Collector([ONE])
    collector.pytest_runtest_logreport(report("chaos/test_net.py", "passed"))
    collector.pytest_runtest_logreport(report("chaos/test_net.py", "failed", when))
    assert "FAILED: test_it" in table(collector.results.items()) and not collector.results[ONE].holds


def test_what_is_skipped_says_why_and_holds_nothing() -> None:
    collector = Collector([ONE])
    skipped = report("chaos/test_net.py", "skipped", "setup", longrepr=("x.py", 1, "Skipped: it takes root"))
    collector.pytest_runtest_logreport(skipped)
    assert "0 passed, 1 skipped (it takes root)" in table(collector.results.items())
    assert not collector.results[ONE].holds
