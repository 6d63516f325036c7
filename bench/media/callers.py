"""The carrier's side of many calls, a process of its own; prints one line of JSON.

Every call sends a frame each 20 ms at a phase of its own: a quiet line's noise, and for 1.2 s of every 6 s real speech,
over the agent if that is talking.  What comes back is played on a true clock: marks are echoed when their audio has been
played, or at once when a `clear` flushes them.  Nothing is sent late to spare the other side: lateness is reported.
"""

import argparse
import asyncio
import base64
import binascii
import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import uvloop
from picows import WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from bench.media import speech
from bench.media.model import MAGIC, STAMP
from bench.media.processes import cpu_seconds, resident_kb

TEXT = WSMsgType.TEXT
FRAME_SECONDS = 0.02
PHASES = 20
CYCLE_FRAMES = 300
SHORT_SECONDS = 0.4
STAMP_B64 = 32  # base64 characters that hold the stamp


@dataclass(slots=True)
class Seen:
    """What all callers saw since the window began."""

    clears_ms: list[float] = field(default_factory=list)
    unanswered: int = 0  # speech over the agent that no `clear` followed
    gaps_ms: list[float] = field(default_factory=list)
    first_media_ms: list[float] = field(default_factory=list)
    lateness_ms: list[float] = field(default_factory=list)
    agent_seconds: float = 0.0
    closed: int = 0


