"""Starter scenarios over the telephone and by text: the whole agents pass, and each broken one fails where it is broken; nothing is left behind."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from cli.platform import PROGRAMS
from evals import report
from evals.results import read_runs
from hum.process.processes import ProcessIdentity
from hum.settings import environment
from sandbox.speech import Speech
from tests.support.programs import running
from tests.support.waits import until

pytestmark = [
    pytest.mark.eval,
    pytest.mark.speech,
    pytest.mark.skipif(not Speech.available(), reason="the extra `speech` is not installed"),
]
SUITES = Path(__file__).parents[2] / "evals" / "suites"
SUITE = SUITES / "clinic.yaml"
BOOKS, ASKS, INTERRUPTS = "books a cleaning", "asks the price", "interrupts a long answer"
CALENDAR, BY_TEXT, PRICE_BY_TEXT = "books into the calendar", "books by text", "asks the price of a cleaning by text"
#: The scenarios that each flow is tested with.
TESTED: Mapping[str, Sequence[str]] = {
    "clinic": (BOOKS, ASKS, INTERRUPTS),
    "frontdesk": (CALENDAR,),
    "mutants/wrong-price": (BOOKS, ASKS),
    "mutants/slow": (BOOKS,),
    "mutants/deaf": (BOOKS,),
    "mutants/hangs-up-early": (BOOKS, INTERRUPTS),
    "texts": (BY_TEXT, PRICE_BY_TEXT),
    "mutants/texts-wrong-price": (BY_TEXT, PRICE_BY_TEXT),
    "mutants/texts-no-time": (BY_TEXT, PRICE_BY_TEXT),
}
#: The scenarios that fail with each broken flow, and the kind of failure that tells what is broken.
RED: Mapping[tuple[str, str], str] = {
    ("mutants/wrong-price", ASKS): "speech",
    ("mutants/slow", BOOKS): "latency",
    ("mutants/deaf", BOOKS): "understanding",
    ("mutants/hangs-up-early", BOOKS): "understanding",
    ("mutants/hangs-up-early", INTERRUPTS): "interruption",
    ("mutants/texts-no-time", BY_TEXT): "tool",
    ("mutants/texts-wrong-price", PRICE_BY_TEXT): "speech",
}
#: Only the runner ends this call.
NEVER_HANGS_UP: Mapping[str, Any] = {
    "name": "never hangs up",
    "persona": {"patience_s": 60},
    "brain": "script",
    "script": ["I would like to book a dental cleaning please."],
    "most_seconds": 20,
    "expect": [{"understood": "cleaning"}, {"end_reason": "caller"}, {"seconds_at_most": 25}],
    "runs": 1,
}
AT_ONCE = "2"


def command(*arguments: str | Path, action: str = "run") -> list[str]:
    return [sys.executable, "-m", "cli", "eval", action, *map(str, arguments)]


def without_a_model(home: Path) -> dict[str, str]:
    rest = {name: value for name, value in environment().items() if not name.startswith("OPENAI_")}
    return rest | {"HUM_HOME": str(home)}


def homes(parent: Path) -> list[Path]:
    return list(parent.glob("eval-*"))


def reds(junit: Path) -> dict[str, set[str]]:
    """Return the scenarios that failed, each with the kinds of failure."""
    failures = {case.get("name"): case.find("failure") for case in ET.parse(junit).iter("testcase")}
    return {
        str(name): set(failure.get("type", "").split(", ")) for name, failure in failures.items() if failure is not None
    }


def title(flow: str, scenario: str) -> str:
    return f"{scenario} [{flow}]"


def write_suite(path: Path) -> list[str]:
    """Write the starter suites' scenarios with whole and with broken flows, so that one platform runs all; return their names."""
    known = {
        scenario["name"]: scenario
        for file in ("clinic.yaml", "texts.yaml")
        for scenario in yaml.safe_load((SUITES / file).read_text())
    }
    scenarios = [
        known[name] | {"name": title(flow, name), "flow": str(SUITES / "flows" / f"{flow}.yaml")}
        for flow, names in TESTED.items()
        for name in names
    ]
    scenarios.append({**NEVER_HANGS_UP, "flow": str(SUITES / "flows" / "clinic.yaml")})
    # Who writes begins with the first fact.
    path.write_text(yaml.safe_dump(scenarios, sort_keys=False))
    return [scenario["name"] for scenario in scenarios]


