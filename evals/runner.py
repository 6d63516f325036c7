"""The runs of a suite: three verdicts, repetitions of what says nothing, and what was finished before a kill."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evals import checks, validity
from evals.checks import CallEvidence, CarrierAudio
from evals.flowfile import FlowFile, tool_refusals
from evals.matching import PatternTooSlow
from evals.results import ResultFile, Run, junit
from evals.scenario import BadSuite, Scenario, Suite
from evals.validity import Conduct
from hum.clock import monotonic_ms

#: How often an invalid run is repeated with the next seed, and an error with the same one: a later start tries errors anew.
MOST_INVALID, MOST_ERRORS = 2, 1
#: The carrier's frames are late by more on a busy machine; so may each process be that an answer passes.
MOST_LATENESS_MS, LATE_PROCESSES = 50, 3

#: Of the scenarios, in a refusal.
SHOWN_NAMES = 20
#: Figures for who looks into a run, which are in the results' file alone.
DETAILS = frozenset({"call_id", "transcript", "caller_heard", "state", "audio"})


@dataclass(frozen=True, slots=True)
class Called:
    """What came of one call."""

    record: Mapping[str, Any]
    streams: Sequence[CarrierAudio]
    conduct: Conduct
    gave_up: bool
    seconds: float
    lateness_ms: float
    caller_heard: Sequence[str]
    #: The state of the tools' world at the end, and what the suite had no answer for.
    state: Mapping[str, Any] = field(default_factory=dict)
    gaps: Sequence[str] = ()
    #: Both sides as the carrier had them, the caller on the left.
    wav: bytes = b""


class CallFailed(Exception):  # noqa: N818
    """No call came about, or its record is missing: the infrastructure's failure."""


Place = Callable[[Scenario, FlowFile, int], Awaitable[Called]]


@dataclass(frozen=True, slots=True)
class SuitePlan:
    """What is to be run; `flows` by the scenario's name."""

    suite: Suite
    flows: Mapping[str, FlowFile]
    seed: int
    junit_path: Path | None = None

    @property
    def calls(self) -> int:
        return sum(scenario.runs for _, scenario in self.suite.scenarios)

    @property
    def most_minutes(self) -> float:
        """How long the calls may last, without repetitions."""
        return sum(scenario.runs * scenario.most_seconds for _, scenario in self.suite.scenarios) / 60

    def runs(self, results: ResultFile) -> Sequence[tuple[Scenario, Sequence[Run]]]:
        """Return each scenario with its runs so far."""
        return [
            (scenario, results.of(scenario.name, fingerprint(scenario, self.flows[scenario.name])))
            for _, scenario in self.suite.scenarios
        ]

    def write_junit(self, results: ResultFile) -> None:
        """Write the report; a scenario that was not run yet is an error in it.  Raises OSError."""
        if self.junit_path is not None:
            self.junit_path.write_bytes(junit(self.runs(results)))


def plan(suite: Suite, only: str, flow: Path | None, seed: int, junit_path: Path | None) -> SuitePlan:
    """Choose the scenarios whose name has `only` in it, and read their flows, or `flow` for all.  Raises BadSuite."""
    chosen = choose(suite, only)
    return SuitePlan(chosen, flows_of(chosen, flow), seed, junit_path)


def choose(suite: Suite, only: str) -> Suite:
    """Return the scenarios whose name has `only` in it.  Raises BadSuite if there is none."""
    chosen = [(folder, scenario) for folder, scenario in suite.scenarios if only.lower() in scenario.name.lower()]
    if not chosen:
        names = ", ".join(scenario.name for _, scenario in suite.scenarios[:SHOWN_NAMES])
        raise BadSuite(f"no scenario has {only!r} in its name; there are {names}")
    return Suite(chosen, suite.where)


def flows_of(suite: Suite, flow: Path | None) -> Mapping[str, FlowFile]:
    """Return each scenario's flow, or `flow` for all.  Raises BadSuite, also for tools that the scenario's world does not fit."""
    files: dict[Path, FlowFile] = {}
    flows = dict[str, FlowFile]()
    for folder, scenario in suite.scenarios:
        path = flow or folder / scenario.flow
        if path not in files:
            files[path] = FlowFile.load(path)
        flows[scenario.name] = files[path]
    refused = [
        sentence
        for _, scenario in suite.scenarios
        for sentence in tool_refusals(scenario, flows[scenario.name], suite.where[scenario.name])
    ]
    if refused:
        raise BadSuite("\n".join(refused))
    return flows


