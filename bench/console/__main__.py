"""python -m bench.console: what somebody who works in the console waits for, with a hundred thousand calls and a line of 10 Mbit/s.

Starts a whole platform (or takes the one whose home `--home` names), fills an organization by SQL (`bench.console.clinic`), and
measures in Debian's Chromium (`console/e2e/speed`).  Needs the built console and the journeys' packages (`make journeys`).
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
from hum import home, private

E2E = Path(__file__).parents[2] / "console" / "e2e"
PARTS = ("loads", "clicks", "words", "recording", "transcript", "scroll", "lighthouse")
LOAD_MS, CLICK_MS, WORD_MS, OPEN_MS, MEMORY_MB = 1000, 150, 150, 1000, 100
#: How much longer than a short call's words those of an hour's call may take; and lines of it that are in the page.
LONGER, LINES = 1.25, 60
#: Of frames, the share that may be late; what the page's thread may compute for one; rows in the page, and what 100,000 may leave on the heap.
LATE_SHARE, FRAME_MS, ROWS, HEAP_MB, HOME_MS = 1.0, 10.0, 80, 50, 1000
SCORE, SCORES = 95, "of 100"
NAMES = {"/calls": "calls", "/inbox": "inbox", "/": "home"}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table; `must` is None for what is told only.  Of a score more is better, of all else less."""

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


def lines(part: str, found: Any) -> list[Line]:
    """What a part of the measurement says."""
    match part:
        case "loads":
            return [_load(path, each) for path, each in found.items()]
        case "clicks":
            return [
                Line(
                    "click between pages: first content, p50",
                    median(found["warm"]),
                    "ms",
                    CLICK_MS,
                    _worst(found["warm"]),
                ),
                Line("the first visit of a page, p50", median(found["first"]), "ms", None, _worst(found["first"])),
            ]
        case "words":
            if not found:
                return [Line("a live call's word on the screen", float("nan"), "ms", WORD_MS, "no word was seen")]
            return [Line("a live call's word on the screen, p50", median(found), "ms", WORD_MS, _worst(found))]
        case "recording":
            return _recording(found)
        case "transcript":
            return _transcript(found)
        case "scroll":
            return [*_frames("down", found["down"]), *_frames("back up", found["up"]), *_walked(found)]
        case "lighthouse":
            return [_judged(each) for each in found]
    raise ValueError(part)


def _load(path: str, loads: Sequence[dict[str, float]]) -> Line:
    took = [each["ms"] for each in loads]
    note = f"{_worst(took)}; {loads[0]['requests']:.0f} requests, {loads[0]['kilobytes']:.0f} kB"
    return Line(f"cold load of {NAMES[path]}: first row, p50", median(took), "ms", LOAD_MS, note)


def _recording(rounds: Sequence[dict[str, float]]) -> list[Line]:
    def each(figure: str, key: str, unit: str, must: float | None) -> Line:
        values = [found[key] for found in rounds]
        return Line(f"recording of an hour: {figure}, p50", median(values), unit, must, f"worst {max(values):.0f}")

    return [
        each("waveform", "waveform_ms", "ms", OPEN_MS),
        each("playable", "ready_ms", "ms", OPEN_MS),
        each("press of play to sound", "play_ms", "ms", None),
        each("more memory of the renderer", "memory_mb", "MB", MEMORY_MB),
        each("of that on the script's heap", "heap_mb", "MB", None),
    ]


def _transcript(rounds: Sequence[dict[str, float]]) -> list[Line]:
    def of(key: str) -> list[float]:
        return [found[key] for found in rounds]

    def note(length: str) -> str:
        return f"{_worst(of(f'{length}_ms'))}; {median(of(f'{length}_kb')):.1f} kB"

    short = median(of("short_ms"))
    return [
        Line("a call of 6 turns: its words, p50", short, "ms", None, note("short")),
        Line("a call of 600 turns: its latest words, p50", median(of("long_ms")), "ms", LONGER * short, note("long")),
        Line("from its end to its beginning, p50", median(of("begin_ms")), "ms", None, _worst(of("begin_ms"))),
        Line("lines of it in the page, at most", max(of("most_lines")), "", LINES, "all 600 were read"),
    ]


