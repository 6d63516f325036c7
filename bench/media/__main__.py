"""The command `python -m bench.media`: the media plane and the bare loop under the same load, one after the other."""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.media.arguments import parser
from bench.media.processes import running
from bench.media.product import Figures, callers, serving
from hum.process import blas
from tests.support.certificate import self_signed

ROWS: Sequence[tuple[str, str, str, str]] = (
    ("cpu_ms_per_call_second", "CPU per call, ms per second", "2.5", ""),
    ("clear_p50_ms", "first speech sent -> clear received, p50 ms", "80", "60"),
    ("clear_p99_ms", "the same, p99 ms", "160", "120"),
    ("clears", "  number of interruptions", "", ""),
    ("unanswered", "  speech over the agent without a clear", "", ""),
    ("gaps", "gaps in agent audio", "0", "0"),
    ("worst_gap_ms", "  the longest, ms", "", ""),
    ("first_media_p50_ms", "first delta sent -> first media received, p50 ms", "2", "1"),
    ("first_media_p99_ms", "the same, p99 ms", "10", "5"),
    ("answers", "  number of answers", "", ""),
    ("memory_kb_per_call", "memory per call, KB", "150", ""),
    ("grew_kb_per_call", "  growth during the measurement, KB", "", ""),
    ("ticker_late_p99_ms", "the ticker's lateness, p99 below ms", "", ""),
    ("cores", "cores used", "", ""),
    ("busy_threads", "threads of a process that used a twentieth of a core", "1", ""),
    ("agent_talks", "the agent talks, share of the time", "", ""),
    ("generator_cores", "callers' own cores", "", ""),
    ("generator_late_p99_ms", "callers' own lateness, p99 ms", "", ""),
    ("refused", "calls refused", "0", "0"),
    ("lost_calls", "calls lost", "0", "0"),
)
#: Bound of a call's CPU time relative to the bare loop's (docs/decisions/0087-cost-of-a-call.md).
MAX_RATIO = 1.9


async def _run_callers(options: argparse.Namespace, port: int, pids: Sequence[int]) -> Figures:
    return await callers(port, pids, options.calls, options.seconds, options.warm_up)


async def product(options: argparse.Namespace, model_port: int, authority: Path | None) -> Figures:
    plane = serving(options.workers, model_port, recording=options.recording, authority=authority)
    async with plane as running_plane:
        figures = await _run_callers(options, running_plane.port, running_plane.pids)
        page = await asyncio.to_thread(_metrics, running_plane.metrics_port)
        figures["ticker_late_p99_ms"] = _late_p99_ms(page)
        figures["reports"] = running_plane.control.reports
    return figures


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        text: str = page.read().decode()
    return text


def _late_p99_ms(page: str) -> float | None:
    """Return the upper bound of the smallest bucket that covers 99 % of the ticker's ticks, in ms."""
    name = "hum_media_ticker_lateness_seconds_bucket"
    rows = [row.removeprefix(f'{name}{{le="').split('"} ') for row in page.splitlines() if row.startswith(name)]
    enough = 0.99 * float(rows[-1][1])
    return next((float(le) * 1000 for le, count in rows if float(count) >= enough and le != "+Inf"), None)


async def bare(options: argparse.Namespace, model_port: int) -> Figures:
    async with running(["-m", "bench.media.bare", "--model", f"ws://127.0.0.1:{model_port}/v1/realtime"]) as loop:
        return await _run_callers(options, int(await loop.line()), [loop.pid])


PEERS = {"pipecat, Silero in the bot": ["--local-vad"], "pipecat, the model's VAD": []}


async def peer(options: argparse.Namespace, model_port: int, flags: Sequence[str]) -> Figures:
    """Measure another gateway, in its own Python environment."""
    program = ["bench/peers/pipecat_media.py", "--model", f"ws://127.0.0.1:{model_port}/v1/realtime", *flags]
    async with running(program, python=options.peers) as gateway:
        return await _run_callers(options, int(await gateway.line()), [gateway.pid])


