"""The command python -m bench.ledger: the ledger's heard audio, compared with the carrier's ground truth.  In virtual time.

`running`: at any tick while the agent speaks.  `cut`: the truncation, after the caller took the floor.  `resume`: the
audio that was lost (+) or repeated (-) where the agent resumed after an interruption.  Errors in ms.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np

from media.core.audio import BYTES_PER_MS
from media.core.carrierclock import CarrierClock
from media.core.heardposition import Item, ItemAudio
from media.core.legmessages import Audio, Mark, ToLeg
from media.core.playout import Playout
from media.core.turngate import TurnGate
from media.legs import twiliowire
from tests.support.simulation import Carrier, World

TICK_MS = 20.0
PAUSE_MS = 620.0  # after a clear; the ledger settles within
GUESS_MS = 40.0


@dataclass(frozen=True, slots=True)
class CarrierPath:
    """The path to the carrier.  Each direction is late by `delay_ms` plus a uniform 0 to `jitter_ms`."""

    name: str
    delay_ms: tuple[float, float]  # drawn once per call, between these
    jitter_ms: float = 0.0
    #: Length of stalls of both directions, one a second on average.
    stall_ms: float = 0.0
    drift_ppm: float = 0.0
    lost_marks: float = 0.0  # the share of marks that never come back


LINES = (
    CarrierPath("no jitter", (0, 150)),
    CarrierPath("jitter 5", (0, 150), 5),
    CarrierPath("jitter 10", (0, 150), 10),
    CarrierPath("jitter 20", (0, 150), 20),
    CarrierPath("jitter 40", (0, 150), 40),
    CarrierPath("stalls of 150", (0, 150), 5, stall_ms=150),
    CarrierPath("drift +100 ppm, jitter 10", (0, 150), 10, drift_ppm=100),
    CarrierPath("drift -100 ppm, jitter 10", (0, 150), 10, drift_ppm=-100),
    CarrierPath("a fifth of the marks lost, jitter 10", (0, 150), 10, lost_marks=0.2),
)


@dataclass(frozen=True, slots=True)
class Errors:
    line: str
    what: str
    samples: int
    p50: float
    p90: float
    p99: float
    max: float
    exact_percent: float  # to the sample


class RunningLedger:
    """A running ledger: ticked every 20 ms against a carrier in virtual time."""

    def __init__(self, line: CarrierPath, seed: int) -> None:
        self._line, self._random = line, Random(seed)
        self.world = World()
        delay_ms = self._random.uniform(*line.delay_ms)
        self.carrier = Carrier(self.world, self._from_carrier, delay_ms, line.jitter_ms, seed, line.drift_ppm)
        self._clock = CarrierClock(GUESS_MS)
        self.ledger = Playout(self._clock, TurnGate(1_000, 9_000, 250))
        self._encoder = twiliowire.MessageEncoder(self.carrier.SID)
        self._tick()
        self.world.every(TICK_MS / (1 + line.drift_ppm / 1e6), self.carrier.frame)
        self.world.every(TICK_MS, self._tick, self.world.now + 7)
        if line.stall_ms:
            self.world.at(self.world.now + 500, self._stall)
        self.after(400)

    def _stall(self) -> None:
        for way in (self.carrier.out, self.carrier.back):
            way.blocked_until = self.world.now + self._line.stall_ms
        self.world.at(self.world.now + self._random.uniform(500, 1_500), self._stall)

    def send(self, actions: Sequence[ToLeg]) -> None:
        for payload in self._encoder.encode(actions):
            self.carrier.out.send(payload)

    def _from_carrier(self, payload: bytes) -> None:
        match twiliowire.decode(payload):
            case Audio(_, at_ms):
                self._clock.caller_frame(at_ms, self.world.now)
            case Mark(number) if self._random.random() >= self._line.lost_marks:
                self.ledger.mark(number, self.world.now)
            case _:
                pass

    def _tick(self) -> None:
        self.ledger.advance(self.world.now)
        self.send(self.ledger.pump(self.world.now))

    def after(self, ms: float) -> None:
        self.world.run(self.world.now + ms)

    def say(self, size: int, name: str) -> Item:
        item = Item(name, audio=ItemAudio(Random(name).randbytes(size)), complete=True)
        self.ledger.line.append(item)
        self._tick()
        return item

    def clear(self) -> None:
        self.send(self.ledger.clear(self.world.now))
        self.after(PAUSE_MS)
        assert self.ledger.settled(self.world.now), "a clear settles by time at the latest"


def call(line: CarrierPath, seed: int, turns: int) -> dict[str, list[float]]:
    """Run one call, whose answers are cleared once and resumed, then cleared again and cut; return the errors."""
    desk, random = RunningLedger(line, seed), Random(seed + 10_000)
    errors: dict[str, list[float]] = {"running": [], "cut": [], "resume": []}
    for turn in range(turns):
        before = desk.carrier.heard_bytes(desk.world.now)
        item = desk.say(random.randrange(2_500, 6_000) * BYTES_PER_MS, f"{seed}.{turn}")

        def error() -> float:
            truth = desk.carrier.heard_bytes(desk.world.now) - before  # noqa: B023 - used within its round
            return (item.heard - truth) / BYTES_PER_MS  # noqa: B023

        def speak() -> None:
            for _ in range(random.randrange(10, 60)):
                desk.after(TICK_MS)
                desk.ledger.advance(desk.world.now)
                errors["running"].append(error())

        speak()
        desk.clear()
        seam = error()
        errors["resume"].append(seam)
        desk.ledger.resume()
        # Audio lost or repeated at the seam is not an error of the second half.
        before += round(-seam * BYTES_PER_MS)
        speak()
        desk.clear()
        errors["cut"].append(error())
        desk.ledger.drop()
        desk.after(random.randrange(100, 900))
    return errors


def measure(calls: int, turns: int, lines: Sequence[CarrierPath] = LINES) -> list[Errors]:
    rows = []
    for line in lines:
        all_errors: dict[str, list[float]] = {"running": [], "cut": [], "resume": []}
        for seed in range(calls):
            for what, errors in call(line, seed, turns).items():
                all_errors[what] += errors
        rows += [_errors(line.name, what, errors) for what, errors in all_errors.items()]
    return rows


def _errors(line: str, what: str, errors: list[float]) -> Errors:
    size = np.abs(errors)
    p50, p90, p99 = (float(value) for value in np.percentile(size, (50, 90, 99)))
    return Errors(line, what, len(errors), p50, p90, p99, float(size.max()), float(100 * (size == 0).mean()))


def table(rows: Sequence[Errors]) -> str:
    """Format the rows as a Markdown table."""
    heads = list(asdict(rows[0]))
    lines = [" | ".join(heads).replace("_", " "), " | ".join("---" for _ in heads)]
    for row in rows:
        cells = asdict(row).values()
        lines += [" | ".join(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells)]
    return "\n".join(f"| {line} |" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--calls", type=int, default=150, help="number of calls per line")
    parser.add_argument("--turns", type=int, default=4, help="the agent's turns per call")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(argv)
    rows = measure(options.calls, options.turns)
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
