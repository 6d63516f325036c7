"""The runs of a suite, one after the other: three verdicts, repetitions of what says nothing, and what was finished before a kill."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals import checks, validity
from evals.checks import CarrierAudio, Evidence
from evals.flowfile import FlowFile, tool_refusals
from evals.results import ResultFile, Run, junit
from evals.scenario import BadSuite, Scenario, Suite
from evals.validity import Conduct

#: How often an invalid run is repeated with the next seed, and an error with the same one: a later start tries errors anew.
MOST_INVALID, MOST_ERRORS = 2, 1
#: The carrier's frames are late by more on a busy machine; so may each process be that an answer passes.
MOST_LATENESS_MS, LATE_PROCESSES = 50, 3

#: Figures for who looks into a run, which are in the results' file alone.
DETAILS = frozenset({"call_id", "transcript", "caller_heard", "state"})


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
    chosen = [(folder, scenario) for folder, scenario in suite.scenarios if only.lower() in scenario.name.lower()]
    if not chosen:
        names = ", ".join(scenario.name for _, scenario in suite.scenarios)
        raise BadSuite(f"no scenario has {only!r} in its name; there are {names}")
    flows = {scenario.name: FlowFile.load(flow or folder / scenario.flow) for folder, scenario in chosen}
    refused = [
        sentence
        for _, scenario in chosen
        for sentence in tool_refusals(scenario, flows[scenario.name], suite.where[scenario.name])
    ]
    if refused:
        raise BadSuite("\n".join(refused))
    return SuitePlan(Suite(chosen, suite.where), flows, seed, junit_path)


async def run(
    plan: SuitePlan, place: Place, results: ResultFile, tell: Callable[[str], None]
) -> Sequence[tuple[Scenario, Sequence[Run]]]:
    """Run what is not in `results` yet; write each run and the JUnit file as it ends."""
    for _, scenario in plan.suite.scenarios:
        flow = plan.flows[scenario.name]
        mark = fingerprint(scenario, flow)
        for number in range(1, scenario.runs + 1):
            await _run_until_judged(plan, scenario, flow, (mark, number), place, results, tell)
            plan.write_junit(results)
    return plan.runs(results)


async def _run_until_judged(
    plan: SuitePlan,
    scenario: Scenario,
    flow: FlowFile,
    key: tuple[str, int],
    place: Place,
    results: ResultFile,
    tell: Callable[[str], None],
) -> None:
    mark, number = key
    before = [run for run in results.of(scenario.name, mark) if run.number == number]
    if any(run.verdict in {"passed", "failed"} for run in before):
        return
    invalid, errors = sum(run.verdict == "invalid" for run in before), 0
    while invalid <= MOST_INVALID and errors <= MOST_ERRORS:
        seed = plan.seed + number * (MOST_INVALID + 1) + invalid
        try:
            made = judge(scenario, mark, number, seed, await place(scenario, flow, seed))
        except CallFailed as error:
            made = Run(scenario.name, mark, number, seed, "error", (("infrastructure", str(error)),))
        results.append(made)
        tell(f"{scenario.name} {number}/{scenario.runs}: {_described(made)}")
        if made.verdict in {"passed", "failed"}:
            return
        invalid += made.verdict == "invalid"
        errors += made.verdict == "error"


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
        "transcript": [f"{turn['role']}: {turn['text']}" for turn in record["transcript"]],
        "caller_heard": list(called.caller_heard),
        "state": called.state,
    }
    faults = validity.faults(scenario.facts, turns, called.conduct) if scenario.brain == "facts" else []
    if faults:
        return Run(scenario.name, mark, number, seed, "invalid", [("caller", fault) for fault in faults], figures)
    late_ms = LATE_PROCESSES * round(called.lateness_ms) if called.lateness_ms > MOST_LATENESS_MS else 0
    evidence = Evidence(record, called.streams, called.state)
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


def fingerprint(scenario: Scenario, flow: FlowFile) -> str:
    """Return the same for the same scenario and flow, and another when either was changed."""
    parts = [scenario.model_dump(mode="json"), flow.flow, flow.stand_in, flow.tools]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