async def measure(options: argparse.Namespace) -> dict[str, list[Figures]]:
    """Measure each side in turn, `rounds` times."""
    measured: dict[str, list[Figures]] = {"product": [], "bare": []}
    with tempfile.TemporaryDirectory() as scratch:
        authority = self_signed(Path(scratch)) if options.tls else None
        model_arguments = ["--certificate", str(authority)] if authority else []
        async with running(["-m", "bench.media.model", *model_arguments]) as model:
            await _measure(options, int(await model.line()), authority, measured)
    return measured


async def _measure(
    options: argparse.Namespace, model_port: int, authority: Path | None, measured: dict[str, list[Figures]]
) -> None:
    for _ in range(options.rounds):
        measured["product"].append(await product(options, model_port, authority))
        if not (options.alone or options.tls):
            measured["bare"].append(await bare(options, model_port))
        for name, flags in (PEERS if options.peers else {}).items():
            measured.setdefault(name, []).append(await peer(options, model_port, flags))


def refuse_idle_spinning(measured: Mapping[str, Sequence[Figures]]) -> None:
    """Raise SystemExit if a process of ours computed on more than its loop's thread, which would distort the figures."""
    for side in ("product", "bare"):
        if (busiest := max((figures["busy_threads"] for figures in measured[side]), default=0)) > 1:
            raise SystemExit(
                f"bench: {busiest} busy threads in a process of the {side}, where one should be; BLAS: {blas.description()}"
            )


def best(rounds: Sequence[Figures]) -> Figures:
    """Return the round with the least CPU: the one least disturbed by other processes."""
    return min(rounds, key=lambda figures: figures["cpu_ms_per_call_second"], default={})


def table(ours: Figures, yardstick: Figures) -> str:
    """Format the figures beside the yardstick as a Markdown table."""
    lines = ["| figure | product | bare loop | must reach | aim |", "| --- | --- | --- | --- | --- |"]
    for key, name, must, aim in ROWS:
        lines.append(f"| {name} | {_number(ours.get(key))} | {_number(yardstick.get(key))} | {must} | {aim} |")
    if yardstick:
        ratio = ours["cpu_ms_per_call_second"] / (yardstick["cpu_ms_per_call_second"] or float("nan"))
        lines.append(f"| CPU, product / bare loop | {ratio:.2f} | 1 | {MAX_RATIO} | |")
    return "\n".join(lines)


def peers_table(peers: dict[str, Figures]) -> str:
    """Format the peers' figures as a Markdown table."""
    lines = [f"\n| figure | {' | '.join(peers)} |", f"| --- |{' --- |' * len(peers)}"]
    for key, name, _, _ in ROWS:
        lines.append(f"| {name} | {' | '.join(_number(figures.get(key)) for figures in peers.values())} |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str] | None = None) -> None:
    command = parser(
        "python -m bench.media", __doc__, calls=200, calls_help="calls of each side", seconds=30.0, rounds=1
    )
    command.add_argument("--workers", type=int, default=1, help="processes of the product behind one port")
    command.add_argument("--recording", action="store_true", help="record every call")
    command.add_argument("--alone", action="store_true", help="skip the bare loop")
    command.add_argument("--tls", action="store_true", help="connect to the model by wss; skips the bare loop")
    command.add_argument("--peers", metavar="PYTHON", help="also measure other gateways, with this interpreter")
    options = command.parse_args(arguments)
    measured = asyncio.run(measure(options))
    refuse_idle_spinning(measured)
    if options.json is not None:
        machine = {
            "cpus": os.cpu_count(),
            "system": platform.platform(),
            "python": sys.version.split()[0],
            "blas": blas.description(),
        }
        options.json.write_text(json.dumps({"machine": machine, "calls": options.calls, **measured}, indent=1) + "\n")
    print(f"{options.calls} calls, {options.seconds:.0f} s, {options.rounds} rounds, the quietest of each")
    print(f"BLAS: {blas.description()}; {os.cpu_count()} cores\n")
    print(table(best(measured.pop("product")), best(measured.pop("bare"))))
    if measured:
        print(peers_table({name: best(rounds) for name, rounds in measured.items()}))


if __name__ == "__main__":
    main()
