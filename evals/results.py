"""Runs and their verdicts; as lines of JSON, of which a later start goes on; as JUnit XML."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

import msgspec

from evals.scenario import Scenario

Verdict = Literal["passed", "failed", "invalid", "error"]
#: Of the process.
PASSED, FAILED, IMPOSSIBLE, NO_VERDICT = 0, 1, 2, 3
MOST_INVALID = 0.2


@dataclass(frozen=True, slots=True)
class Run:
    """One call.  `fingerprint` names the scenario and the flow as they were."""

    scenario: str
    fingerprint: str
    number: int
    seed: int
    verdict: Verdict
    #: (kind, sentence) of what failed; reasons of an invalid run have the kind `caller`, of an error `infrastructure`.
    reasons: Sequence[tuple[str, str]] = ()
    figures: dict[str, Any] = field(default_factory=dict)


class ResultFile:
    """A file of runs, written one by one; a line that a killed process left half written is cut off."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.runs: list[Run] = []
        self._by_scenario: dict[tuple[str, str], list[Run]] = {}
        if path is not None and path.exists():
            text = path.read_bytes()
            whole = text[: text.rfind(b"\n") + 1]
            if len(whole) < len(text):
                os.truncate(path, len(whole))
            for run in read_runs(whole):
                self._add(run)

    def _add(self, run: Run) -> None:
        self.runs.append(run)
        self._by_scenario.setdefault((run.scenario, run.fingerprint), []).append(run)

    def append(self, run: Run) -> None:
        self._add(run)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(run)) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def keep_audio(self, wav: bytes) -> str:
        """Store the recording of the run that is appended next; return its name, or "" if there is no place for it."""
        if self._path is None or not wav:
            return ""
        folder = audio_folder(self._path)
        folder.mkdir(exist_ok=True)
        name = f"{len(self.runs) + 1:05}.wav"
        (folder / name).write_bytes(wav)
        return name

    def of(self, scenario: str, fingerprint: str) -> list[Run]:
        return self._by_scenario.get((scenario, fingerprint), [])


def read_runs(text: bytes) -> Iterator[Run]:
    """Yield the runs of a file's whole lines.  Raises ValueError for a line that is no run, with its number."""
    for number, line in enumerate(text[: text.rfind(b"\n") + 1].splitlines(), start=1):
        if line.strip():
            try:
                yield msgspec.json.decode(line, type=Run)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ValueError(f"line {number} is no run of hum eval: {error}") from None


def audio_folder(results: Path) -> Path:
    """Return the folder of the recordings beside a file of results."""
    return results.with_suffix(".audio")


def scenario_verdict(scenario: Scenario, runs: Sequence[Run]) -> Verdict:
    """Return the verdict of a scenario; `invalid` if too few runs say anything of the agent."""
    counts = Counter(run.verdict for run in runs)
    if counts["passed"] >= scenario.at_least:
        return "passed"
    if counts["failed"] > scenario.runs - scenario.at_least:
        return "failed"
    return "error" if counts["error"] else "invalid"


def status(verdicts: Sequence[Verdict], runs: Sequence[Run]) -> int:
    """Return the process's exit status."""
    if "failed" in verdicts:
        return FAILED
    invalid = sum(run.verdict == "invalid" for run in runs)
    if any(verdict != "passed" for verdict in verdicts) or (runs and invalid / len(runs) > MOST_INVALID):
        return NO_VERDICT
    return PASSED


def junit(results: Sequence[tuple[Scenario, Sequence[Run]]]) -> bytes:
    """Return one test case for each scenario, with the reasons of its runs."""
    verdicts = [scenario_verdict(scenario, runs) for scenario, runs in results]
    suite = ET.Element(
        "testsuite",
        name="hum eval",
        tests=str(len(results)),
        failures=str(verdicts.count("failed")),
        errors=str(sum(verdict in {"invalid", "error"} for verdict in verdicts)),
    )
    for (scenario, runs), verdict in zip(results, verdicts, strict=True):
        seconds = sum(run.figures.get("seconds", 0) for run in runs)
        case = ET.SubElement(suite, "testcase", classname="hum.eval", name=scenario.name, time=f"{seconds:.1f}")
        counts = Counter(run.verdict for run in runs)
        properties = ET.SubElement(case, "properties")
        for name in ("passed", "failed", "invalid", "error"):
            ET.SubElement(properties, "property", name=name, value=str(counts[name]))
        if verdict != "passed":
            element = ET.SubElement(
                case,
                "failure" if verdict == "failed" else "error",
                message=f"{counts['passed']} of {scenario.runs} runs passed, {scenario.at_least} must",
                type=", ".join(sorted({kind for run in runs for kind, _ in run.reasons})),
            )
            element.text = _printable(
                "\n".join(
                    f"run {run.number}: {'; '.join(text for _, text in run.reasons)}" for run in runs if run.reasons
                )
            )
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    """Drop what XML can't have in it."""
    return "".join(letter for letter in text if letter in "\n\t" or letter >= " ")
