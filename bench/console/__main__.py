"""The command python -m bench.console: delays in the console, with a hundred thousand calls and a line of 10 Mbit/s.

Starts a whole platform (or uses the running one with the home `--home`), fills an organization by SQL (`bench.console.clinic`), and
measures in Debian's Chromium (`console/e2e/speed`).  Needs the built console and the packages of `make lighthouse`.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.console import clinic, house
from hum.process import home, private

E2E = Path(__file__).parents[2] / "console" / "e2e"
PARTS = ("loads", "clicks", "words", "recording", "transcript", "scroll", "lighthouse")
LOAD_MS, CLICK_MS, WORD_MS, OPEN_MS, MEMORY_MB = 1000, 150, 150, 1000, 100
#: Bound of an hour's call relative to a short one, for the time to its words; and of its lines in the page.
LONGER, LINES = 1.25, 60
#: Bounds of scrolling: late frames in percent, computing per frame, rows in the page, growth of the heap, time back to the top.
LATE_SHARE, FRAME_MS, ROWS, HEAP_MB, HOME_MS = 1.0, 10.0, 80, 50, 1000
SCORE, SCORES = 95, "of 100"
NAMES = {"/calls": "calls", "/inbox": "inbox", "/": "home"}


@dataclass(frozen=True, slots=True)
class Measurement:
    """A row of the table; without `must` it is informative only.  More is better for a score, less for all else."""

    figure: str
    seen: float
    unit: str
    must: float | None = None
    note: str = ""

    @property
    def is_met(self) -> bool:
        if self.must is None:
            return True
        return self.seen >= self.must if self.unit == SCORES else self.seen <= self.must


def lines(part: str, result: Any) -> list[Measurement]:
    """Return the rows for one part of the measurement."""
    match part:
        case "loads":
            return [_load(path, loads) for path, loads in result.items()]
        case "clicks":
            return [
                Measurement(
                    "click between pages: first content, p50",
                    median(result["warm"]),
                    "ms",
                    CLICK_MS,
                    _worst(result["warm"]),
                ),
                Measurement(
                    "the first visit of a page, p50", median(result["first"]), "ms", None, _worst(result["first"])
                ),
            ]
        case "words":
            if not result:
                return [
                    Measurement("a live call's word on the screen", float("nan"), "ms", WORD_MS, "no word was seen")
                ]
            return [Measurement("a live call's word on the screen, p50", median(result), "ms", WORD_MS, _worst(result))]
        case "recording":
            return _recording(result)
        case "transcript":
            return _transcript(result)
        case "scroll":
            return [*_frames("down", result["down"]), *_frames("back up", result["up"]), *_walked(result)]
        case "lighthouse":
            return [_judged(page) for page in result]
    raise ValueError(part)


def _load(path: str, loads: Sequence[dict[str, float]]) -> Measurement:
    took = [load["ms"] for load in loads]
    note = f"{_worst(took)}; {loads[0]['requests']:.0f} requests, {loads[0]['kilobytes']:.0f} kB"
    return Measurement(f"cold load of {NAMES[path]}: first row, p50", median(took), "ms", LOAD_MS, note)


def _recording(rounds: Sequence[dict[str, float]]) -> list[Measurement]:
    def line(figure: str, key: str, unit: str, must: float | None) -> Measurement:
        values = [figures[key] for figures in rounds]
        return Measurement(
            f"recording of an hour: {figure}, p50", median(values), unit, must, f"worst {max(values):.0f}"
        )

    return [
        line("waveform", "waveform_ms", "ms", OPEN_MS),
        line("playable", "ready_ms", "ms", OPEN_MS),
        line("press of play to sound", "play_ms", "ms", None),
        line("more memory of the renderer", "memory_mb", "MB", MEMORY_MB),
        line("of that on the script's heap", "heap_mb", "MB", None),
    ]


def _transcript(rounds: Sequence[dict[str, float]]) -> list[Measurement]:
    def of(key: str) -> list[float]:
        return [figures[key] for figures in rounds]

    def note(length: str) -> str:
        return f"{_worst(of(f'{length}_ms'))}; {median(of(f'{length}_kb')):.1f} kB"

    short = median(of("short_ms"))
    return [
        Measurement("a call of 6 turns: its words, p50", short, "ms", None, note("short")),
        Measurement(
            "a call of 600 turns: its latest words, p50", median(of("long_ms")), "ms", LONGER * short, note("long")
        ),
        Measurement("from its end to its beginning, p50", median(of("begin_ms")), "ms", None, _worst(of("begin_ms"))),
        Measurement("lines of it in the page, at most", max(of("most_lines")), "", LINES, "all 600 were read"),
    ]


def _frames(way: str, result: dict[str, float]) -> list[Measurement]:
    share = 100 * result["late"] / max(1, result["frames"])
    note = f"{result['late']:.0f} of {result['frames']:.0f}; the longest {result['longest_ms']:.0f} ms"
    blank = 100 * result["blank"] / max(1, result["frames"])
    return [
        Measurement(f"scrolling {way}: frames later than 34 ms", share, "%", LATE_SHARE, note),
        Measurement(
            f"scrolling {way}: computed for a frame, by the thread's own clock", result["busy_ms"], "ms", FRAME_MS
        ),
        Measurement(f"scrolling {way}: frames with a row still to come", blank, "%", 0),
        Measurement(f"scrolling {way}: rows in the page, at most", result["rows"], "", ROWS),
    ]


def _walked(result: dict[str, float]) -> list[Measurement]:
    grown = result["heap_after_mb"] - result["heap_before_mb"]
    note = f"{result['rows']:.0f} rows in {result['walk_seconds']:.0f} s"
    return [
        Measurement("more heap after going through all rows", grown, "MB", HEAP_MB, note),
        Measurement("from the last rows to the first", result["home_ms"], "ms", HOME_MS),
    ]


def _judged(result: dict[str, Any]) -> Measurement:
    """Return the lowest of a page's four scores.

    A phone's is informative only: its processor is slowed down four times, and its line to 1.6 Mbit/s.
    """
    scores = result["scores"]
    note = ", ".join([*(f"{name} {score}" for name, score in scores.items()), *result["complaints"]])
    must = SCORE if result["form"] == "desk" else None
    return Measurement(
        f"Lighthouse, {result['page']} on a {result['form']}: the least score", min(scores.values()), SCORES, must, note
    )


def _worst(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"p95 {ordered[int(0.95 * (len(ordered) - 1))]:.0f}, n = {len(ordered)}"


def table(rows: Sequence[Measurement]) -> str:
    head = ["| figure | seen | must | |", "| --- | --- | --- | --- |"]
    return "\n".join(
        [
            *head,
            *(
                f"| {row.figure} | {row.seen:.{0 if row.seen >= 10 else 1}f} {row.unit} | {'' if row.must is None else f'{row.must:.0f} {row.unit}'}"
                f"{'' if row.is_met else ' **missed**'} | {row.note} |"
                for row in rows
            ),
        ]
    )


async def run(options: argparse.Namespace, at: Path) -> list[Measurement]:
    async with nullcontext() if options.home else house.platform(at):
        plan = await _plan(options, at)
        rows = list[Measurement]()
        for part in options.parts:
            _log(f"{part}; load {os.getloadavg()[0]:.1f}")
            rows += lines(part, await _measured(part, plan, at))
        return rows


async def _plan(options: argparse.Namespace, at: Path) -> dict[str, Any]:
    """Return the plan for the browser; reuse an organization that was filled before."""
    plan_file = at / "bench-console.json"
    if plan_file.exists():
        plan: dict[str, Any] = json.loads(plan_file.read_text())
    else:
        run_facts = home.read_run(at)
        owner = await house.owner(run_facts["public_url"])
        _log(f"{options.calls} calls and {options.threads} threads")
        size = clinic.Size(options.calls, options.threads)
        hour = await clinic.fill(run_facts["database_url"], at / "recordings", owner.place, size)
        plan = {
            "url": run_facts["public_url"],
            "cookies": owner.cookies,
            "hour_call": hour,
            "number": owner.place.e164,
            "rows": options.calls,
        }
        with private.writer(plan_file) as file:
            json.dump(plan, file)
    own = {"python": sys.executable, "rounds": options.rounds, "scroll_seconds": options.scroll_seconds}
    return plan | own | {"rows": min(plan["rows"], options.walk or plan["rows"])}


async def _measured(part: str, plan: dict[str, Any], at: Path) -> Any:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = await asyncio.create_subprocess_exec(
        "node",
        "lighthouse/main.ts" if part == "lighthouse" else "speed/main.ts",
        part,
        cwd=E2E,
        env={**os.environ, "PATH": path, "HUM_HOME": str(at)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate(json.dumps(plan).encode())
    if process.returncode:
        raise SystemExit(f"{part} could not be measured")
    return json.loads(printed)["found"]


def _log(what: str) -> None:
    sys.stderr.write(f"{what} ...\n")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.console", description=__doc__)
    parser.add_argument("--home", type=Path, help="of a platform that runs")
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scroll-seconds", type=float, default=20)
    parser.add_argument("--walk", type=int, help="rows that are gone through before it is scrolled back; unset: all")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="hum-console-", ignore_cleanup_errors=True) as folder:
        # Run by root, the database uses another account.
        Path(folder).chmod(0o711)
        rows = asyncio.run(run(options, options.home or Path(folder)))
    sys.stdout.write(table(rows) + "\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