class Caller(WSListener):
    def __init__(self, number: int, seen: Seen, words: Sequence[Sequence[bytes]], quiet: Sequence[bytes]) -> None:
        self.seen = seen
        self._pieces, self._piece, self._quiet = words, number, quiet
        self._words: Sequence[bytes] = words[number % len(words)]
        self._sid = f"MZ{number:032x}"
        self._offset = number * 37 % CYCLE_FRAMES
        self._call_sid, self._token = f"CA{number:032x}", f"t{number}"
        self._sent = 0
        self._ends_at = 0.0  # when the queue runs dry
        self._stamped = False
        self._cleared = True
        self._spoke_at: float | None = None  # over the agent, and no clear has come
        self._marks: deque[tuple[bytes, asyncio.TimerHandle]] = deque()
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._head = b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d","payload":"'
        self._tail = b'"},"streamSid":"' + self._sid.encode() + b'"}'

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        start = {
            "streamSid": self._sid,
            "callSid": self._call_sid,
            "accountSid": "AC" + "0" * 32,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": self._token},
        }
        self._say({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._say({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": self._sid})

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows calls it
        self._transport = None
        self.seen.closed += 1
        self._flush()

    def _say(self, message: dict[str, object]) -> None:
        if self._transport is not None:
            self._transport.send(TEXT, json.dumps(message, separators=(",", ":")).encode())

    def frame(self, now: float) -> None:
        """Send the next 20 ms."""
        if self._transport is None:
            return
        at = (self._sent + self._offset) % CYCLE_FRAMES
        if at == 0:
            self._piece += 1
            self._words = self._pieces[self._piece % len(self._pieces)]
        payload = self._words[at] if at < speech.FRAMES else self._quiet[self._sent % len(self._quiet)]
        if at == 0 and self._ends_at > now:
            self._spoke_at = now
        elif at == speech.FRAMES + 10 and self._spoke_at is not None:
            self._spoke_at = None
            self.seen.unanswered += 1
        self._sent += 1
        head = self._head % (self._sent + 1, self._sent, (self._sent - 1) * 20)
        self._transport.send(TEXT, head + payload + self._tail)

    # The agent's side.

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
            return
        text, now = frame.get_payload_as_bytes(), time.monotonic()
        if not text.startswith(b'{"event":"'):  # JSON is written in more than one way
            text = json.dumps(json.loads(text), separators=(",", ":")).encode()
        if text.startswith(b'{"event":"media"'):
            begin = text.index(b'"payload":"') + 11
            end = text.index(b'"', begin)
            self._play(text[begin : begin + STAMP_B64], (end - begin) // 4 * 3 - text.count(b"=", end - 2, end), now)
        elif text.startswith(b'{"event":"mark"'):
            self._mark(text, now)
        elif text.startswith(b'{"event":"clear"'):
            if self._spoke_at is not None:
                self.seen.clears_ms.append((now - self._spoke_at) * 1000)
                self._spoke_at = None
            self._ends_at, self._cleared = now, True
            self._flush()

    def _play(self, begin: bytes, size: int, now: float) -> None:
        stamp = binascii.a2b_base64(begin)
        first = stamp.startswith(MAGIC)
        self._stamped |= first
        if first:
            sent_ns = STAMP.unpack_from(stamp)[1]
            self.seen.first_media_ms.append((time.monotonic_ns() - sent_ns) / 1e6)
        if now > self._ends_at:
            # Where no answer says that it begins, only a short silence can be a gap.
            if not (first or self._cleared) and (self._stamped or now - self._ends_at < SHORT_SECONDS):
                self.seen.gaps_ms.append((now - self._ends_at) * 1000)
            self._ends_at = now
        self._cleared = False
        self._ends_at += size / 8_000
        self.seen.agent_seconds += size / 8_000

    def _mark(self, text: bytes, now: float) -> None:
        name = text[text.index(b'"name":"') + 8 : text.rindex(b'"')]
        if self._ends_at <= now and not self._marks:
            self._echo(name)
        else:
            self._marks.append((name, self._loop.call_at(self._ends_at, self._played)))

    def _played(self) -> None:
        self._echo(self._marks.popleft()[0])

    def _echo(self, name: bytes) -> None:
        if self._transport is not None:
            self._transport.send(TEXT, b'{"event":"mark","sequenceNumber":"4","mark":{"name":"%b' % name + self._tail)

    def _flush(self) -> None:
        while self._marks:
            name, timer = self._marks.popleft()
            timer.cancel()
            self._echo(name)


class Line:
    """One clock for all callers: a phase of them each millisecond, on a grid that does not drift."""

    def __init__(self, callers: Sequence[Caller]) -> None:
        self._phases = [callers[phase::PHASES] for phase in range(PHASES)]
        self._callers = callers
        self._loop = asyncio.get_running_loop()
        self._origin = self._loop.time()
        self._step = 0
        self._loop.call_soon(self._tick)

    def measure(self, seen: Seen) -> None:
        for caller in self._callers:
            caller.seen = seen
        self._seen = seen

    _seen = Seen()

    def _tick(self) -> None:
        now = time.monotonic()  # the loop's own clock, but finer
        while (due := self._origin + self._step * FRAME_SECONDS / PHASES) <= now:
            self._seen.lateness_ms.append((now - due) * 1000)
            for caller in self._phases[self._step % PHASES]:
                caller.frame(now)
            self._step += 1
        self._loop.call_at(due, self._tick)


def percentile(values: Sequence[float], part: float) -> float | None:
    """The value below which `part` of them lie; None of none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else None


async def drive(asked: argparse.Namespace, pieces: Sequence[Sequence[bytes]]) -> dict[str, float | int | None]:
    """Open the calls, let everybody have spoken once, watch for the asked time: the figures."""
    words = [[base64.b64encode(frame) for frame in piece] for piece in pieces]
    quiet = [base64.b64encode(frame) for frame in speech.noise()]
    opening = Seen()
    callers = [Caller(number, opening, words, quiet) for number in range(asked.calls)]
    headers = {"X-Twilio-Signature": asked.signature}
    before_kb = resident_kb(asked.pid)
    line = Line(callers)
    line.measure(opening)
    refused = 0
    for caller in callers:
        try:
            await ws_connect(lambda each=caller: each, asked.url, extra_headers=headers)
        except WSHandshakeError:
            refused += 1
        await asyncio.sleep(1 / asked.connects_per_second)
    await asyncio.sleep(asked.warm_up)

    seen = Seen()
    line.measure(seen)
    cpu, own_cpu, began = cpu_seconds(asked.pid), time.process_time(), time.monotonic()
    begun_kb = resident_kb(asked.pid)
    await asyncio.sleep(asked.seconds)
    elapsed = time.monotonic() - began
    cpu, own_cpu = cpu_seconds(asked.pid) - cpu, time.process_time() - own_cpu
    calls = max(1, asked.calls - refused)
    per_call = 1000 / elapsed / calls
    return {
        "refused": refused,
        "gaps_while_opening": len(opening.gaps_ms),
        "cpu_ms_per_call_second": cpu * per_call,
        "cores": cpu / elapsed,
        "generator_cores": own_cpu / elapsed,
        "clear_p50_ms": percentile(seen.clears_ms, 0.5),
        "clear_p99_ms": percentile(seen.clears_ms, 0.99),
        "clears": len(seen.clears_ms),
        "unanswered": seen.unanswered,
        "gaps": len(seen.gaps_ms),
        "worst_gap_ms": max(seen.gaps_ms, default=0.0),
        "first_media_p50_ms": percentile(seen.first_media_ms, 0.5),
        "first_media_p99_ms": percentile(seen.first_media_ms, 0.99),
        "answers": len(seen.first_media_ms),
        "memory_kb_per_call": (resident_kb(asked.pid) - before_kb) / calls,
        "grew_kb_per_call": (resident_kb(asked.pid) - begun_kb) / calls,
        "agent_talks": seen.agent_seconds / elapsed / calls,
        "generator_late_p99_ms": percentile(seen.lateness_ms, 0.99),
        "lost_calls": seen.closed + opening.closed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--signature", default="")
    parser.add_argument("--pid", type=int, nargs="+", required=True, help="the processes that are weighed")
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-up", type=float, default=8.0)
    parser.add_argument("--connects-per-second", type=float, default=60.0)
    print(json.dumps(uvloop.run(drive(parser.parse_args(), speech.pieces()))), flush=True)


if __name__ == "__main__":
    main()
