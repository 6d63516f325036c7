"""Calls from browsers on one media process, as `hum media --browser` starts it: their cost, and gaps in their audio.

    python -m bench.media.browsers --calls 12 --seconds 30

Each caller is a peer connection of aiortc's in this process.  It sends packets that were encoded once: the noise of a quiet line,
and for 1.2 s of every 6 s speech, over the agent if it is talking.  The model answers each turn with 8 s of audio at twice real
time.  Received packets are counted and not decoded: decoding would take more of the machine than the system under test.
"""

import argparse
import asyncio
import json
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from typing import Any

import aioice.ice
import uvloop
from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket
from av.packet import Packet

from bench.media import speech
from bench.media.processes import Threads, resident_kb, running
from hum import rpc
from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc
from media.legs.opus import FRAME_TICKS, WIDE_HZ, OpusEncoder
from tests.support.processes import cpu_seconds
from tests.support.programs import variables

LOOPBACK, NODE_KEY = "127.0.0.1", "the benchmark's node key which is long enough"
CYCLE_FRAMES = 300
#: Between two packets of the agent: a browser's jitter buffer of 60 ms is empty by then.
GAP_MS = 80.0
CONNECT_SECONDS = 30.0


@dataclass(slots=True)
class Observations:
    """Observations of all callers since the measurement began."""

    packets: int = 0
    lost: int = 0
    gaps_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)  # of the callers themselves


class CallerTrack(MediaStreamTrack):
    """A caller's packets, 20 ms apart."""

    kind = "audio"

    def __init__(self, packets: Sequence[bytes], offset: int, observations: Observations) -> None:
        super().__init__()
        self._packets, self._offset, self._observations = packets, offset, observations
        self._began, self._sent = 0.0, 0

    async def recv(self) -> Any:  # aiortc takes packets as well as frames
        if self.readyState != "live":
            raise MediaStreamError
        self._began = self._began or time.monotonic()
        due = self._began + self._sent / 50
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        self._observations.late_ms.append((time.monotonic() - due) * 1000)
        packet: Packet[Any] = Packet(self._packets[(self._sent + self._offset) % len(self._packets)])
        packet.pts, packet.time_base = self._sent * FRAME_TICKS, Fraction(1, WIDE_HZ)
        self._sent += 1
        return packet


