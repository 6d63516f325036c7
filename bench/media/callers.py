"""The carrier's side of many calls, as a separate process; prints one line of JSON.

Every call sends a frame every 20 ms at its own phase: the noise of a quiet line, and for 1.2 s of every 6 s real
speech, over the agent if it is talking.  Messages, playout, marks and clears are the sandbox's code.  Only frames are
simplified, with payloads that were encoded once: thousands are sent each second, and encoding them would take CPU from
the system under test.  Frames are never delayed to spare the other side; the generator's lateness is reported.
"""

import argparse
import asyncio
import base64
import binascii
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import uvloop
from picows import WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from bench.media import speech
from bench.media.model import MAGIC, STAMP
from bench.media.processes import Threads, resident_kb
from sandbox.twilio.mediastream import AudioQueued, MediaStream
from sandbox.twilio.playout import Echo, ReceivedClear
from tests.support.processes import cpu_seconds

TEXT = WSMsgType.TEXT
FRAME_SECONDS = 0.02
PHASES = 20
CYCLE_FRAMES = 300
SHORT_SECONDS = 0.4
STAMP_B64 = 32  # base64 characters that hold the stamp


@dataclass(slots=True)
class Observations:
    """Observations of all callers since the measurement began."""

    clears_ms: list[float] = field(default_factory=list)
    unanswered: int = 0  # speech over the agent without a `clear`
    gaps_ms: list[float] = field(default_factory=list)
    first_media_ms: list[float] = field(default_factory=list)
    lateness_ms: list[float] = field(default_factory=list)
    agent_seconds: float = 0.0
    closed: int = 0


class Caller(WSListener):
    def __init__(
        self, number: int, observations: Observations, words: Sequence[Sequence[bytes]], quiet: Sequence[bytes]
    ) -> None:
        self.observations = observations
        self._pieces, self._piece, self._quiet = words, number, quiet
        self._words: Sequence[bytes] = words[number % len(words)]
        self._stream = MediaStream(f"MZ{number:032x}", call_sid=f"CA{number:032x}", account_sid="AC" + "0" * 32)
        self._offset = number * 37 % CYCLE_FRAMES
        self._token = f"t{number}"
        self._began = time.monotonic()
        self._sent = 0
        self._stamped = False
        self._cleared = True
        # The start of speech over the agent, until its clear arrives.
        self._spoke_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None  # of the next mark
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        for message in self._stream.opening({"token": self._token}):
            transport.send(TEXT, message.encode())

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows calls it
        self._transport = None
        self.observations.closed += 1
        if self._timer is not None:
            self._timer.cancel()

    def frame(self, now: float) -> None:
        """Send the next 20 ms."""
        if self._transport is None:
            return
        at = (self._sent + self._offset) % CYCLE_FRAMES
        if at == 0:
            self._piece += 1
            self._words = self._pieces[self._piece % len(self._pieces)]
        payload = self._words[at] if at < speech.FRAMES else self._quiet[self._sent % len(self._quiet)]
        if at == 0 and self._stream.playout.ends_ms > self._ms(now):
            self._spoke_at = now
        elif at == speech.FRAMES + 10 and self._spoke_at is not None:
            self._spoke_at = None
            self.observations.unanswered += 1
        self._transport.send(TEXT, self._stream.writer.encoded_media(self._sent * 20, payload))
        self._sent += 1

    # The agent's side.

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
            return
        text, now = frame.get_payload_as_bytes(), time.monotonic()
        ended_ms = self._stream.playout.ends_ms
        for effect in self._stream.receive(self._ms(now), text.decode()):
            match effect:
                case AudioQueued(size):
                    self._record_audio(text, size, self._ms(now) - ended_ms)
                case Echo():
                    self._echo(effect)
                case ReceivedClear():
                    self._cleared = True
                    if self._spoke_at is not None:
                        self.observations.clears_ms.append((now - self._spoke_at) * 1000)
                        self._spoke_at = None
        self._await_mark(now)

    def _record_audio(self, text: bytes, size: int, dry_ms: float) -> None:
        """Record agent audio that arrived `dry_ms` after the queue had run dry."""
        begin = text.index(b'"', text.index(b'"payload"') + len(b'"payload"')) + 1
        stamp = binascii.a2b_base64(text[begin : begin + STAMP_B64])
        first = stamp.startswith(MAGIC)
        self._stamped |= first
        if first:
            sent_ns = STAMP.unpack_from(stamp)[1]
            self.observations.first_media_ms.append((time.monotonic_ns() - sent_ns) / 1e6)
        # If answers are not stamped, only a short silence can be a gap.
        if dry_ms > 0 and not (first or self._cleared) and (self._stamped or dry_ms < SHORT_SECONDS * 1000):
            self.observations.gaps_ms.append(dry_ms)
        if dry_ms > 0:
            self._stream.playout.forget()
        self._cleared = False
        self.observations.agent_seconds += size / 8_000

    def _await_mark(self, now: float) -> None:
        due_ms = self._stream.playout.next_mark_ms()
        if self._timer is None and due_ms is not None:
            self._timer = self._loop.call_later(max(0.0, due_ms - self._ms(now)) / 1000, self._reach)

    def _reach(self) -> None:
        self._timer = None
        now = time.monotonic()
        for echo in self._stream.playout.advance(self._ms(now)):
            self._echo(echo)
        self._await_mark(now)

    def _echo(self, echo: Echo) -> None:
        if self._transport is not None:
            self._transport.send(TEXT, self._stream.writer.mark(echo.name).encode())

    def _ms(self, at: float) -> float:
        return (at - self._began) * 1000


