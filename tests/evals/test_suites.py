"""The starter suite over the telephone: the whole agent passes, and each broken one fails where it is broken; nothing is left behind."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cli.platform import PROGRAMS
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
#: The scenarios that fail with each broken flow, and the kind of failure that tells what is broken.
RED: Mapping[str, Mapping[str, str]] = {
    "wrong-price": {ASKS: "speech"},
    "slow": {BOOKS: "latency"},
    "deaf": {BOOKS: "understanding", ASKS: "speech", INTERRUPTS: "interruption"},
    "hangs-up-early": {BOOKS: "understanding", ASKS: "speech", INTERRUPTS: "interruption"},
}
AT_ONCE = 2


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cli", "eval", "run", str(SUITE), *map(str, arguments)]


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


@pytest.mark.timeout(600)
async def test_each_fault_turns_its_scenarios_red(open_home: Path, tmp_path: Path) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def run(name: str) -> tuple[int, str]:
        flow: list[str | Path] = ["--flow", SUITES / "flows" / "mutants" / f"{name}.yaml"] if name != "whole" else []
        files: list[str | Path] = ["--junit", tmp_path / f"{name}.xml", "--out", tmp_path / f"{name}.jsonl"]
        async with places:
            options = {"env": without_a_model(open_home), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            async with running(*command(*flow, *files), **options, patience_seconds=60) as program:
                output, _ = await program.outputs(560)
                return program.returncode, output.decode()

    names = ["whole", *RED]
    done = dict(zip(names, await asyncio.gather(*map(run, names)), strict=True))
    printed = "\n".join(f"{name}: status {status}\n{text}" for name, (status, text) in done.items())
    assert {name: status for name, (status, _) in done.items()} == {"whole": 0, **dict.fromkeys(RED, 1)}, printed
    assert reds(tmp_path / "whole.xml") == {}
    for name, expected in RED.items():
        found = reds(tmp_path / f"{name}.xml")
        assert found.keys() == expected.keys(), printed
        assert all(kind in found[scenario] for scenario, kind in expected.items()), printed
    lines = [json.loads(line) for line in (tmp_path / "whole.jsonl").read_text().splitlines()]
    assert {line["scenario"]: line["verdict"] for line in lines} == dict.fromkeys((BOOKS, ASKS, INTERRUPTS), "passed")
    assert homes(open_home) == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
async def test_a_killed_run_leaves_nothing(open_home: Path, tmp_path: Path, number: int, status: int) -> None:
    options = {"env": without_a_model(open_home), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    async with running(*command("--junit", tmp_path / "r.xml"), **options, patience_seconds=30) as program:
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
    assert [case.find("error") is not None for case in cases] == [True] * 3, "what was not run is no success"