@pytest.mark.timeout(600)
async def test_each_fault_turns_its_scenarios_red(open_home: Path, tmp_path: Path) -> None:
    names = write_suite(tmp_path / "suite.yaml")
    files: list[str | Path] = ["--junit", tmp_path / "r.xml", "--out", tmp_path / "runs.jsonl", "--jobs", AT_ONCE]
    options = {"env": without_a_model(open_home), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    async with running(*command(tmp_path / "suite.yaml", *files), **options, patience_seconds=60) as program:
        output, _ = await program.outputs(560)
    printed = output.decode()
    assert program.returncode == 1, printed
    found = reds(tmp_path / "r.xml")
    expected = {title(*place): kind for place, kind in RED.items()}
    assert found.keys() == expected.keys(), printed
    assert all(kind in found[name] for name, kind in expected.items()), printed
    runs = list(read_runs((tmp_path / "runs.jsonl").read_bytes()))
    assert {run.scenario for run in runs if run.verdict == "passed"} == set(names) - expected.keys(), printed
    spoken = {run.scenario for run in runs if report.audio_name(run)}
    assert spoken == {name for name in names if "text" not in name}
    html = report.page("runs", runs, tmp_path / "runs.audio")
    assert html.count("<audio") >= len(spoken)
    assert html.count('title="hear this turn"') > 2 * len(spoken)
    assert homes(open_home) == []


@pytest.mark.timeout(300)
async def test_a_worse_version_is_told(open_home: Path, tmp_path: Path) -> None:
    flows = SUITES / "flows"
    versions: list[str | Path] = [
        "--against",
        flows / "texts.yaml",
        "--flow",
        flows / "mutants" / "texts-wrong-price.yaml",
    ]
    arguments: list[str | Path] = [
        SUITES / "texts.yaml",
        "--only",
        PRICE_BY_TEXT,
        *versions,
        "--out",
        tmp_path / "runs.jsonl",
    ]
    options = {"env": without_a_model(open_home), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    async with running(*command(*arguments, action="compare"), **options, patience_seconds=60) as program:
        output, _ = await program.outputs(240)
    printed = output.decode()
    assert program.returncode == 1, printed
    assert f"worse                5/5 (57% to 100%) → 0/5 (0% to 43%)  {PRICE_BY_TEXT}" in printed
    assert printed.endswith("worse (p = 0.016)\n")
    assert len(list(read_runs((tmp_path / "runs.jsonl").read_bytes()))) == 10
    assert homes(open_home) == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
async def test_a_killed_run_leaves_nothing(open_home: Path, tmp_path: Path, number: int, status: int) -> None:
    options = {"env": without_a_model(open_home), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    async with running(
        *command(SUITE, "--only", "asks the price", "--junit", tmp_path / "r.xml"), **options, patience_seconds=30
    ) as program:
        while "database" not in await program.line():
            pass
        (home,) = homes(open_home)
        recorded = json.loads((home / PROGRAMS).read_text())["programs"]
        program.send_signal(number)
        assert await program.ended() == status
        identities = [ProcessIdentity(each["pid"], each["began_ticks"]) for each in recorded]
        assert len(identities) >= 4
        await until(lambda: not home.exists() and not any(each.is_alive() for each in identities))
    cases = list(ET.parse(tmp_path / "r.xml").iter("testcase"))
    assert [case.find("error") is not None for case in cases] == [True] * len(cases), "what was not run is no success"
