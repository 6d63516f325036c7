"""A suite of one scenario, calls that came of it, and a telephone that has them."""

from dataclasses import replace
from typing import Any

from evals import runner
from evals.brains import Action
from evals.flowfile import FlowFile
from evals.results import ResultFile
from evals.runner import Called, CallFailed, RunMaker, SuitePlan
from evals.scenario import Scenario
from evals.validity import Conduct

SUITE = """\
- name: books
  flow: flow.yaml
  facts:
    wish: {say: A cleaning., when: help you}
  expect:
    - understood: cleaning
    - first_answer_p95_ms: 1500
  runs: 1
"""
FLOW = "flow: {name: Clinic}\nstand_in: {otherwise: Hm.}\n"
WISH = Action("say", "A cleaning.", ("wish",))
PASSING = Called(
    record={
        "transcript": [
            {"role": "agent", "text": "How can I help you?"},
            {"role": "caller", "text": "A cleaning."},
            {"role": "agent", "text": "Goodbye."},
        ],
        "latency": {"turns": [{"first_answer_ms": 800}]},
        "interruptions": [],
        "tool_activity": [],
    },
    streams=[],
    conduct=Conduct([WISH]),
    gave_up=False,
    seconds=20.0,
    lateness_ms=10.0,
    caller_heard=["How can I help you?"],
)
DEAF = replace(PASSING, record={**PASSING.record, "transcript": [{"role": "agent", "text": "How can I help you?"}]})
SLOW = replace(PASSING, record={**PASSING.record, "latency": {"turns": [{"first_answer_ms": 4_000}]}})
MUTE = replace(PASSING, conduct=Conduct([]))
#: Late by less than the machine may have been, and by more.
LATE = replace(
    PASSING, record={**PASSING.record, "latency": {"turns": [{"first_answer_ms": 2_000}]}}, lateness_ms=200.0
)
SLOW_AND_LATE = replace(SLOW, lateness_ms=200.0)
UNREACHED = CallFailed("the call was not connected")


class Line:
    """A telephone whose calls are written down."""

    def __init__(self, *calls: Called | Exception) -> None:
        self._calls = iter(calls)
        self.seeds: list[int] = []

    async def place(self, _scenario: Scenario, _flow: FlowFile, seed: int) -> Called:
        self.seeds.append(seed)
        call = next(self._calls)
        if isinstance(call, Exception):
            raise call
        return call


async def run(plan: SuitePlan, line: Line, file: ResultFile, jobs: int = 1, **options: Any) -> list[str]:
    told: list[str] = []
    await runner.run(plan, RunMaker(line.place, file, told.append, plan.seed, **options), file, jobs)
    return told