class Caller:
    """A browser as the media process sees it."""

    def __init__(self, number: int, packets: Sequence[bytes], observations: Observations) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.id, self._observations = f"call_{number}", observations
        self._at_ms, self._sequence = 0.0, -1
        self.connection.addTransceiver(CallerTrack(packets, number * 37 % CYCLE_FRAMES, observations))
        (receiver,) = self.connection.getReceivers()
        # Counted instead of decoded.
        receiver._handle_rtp_packet = self._count  # type: ignore[method-assign]  # noqa: SLF001

    async def _count(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        del arrival_time_ms  # in whole ms
        now_ms = time.monotonic() * 1000
        self._observations.packets += 1
        if self._sequence >= 0:
            self._observations.lost += (packet.sequence_number - self._sequence - 1) & 0xFFFF
            if now_ms - self._at_ms > GAP_MS:
                self._observations.gaps_ms.append(now_ms - self._at_ms)
        self._at_ms, self._sequence = now_ms, packet.sequence_number


class Control(runtime_pb2_grpc.MediaServiceServicer):
    """A control that sends offers down the link, receives answers, and opens a session for every token."""

    def __init__(self) -> None:
        self.downs: asyncio.Queue[pb.LinkDown] = asyncio.Queue()
        self.answers: dict[str, asyncio.Future[pb.BrowserReply]] = {}
        self.up = asyncio.Event()

    async def OpenSession(self, request: pb.OpenSessionRequest, _: object) -> pb.OpenSessionResponse:
        instructions = "You answer the telephone of a small hotel. Be brief."
        return pb.OpenSessionResponse(
            call_id=request.call_sid, organization_id="org_1", instructions=instructions, model="m"
        )

    async def Link(self, ups: AsyncIterator[pb.LinkUp], _: object) -> AsyncIterator[pb.LinkDown]:
        reading = asyncio.create_task(self._read(ups))
        try:
            while True:
                yield await self.downs.get()
        finally:
            reading.cancel()

    async def _read(self, ups: AsyncIterator[pb.LinkUp]) -> None:
        async for up in ups:
            match up.WhichOneof("up"):
                case "hello":
                    self.downs.put_nowait(pb.LinkDown(acknowledged_seq=0))
                    self.up.set()
                case "batch":
                    self.downs.put_nowait(pb.LinkDown(acknowledged_seq=up.batch.seq))
                case "browser":
                    if not (answer := self.answers[up.browser.call_id]).done():
                        answer.set_result(up.browser)
                case _:
                    pass

    async def connect(self, caller: Caller) -> None:
        """Place one call.  Raises RuntimeError if it is refused."""
        connection = caller.connection
        await connection.setLocalDescription(await connection.createOffer())
        answer = self.answers[caller.id] = asyncio.get_running_loop().create_future()
        offer = pb.BrowserOffer(call_id=caller.id, token=caller.id, sdp=connection.localDescription.sdp)
        self.downs.put_nowait(pb.LinkDown(browser=offer))
        reply = await answer
        if not reply.answer:
            raise RuntimeError(f"an offer was not answered: {reply}")
        await connection.setRemoteDescription(RTCSessionDescription(reply.answer, "answer"))
        async with asyncio.timeout(CONNECT_SECONDS):
            while connection.connectionState != "connected":  # noqa: ASYNC110 - once for each call
                await asyncio.sleep(0.02)


def packets() -> list[bytes]:
    """Return the packets of a caller's cycle."""
    encoder, quiet = OpusEncoder(), speech.noise()
    spoken = speech.pieces()[0]
    frames = [spoken[at] if at < speech.FRAMES else quiet[at % len(quiet)] for at in range(CYCLE_FRAMES)]
    return [encoder.encode(frame) for frame in frames]


@asynccontextmanager
async def serving(control_port: int, model_port: int, calls: int) -> AsyncIterator[int]:
    """Run `hum media --browser`; yield its process id."""
    with tempfile.TemporaryDirectory() as home:
        environment = variables(
            {
                "HUM_HOME": home,
                "HUM_NODE_KEY": NODE_KEY,
                "HUM_CONTROL_ADDRESS": f"{LOOPBACK}:{control_port}",
                "HUM_METRICS_LISTEN": f"{LOOPBACK}:0",
                "HUM_ICE_HOST": LOOPBACK,
                "browser_calls": str(calls),
                "browser_waiting": str(calls),
                # Accept the load however late it makes the process.
                "max_lag_ms": "10000",
                "max_late_ms": "10000",
                "HUM_DRAIN_SECONDS": "0",
                "HUM_LOG_LEVEL": "warning",
                "OPENAI_API_KEY": "the benchmark's key",
                "OPENAI_BASE_URL": f"http://{LOOPBACK}:{model_port}/v1",
            }
        )
        async with running(["-m", "media.app", "--browser"], environment) as media:
            yield media.pid


async def measure(calls: int, seconds: float, warm_up: float) -> dict[str, Any]:
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [LOOPBACK]  # noqa: ARG005 - aioice drops loopback
    control, observations, cycle = Control(), Observations(), packets()  # type: ignore[abstract]  # other methods are unused
    server, port = rpc.server(MediaSettings(node_key=NODE_KEY), f"{LOOPBACK}:0")
    runtime_pb2_grpc.add_MediaServiceServicer_to_server(control, server)
    await server.start()
    async with running(["-m", "bench.media.model"]) as model, serving(port, int(await model.line()), calls) as pid:
        await asyncio.wait_for(control.up.wait(), 30)
        idle_kb = resident_kb([pid])
        callers = [Caller(number, cycle, observations) for number in range(calls)]
        for caller in callers:
            await control.connect(caller)
        await asyncio.sleep(warm_up)
        observations.packets, observations.lost, observations.gaps_ms, observations.late_ms = 0, 0, [], []
        before, threads, own = cpu_seconds([pid]), Threads.of([pid]), time.process_time()
        began = time.monotonic()
        await asyncio.sleep(seconds)
        lasted = time.monotonic() - began
        used, own = cpu_seconds([pid]) - before, time.process_time() - own
        busy, grown_kb = Threads.of([pid]).busy_since(threads, lasted), resident_kb([pid]) - idle_kb
        await asyncio.gather(*(caller.connection.close() for caller in callers))
    await server.stop(0)
    late = sorted(observations.late_ms)
    cost_ms = used * 1000 / calls / lasted
    return {
        "calls": calls,
        "seconds": round(lasted, 1),
        "cpu_ms_per_call_second": round(cost_ms, 2),
        "calls_a_core": round(1000 / cost_ms, 1),
        "cores": round(used / lasted, 2),
        "busy_threads": busy,
        "memory_kb_per_call": round(grown_kb / calls),
        "packets_per_call_second": round(observations.packets / calls / lasted, 1),
        "packets_lost": observations.lost,
        "gaps": len(observations.gaps_ms),
        "worst_gap_ms": round(max(observations.gaps_ms, default=0.0), 1),
        "callers_cores": round(own / lasted, 2),
        "callers_late_p99_ms": round(late[int(len(late) * 0.99)], 1) if late else 0.0,
        "machine": f"{platform.machine()}, Python {platform.python_version()}, aiortc {version('aiortc')}, av {version('av')}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.media.browsers", description=__doc__)
    parser.add_argument("--calls", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--warm-up", type=float, default=5.0)
    options = parser.parse_args()
    figures = uvloop.run(measure(options.calls, options.seconds, options.warm_up))
    for name, value in figures.items():
        print(f"{name:<26} {value}")
    print(json.dumps(figures), file=sys.stderr)


if __name__ == "__main__":
    main()