class CallerClock:
    """One clock for all callers: each millisecond it serves one phase, on a grid that does not drift."""

    def __init__(self, callers: Sequence[Caller]) -> None:
        self._phases = [callers[phase::PHASES] for phase in range(PHASES)]
        self._callers = callers
        self._loop = asyncio.get_running_loop()
        self._origin = self._loop.time()
        self._step = 0
        self._loop.call_soon(self._tick)

    def measure(self, observations: Observations) -> None:
        for caller in self._callers:
            caller.observations = observations
        self._observations = observations

    _observations = Observations()

    def _tick(self) -> None:
        now = time.monotonic()  # the loop's own clock, but finer
        while (due := self._origin + self._step * FRAME_SECONDS / PHASES) <= now:
            self._observations.lateness_ms.append((now - due) * 1000)
            for caller in self._phases[self._step % PHASES]:
                caller.frame(now)
            self._step += 1
        self._loop.call_at(due, self._tick)


def percentile(values: Sequence[float], part: float) -> float | None:
    """Return the value below which the share `part` of the values lies; None without values."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else None


async def drive(options: argparse.Namespace, pieces: Sequence[Sequence[bytes]]) -> dict[str, float | int | None]:
    """Open the calls, let every caller speak once, measure for the given time, return the figures."""
    words = [[base64.b64encode(frame) for frame in piece] for piece in pieces]
    quiet = [base64.b64encode(frame) for frame in speech.noise()]
    opening = Observations()
    callers = [Caller(number, opening, words, quiet) for number in range(options.calls)]
    headers = {"X-Twilio-Signature": options.signature}
    before_kb = resident_kb(options.pid)
    line = CallerClock(callers)
    line.measure(opening)
    refused = 0
    for caller in callers:
        try:
            await ws_connect(lambda caller=caller: caller, options.url, extra_headers=headers)
        except WSHandshakeError:
            refused += 1
        await asyncio.sleep(1 / options.connects_per_second)
    await asyncio.sleep(options.warm_up)

    observations = Observations()
    line.measure(observations)
    cpu, own_cpu, began = cpu_seconds(options.pid), time.process_time(), time.monotonic()
    begun_kb, threads = resident_kb(options.pid), Threads.of(options.pid)
    await asyncio.sleep(options.seconds)
    elapsed = time.monotonic() - began
    cpu, own_cpu = cpu_seconds(options.pid) - cpu, time.process_time() - own_cpu
    calls = max(1, options.calls - refused)
    per_call = 1000 / elapsed / calls
    return {
        "refused": refused,
        "gaps_while_opening": len(opening.gaps_ms),
        "cpu_ms_per_call_second": cpu * per_call,
        "cores": cpu / elapsed,
        "busy_threads": Threads.of(options.pid).busy_since(threads, elapsed),
        "generator_cores": own_cpu / elapsed,
        "clear_p50_ms": percentile(observations.clears_ms, 0.5),
        "clear_p99_ms": percentile(observations.clears_ms, 0.99),
        "clears": len(observations.clears_ms),
        "unanswered": observations.unanswered,
        "gaps": len(observations.gaps_ms),
        "worst_gap_ms": max(observations.gaps_ms, default=0.0),
        "first_media_p50_ms": percentile(observations.first_media_ms, 0.5),
        "first_media_p99_ms": percentile(observations.first_media_ms, 0.99),
        "answers": len(observations.first_media_ms),
        "memory_kb_per_call": (resident_kb(options.pid) - before_kb) / calls,
        "grew_kb_per_call": (resident_kb(options.pid) - begun_kb) / calls,
        "agent_talks": observations.agent_seconds / elapsed / calls,
        "generator_late_p99_ms": percentile(observations.lateness_ms, 0.99),
        "lost_calls": observations.closed + opening.closed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--signature", default="")
    parser.add_argument("--pid", type=int, nargs="+", required=True, help="the processes to measure")
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-up", type=float, default=8.0)
    parser.add_argument("--connects-per-second", type=float, default=60.0)
    print(json.dumps(uvloop.run(drive(parser.parse_args(), speech.pieces()))), flush=True)


if __name__ == "__main__":
    main()