def _frames(way: str, found: dict[str, float]) -> list[Line]:
    share = 100 * found["late"] / max(1, found["frames"])
    note = f"{found['late']:.0f} of {found['frames']:.0f}; the longest {found['longest_ms']:.0f} ms"
    blank = 100 * found["blank"] / max(1, found["frames"])
    return [
        Line(f"scrolling {way}: frames later than 34 ms", share, "%", LATE_SHARE, note),
        Line(f"scrolling {way}: computed for a frame, by the thread's own clock", found["busy_ms"], "ms", FRAME_MS),
        Line(f"scrolling {way}: frames with a row still to come", blank, "%", 0),
        Line(f"scrolling {way}: rows in the page, at most", found["rows"], "", ROWS),
    ]


def _walked(found: dict[str, float]) -> list[Line]:
    grown = found["heap_after_mb"] - found["heap_before_mb"]
    note = f"{found['rows']:.0f} rows in {found['walk_seconds']:.0f} s"
    return [
        Line("more heap after going through all rows", grown, "MB", HEAP_MB, note),
        Line("from the last rows to the first", found["home_ms"], "ms", HOME_MS),
    ]


def _judged(found: dict[str, Any]) -> Line:
    """The least of a page's four scores.  A phone's is told: there the processor is slowed down four times, and the line to 1.6 Mbit/s."""
    scores = found["scores"]
    note = ", ".join([*(f"{name} {score}" for name, score in scores.items()), *found["complaints"]])
    must = SCORE if found["form"] == "desk" else None
    return Line(
        f"Lighthouse, {found['page']} on a {found['form']}: the least score", min(scores.values()), SCORES, must, note
    )


def _worst(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"p95 {ordered[int(0.95 * (len(ordered) - 1))]:.0f}, n = {len(ordered)}"


def table(rows: Sequence[Line]) -> str:
    head = ["| figure | seen | must | |", "| --- | --- | --- | --- |"]
    return "\n".join(
        [
            *head,
            *(
                f"| {each.figure} | {each.seen:.{0 if each.seen >= 10 else 1}f} {each.unit} | {'' if each.must is None else f'{each.must:.0f} {each.unit}'}"
                f"{'' if each.is_met else ' **missed**'} | {each.note} |"
                for each in rows
            ),
        ]
    )


async def run(chosen: argparse.Namespace, at: Path) -> list[Line]:
    async with nullcontext() if chosen.home else house.platform(at):
        plan = await _plan(chosen, at)
        found = list[Line]()
        for part in chosen.parts:
            _tell(f"{part}; load {os.getloadavg()[0]:.1f}")
            found += lines(part, await _measured(part, plan, at))
        return found


async def _plan(chosen: argparse.Namespace, at: Path) -> dict[str, Any]:
    """Whom and what the browser is to measure; an organization that was filled before is taken again."""
    kept = at / "bench-console.json"
    if kept.exists():
        plan: dict[str, Any] = json.loads(kept.read_text())
    else:
        where = home.read_run(at)
        owner = await house.owner(where["public_url"])
        _tell(f"{chosen.calls} calls and {chosen.threads} threads")
        size = clinic.Size(chosen.calls, chosen.threads)
        hour = await clinic.fill(where["database_url"], at / "recordings", owner.place, size)
        plan = {
            "url": where["public_url"],
            "cookies": owner.cookies,
            "hour_call": hour,
            "number": owner.place.e164,
            "rows": chosen.calls,
        }
        with private.writer(kept) as file:
            json.dump(plan, file)
    mine = {"python": sys.executable, "rounds": chosen.rounds, "scroll_seconds": chosen.scroll_seconds}
    return plan | mine | {"rows": min(plan["rows"], chosen.walk or plan["rows"])}


async def _measured(part: str, plan: dict[str, Any], at: Path) -> Any:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = await asyncio.create_subprocess_exec(
        "node",
        "speed/main.ts",
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


def _tell(what: str) -> None:
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
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="hum-console-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o711)  # run by root, the database uses another account
        found = asyncio.run(run(chosen, chosen.home or Path(made)))
    sys.stdout.write(table(found) + "\n")
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(each) for each in found], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