class RunMaker:
    """Places calls until each run has a verdict, within the minutes of the budget."""

    def __init__(
        self,
        place: Place,
        results: ResultFile,
        tell: Callable[[str], None],
        seed: int,
        budget_minutes: float | None = None,
        clock_ms: Callable[[], float] = monotonic_ms,
    ) -> None:
        self._place, self._results, self._tell, self._seed = place, results, tell, seed
        self._clock_ms, self._until_ms = (
            clock_ms,
            None if budget_minutes is None else clock_ms() + budget_minutes * 60_000,
        )
        self._has_stopped = False

    async def make(self, scenario: Scenario, flow: FlowFile, mark: str, number: int) -> Run | None:
        """Return the run with this number, of an earlier start or new; None if it has no verdict."""
        before = [run for run in self._results.of(scenario.name, mark) if run.number == number]
        if judged := [run for run in before if run.verdict in {"passed", "failed"}]:
            return judged[0]
        invalid, errors = sum(run.verdict == "invalid" for run in before), 0
        while invalid <= MOST_INVALID and errors <= MOST_ERRORS and self._may_call(scenario):
            seed = self._seed + number * (MOST_INVALID + 1) + invalid
            try:
                called = await self._place(scenario, flow, seed)
                made = judge(scenario, mark, number, seed, called)
                if name := self._results.keep_audio(called.wav):
                    made = replace(made, figures={**made.figures, "audio": name})
            except (CallFailed, PatternTooSlow) as error:
                made = Run(scenario.name, mark, number, seed, "error", (("infrastructure", str(error)),))
            self._results.append(made)
            self._tell(f"{scenario.name} {number}: {_described(made)}")
            if made.verdict in {"passed", "failed"}:
                return made
            invalid += made.verdict == "invalid"
            errors += made.verdict == "error"
        return None

    def _may_call(self, scenario: Scenario) -> bool:
        """Tell whether a call of this scenario ends within the budget, however long it lasts."""
        if self._until_ms is None or self._clock_ms() + scenario.most_seconds * 1000 <= self._until_ms:
            return True
        if not self._has_stopped:
            self._has_stopped = True
            self._tell("The budget does not allow another call; start again with the same --out to go on.")
        return False


async def run(plan: SuitePlan, maker: RunMaker, results: ResultFile, jobs: int = 1) -> None:
    """Run what is not in `results` yet, up to `jobs` calls of one flow beside each other; write the JUnit file as each run ends."""

    async def work(runs: Iterator[tuple[Scenario, int]]) -> None:
        for scenario, number in runs:
            flow = plan.flows[scenario.name]
            await maker.make(scenario, flow, fingerprint(scenario, flow), number)
            plan.write_junit(results)

    for scenarios in _by_flow(plan):
        runs = ((scenario, number) for scenario in scenarios for number in range(1, scenario.runs + 1))
        async with asyncio.TaskGroup() as group:
            for _ in range(jobs):
                group.create_task(work(runs))


def _by_flow(plan: SuitePlan) -> Sequence[Sequence[Scenario]]:
    """Return the scenarios in order, those of one flow together: the number and the stand-in model have one flow at a time."""
    groups: list[tuple[FlowFile, list[Scenario]]] = []
    for _, scenario in plan.suite.scenarios:
        flow = plan.flows[scenario.name]
        together = next((scenarios for other, scenarios in groups if other == flow), None)
        if together is None:
            groups.append((flow, [scenario]))
        else:
            together.append(scenario)
    return [scenarios for _, scenarios in groups]


def _described(run: Run) -> str:
    """Return a run's verdict, figures and reasons, in lines."""
    figures = ", ".join(f"{name} {value}" for name, value in run.figures.items() if name not in DETAILS)
    reasons = "".join(f"\n    {kind}: {sentence}" for kind, sentence in run.reasons)
    return f"{run.verdict}{f' ({figures})' if figures else ''}{reasons}"


def judge(scenario: Scenario, mark: str, number: int, seed: int, called: Called) -> Run:
    """Judge the caller first, and the agent then.  Pure."""
    record = called.record
    turns = [checks.heard({"transcript": [turn]}) for turn in record["transcript"] if turn["role"] == "agent"]
    answers = checks.first_answers_ms(record)
    figures = {
        "seconds": round(called.seconds, 1),
        "turns": len(record["transcript"]),
        "first_answer_p95_ms": checks.percentile(answers, 0.95),
        "ledger_error_ms": round(checks.ledger_error_ms(record, called.streams)),
        "lateness_ms": round(called.lateness_ms),
        "call_id": record.get("id", ""),
        "transcript": [_turn(turn) for turn in record["transcript"]],
        "caller_heard": list(called.caller_heard),
        "state": called.state,
    }
    faults = validity.faults(scenario.facts, turns, called.conduct) if scenario.brain == "facts" else []
    if faults:
        return Run(scenario.name, mark, number, seed, "invalid", [("caller", fault) for fault in faults], figures)
    late_ms = LATE_PROCESSES * round(called.lateness_ms) if called.lateness_ms > MOST_LATENESS_MS else 0
    evidence = CallEvidence(record, called.streams, called.state)
    failures = checks.judge(scenario.expect, evidence, late_ms)
    if not failures and not called.gave_up and not called.gaps and checks.judge(scenario.expect, evidence):
        late = f"the machine was late by {called.lateness_ms:.0f} ms, so latency is not judged"
        return Run(scenario.name, mark, number, seed, "error", [("infrastructure", late)], figures)
    reasons = [(failure.kind, failure.sentence) for failure in failures]
    reasons += [("tool", gap) for gap in called.gaps]
    if called.gave_up:
        reasons.append(("ended", "dead air: the caller gave up waiting"))
    reasons += [
        ("understanding", f"the agent never asked for {name!r}")
        for name in scenario.facts
        if reasons and name not in called.conduct.facts
    ]
    return Run(scenario.name, mark, number, seed, "failed" if reasons else "passed", reasons, figures)


def _turn(turn: Mapping[str, Any]) -> dict[str, Any]:
    names = {"role": "role", "text": "text", "heard_text": "heard", "start_ms": "start_ms", "end_ms": "end_ms"}
    return {name: turn[key] for key, name in names.items() if turn.get(key) is not None}


def fingerprint(scenario: Scenario, flow: FlowFile) -> str:
    """Return the same for the same scenario and flow, and another when either was changed."""
    parts = [scenario.model_dump(mode="json"), flow.flow, flow.stand_in, flow.tools]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
