"""The command python -m bench.whole: calls, texts and requests on three nodes; one dies, one is cut off, one is deployed.

Prints the effects of each on callers.  Takes root, iproute2 and HAProxy; some four minutes.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop

from bench.whole.judge import Disturbance, Facts, Row, rows, table
from bench.whole.nodes import Machines, machines, missing

QUIET, DIES, BACK, CUT, HEALED, DEPLOY, LAST = (
    "nothing", "a is killed", "a is back", "b is cut off from the database", "b is back", "c is deployed", "calls end",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Course:
    """The load, and the length of each phase in seconds."""

    calls: int = 12
    call_seconds: float = 20.0
    texts_per_second: float = 3.0
    requests_per_second: float = 8.0
    phase_seconds: float = 25.0
    away_seconds: float = 15.0
    #: Whether the node that was killed is started again.
    restarts: bool = True

    def load(self) -> dict[str, float]:
        return {
            "calls": self.calls,
            "call_seconds": self.call_seconds,
            "texts_per_second": self.texts_per_second,
            "requests_per_second": self.requests_per_second,
        }


@dataclass
class Trial:
    """The actions and their times."""

    course: Course
    begun: list[tuple[str, float]] = field(default_factory=list)

    async def run(self, nodes: Machines) -> Facts:
        course = self.course
        await nodes.load()
        await self._phase(QUIET, course.phase_seconds)
        self._begin(DIES)
        nodes.kill("a")
        await asyncio.sleep(course.away_seconds)
        if course.restarts:
            self._begin(BACK)
            await nodes.start("a")
            await self._finish_phase(course.phase_seconds)
        self._begin(CUT)
        nodes.cut("b")
        await asyncio.sleep(course.away_seconds)
        self._begin(HEALED)
        nodes.heal()
        await self._finish_phase(course.phase_seconds)
        self._begin(DEPLOY)
        await nodes.start("c", "--replace")
        await self._finish_phase(course.phase_seconds)
        self._begin(LAST)
        return await nodes.facts()

    def phases(self) -> list[Disturbance]:
        ends = [at for _, at in self.begun[1:]] + [float("inf")]
        return [Disturbance(name, at, end) for (name, at), end in zip(self.begun, ends, strict=True)]

    def _begin(self, name: str) -> None:
        self.begun.append((name, time.monotonic()))
        sys.stderr.write(f"{name}\n")

    async def _phase(self, name: str, seconds: float) -> None:
        self._begin(name)
        await asyncio.sleep(seconds)

    async def _finish_phase(self, seconds: float) -> None:
        """Wait until the phase has lasted `seconds`."""
        await asyncio.sleep(max(0.0, self.begun[-1][1] + seconds - time.monotonic()))


async def measure(course: Course, home: Path) -> tuple[list[Row], Facts]:
    async with machines(home, course.load()) as made:
        trial = Trial(course)
        facts = await trial.run(made)
    phases = trial.phases()
    (home / "facts.json").write_text(json.dumps([asdict(facts), [asdict(phase) for phase in phases]]))
    return rows(facts, phases), facts


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.whole", description=__doc__)
    parser.add_argument("--calls", type=int, default=Course().calls, help="calls at once")
    parser.add_argument("--keep", type=Path, help="a folder for logs, data and facts.json; unset: none is kept")
    options = parser.parse_args(argv)
    if missing_parts := missing():
        sys.stderr.write("\n".join(missing_parts) + "\n")
        return 2
    course = Course(calls=options.calls)
    with tempfile.TemporaryDirectory(prefix="whole.") as folder:
        home = options.keep or Path(folder)
        home.mkdir(exist_ok=True)
        home.chmod(0o755)
        table_rows, facts = uvloop.run(measure(course, home))
    print(table(table_rows))
    print(f"{course.calls} calls at once; the outside itself was late by up to {facts.stalled_seconds:.2f} s")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
