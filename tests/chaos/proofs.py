"""What is proved of several machines, by which tests, and the table of it.

A test tells its figures with pytest's `record_property`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Proof:
    """`files`: below tests/, patterns; those of the topic `nodes` in these.  `words`: as pytest's -k, empty for all."""

    name: str
    files: tuple[str, ...]
    words: str = ""

    def paths(self) -> list[Path]:
        return [path for pattern in self.files for path in sorted(TESTS.glob(pattern))]


PROOFS = (
    # First, since it takes longest: two run at a time.
    Proof("the container image: built, and a call inside", ("e2e/test_image.py", "e2e/test_containerfile.py")),
    Proof("the network itself: delay, loss, cut, power off", ("chaos/test_net.py",)),
    Proof("planes apart are noticed, and come back", ("chaos/test_planes_apart.py",)),
    Proof("locks of a machine that vanishes are free", ("chaos/test_locks.py",)),
    Proof("PostgreSQL fails over: killed, power off, asynchronous", ("chaos/test_failover.py",)),
    Proof("organizations are kept apart through PgBouncer", ("chaos/test_pooler.py",)),
    Proof("news cost no transaction anything", ("chaos/test_notify.py",)),
    Proof(
        "the bus over three NATS servers",
        ("control/test_natsbus.py", "control/test_busfacts.py", "chaos/test_bus_apart.py"),
    ),
    Proof("recordings in SeaweedFS", ("media/test_uploader.py", "e2e/test_object_store.py")),
    Proof("calls through HAProxy, nginx, Caddy", ("e2e/test_proxies.py",)),
    Proof("floods of HAProxy and nginx", ("e2e/test_proxy_floods.py",)),
    Proof("several media processes, one dies", ("e2e/test_several_media.py",)),
    Proof("live calls handed to a new process", ("media/handover/test_*.py", "bench/test_handover.py")),
    Proof("the whole on three nodes", ("bench/test_whole_nodes.py",)),
    Proof("manifests, proxies, alerts are valid", ("deploy/test_deploy_files.py", "deploy/test_monitoring_files.py")),
    Proof("units replace planes under systemd", ("e2e/test_systemd.py",)),
)


@dataclass(slots=True)
class Result:
    """What came of a proof's tests."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0
    figures: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        if self.failed:
            return f"FAILED: {', '.join(self.failed)}"
        if self.skipped:
            return f"{self.passed} passed, {len(self.skipped)} skipped ({'; '.join(dict.fromkeys(self.skipped))})"
        return f"{self.passed} passed" if self.passed else "no test"

    @property
    def holds(self) -> bool:
        """A proof that was not made does not."""
        return bool(self.passed) and not self.failed


class Collector:
    """A plugin of pytest's: gives each test's reports to its proof."""

    def __init__(self, proofs: Sequence[Proof] = PROOFS) -> None:
        self.results = {proof: Result() for proof in proofs}
        self._of = {path: proof for proof in proofs for path in proof.paths()}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        path, _, name = report.nodeid.partition("::")
        proof = self._of.get(TESTS.parent / path)
        if proof is None:
            return
        result = self.results[proof]
        result.seconds += report.duration
        if report.failed:
            result.failed.append(name if report.when == "call" else f"{name} ({report.when})")
        elif report.skipped:
            result.skipped.append(reason(report))
        elif report.when == "call":
            result.passed += 1
            result.figures += [f"{what}: {value}" for what, value in report.user_properties]


def reason(report: pytest.TestReport) -> str:
    """Why a test was skipped."""
    return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else "skipped"


def table(results: Iterable[tuple[Proof, Result]]) -> str:
    """Markdown."""
    lines = ["| proof | result | seconds | figures |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {proof.name} | {result.word} | {result.seconds:.0f} | {'; '.join(result.figures)} |"
        for proof, result in results
    ]
    return "\n".join(lines)
