"""The command `python -m bench.handover`: hands over calls from one `hum media` to the next, several times in a row.

Prints a table.  The caller's audio must reach the model whole, the model's audio must reach the caller whole, no socket may
be closed, and for each call the longest time without a frame is reported: for speaking callers, at the model; for listening
callers, how long their telephone had nothing to play.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from bench.handover.load import CallLoad
from hum import rpc
from hum.process.sockets import free_port
from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc
from sandbox.twilio import sign
from tests.support.programs import Program, variables

TOKEN, NODE_KEY, PATH = "the benchmark's token", "the benchmark's node key which is long enough", "/media/twilio"
BEFORE_SECONDS = 4.0
SETTLE_SECONDS = 1.0  # for frames in flight at the end


@dataclass(slots=True)
class Round:
    """One handover."""

    calls: int
    closed: int
    frames_to_model: int  # so far
    lost_to_model: int
    frames_to_callers: int
    lost_to_callers: int
    disordered: int
    behind: int  # most frames sent but not received
    redialled: int
    silence_before_p50_ms: float  # without a handover
    silence_before_max_ms: float
    silence_p50_ms: float
    silence_max_ms: float
    dry_max_ms: float
    #: From the successor's link until control has all calls on it.
    moved_ms: float
    generator_late_ms: float


class Control(runtime_pb2_grpc.MediaServiceServicer):
    """A control that opens sessions, acknowledges reports, and records which process has which call."""

    def __init__(self) -> None:
        self.node_of: dict[str, str] = {}
        self.linked: dict[str, float] = {}
        self.links: dict[str, asyncio.Queue[pb.LinkDown]] = {}
        self.answers: dict[str, str] = {}
        self.reports: dict[str, list[int]] = {}
        self.changed = asyncio.Event()

    async def OpenSession(self, request: pb.OpenSessionRequest, context: object) -> pb.OpenSessionResponse:
        number = request.token.removeprefix("t")
        self.node_of[f"call_{number}"] = _node(context)
        return pb.OpenSessionResponse(
            call_id=f"call_{number}",
            organization_id="org_1",
            instructions="Be brief.",
            model=number,
            max_call_seconds=3600,
            # The model never reports the speech of callers.
            idle_prompts_json='{"3000": "Are you still there?"}',
        )

    async def TakeCalls(self, request: pb.TakeCallsRequest, context: object) -> pb.TakeCallsResponse:
        for call_id in request.call_ids:
            if self.node_of.get(call_id) == request.from_node:
                self.node_of[call_id] = _node(context)
        self.changed.set()
        return pb.TakeCallsResponse()

    async def Link(self, ups: AsyncIterator[pb.LinkUp], context: object) -> AsyncIterator[pb.LinkDown]:
        node, downs = _node(context), asyncio.Queue[pb.LinkDown]()
        reading = asyncio.create_task(self._read(ups, node, downs))
        self.links[node] = downs
        try:
            while True:
                yield await downs.get()
        finally:
            reading.cancel()

    async def _read(self, ups: AsyncIterator[pb.LinkUp], node: str, downs: "asyncio.Queue[pb.LinkDown]") -> None:
        async for up in ups:
            match up.WhichOneof("up"):
                case "hello":
                    self.linked[node] = asyncio.get_running_loop().time()
                    downs.put_nowait(pb.LinkDown(acknowledged_seq=0))
                case "batch":
                    for report in up.batch.reports:
                        self._store(report)
                    downs.put_nowait(pb.LinkDown(acknowledged_seq=up.batch.seq))
                case "answer":
                    self.answers[up.answer.command_id] = up.answer.outcome
            self.changed.set()

    def _store(self, report: pb.Report) -> None:
        """Store a report; drop a repeated one, as control does."""
        numbers = self.reports.setdefault(report.call_id, [0])
        if report.seq > numbers[-1]:
            numbers.append(report.seq)

    async def until(self, true: "object", seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():  # type: ignore[operator]
                self.changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), 0.05)


def _node(context: object) -> str:
    metadata = dict(context.invocation_metadata())  # type: ignore[attr-defined]
    node = rpc.verify_node(NODE_KEY.encode(), metadata[rpc.CREDENTIAL].removeprefix(rpc.NODE_SCHEME))
    assert node is not None, "it is a process of this benchmark"
    return node.name


class HandoverRun:
    """A load, a control, and one media process after another."""

    def __init__(self, load: CallLoad, control: Control, environment: dict[str, str]) -> None:
        self.load, self.control, self.environment = load, control, environment
        self.url = environment["HUM_MEDIA_URL"] + PATH
        self.processes: list[Program] = []

    async def start(self, *options: str) -> str:
        """Start the next process; return the name of its node once it has a link."""
        earlier = set(self.control.linked)
        command = (sys.executable, "-m", "media.app", *options)
        process = Program(command, env={**os.environ, **self.environment})
        self.processes.append(process)
        await self.control.until(lambda: set(self.control.linked) - earlier)
        (node,) = set(self.control.linked) - earlier
        return node

    async def ring(self, count: int) -> None:
        await self.load.ring(self.url, sign(TOKEN, self.url), count)
        await self.control.until(lambda: len(self.load.ends()) == len(self.load.callers))

    async def hand_over(self, before_seconds: float = 0.0) -> Round:
        """Hand all calls over to a new process.  Raises TimeoutError if that does not get all of them."""
        load, control = self.load, self.control
        calls = [f"call_{number}" for number, caller in enumerate(load.callers) if not caller.closed]
        sessions = [model for _, model in load.ends()]
        self._reset_measurements()
        await asyncio.sleep(before_seconds)
        before = self._silences()
        self._reset_measurements()
        old, node = self.processes[-1], await self.start("--handover")
        await control.until(lambda: all(control.node_of[call] == node for call in calls))
        moved_ms = (asyncio.get_running_loop().time() - control.linked[node]) * 1000
        assert await old.ended() == 0, "the predecessor ends by itself"
        await asyncio.sleep(SETTLE_SECONDS)
        return self._round(len(calls), sessions, before, moved_ms)

    def _reset_measurements(self) -> None:
        for caller, model in self.load.ends():
            caller.end.silence.take()
            model.end.silence.take()
            caller.dry_ms = 0.0
        self.load.late_ms.take()

    def _silences(self) -> list[float]:
        return sorted(model.end.silence.take() for caller, model in self.load.ends() if caller.speaks)

    def _round(self, calls: int, sessions: Sequence[object], before: Sequence[float], moved_ms: float) -> Round:
        ends, silences = self.load.ends(), self._silences()
        return Round(
            calls=calls,
            closed=sum(caller.closed or model.closed for caller, model in ends),
            frames_to_model=sum(model.end.counted.next for _, model in ends),
            lost_to_model=sum(model.end.counted.missing for _, model in ends),
            frames_to_callers=sum(caller.end.counted.next for caller, _ in ends),
            lost_to_callers=sum(caller.end.counted.missing for caller, _ in ends),
            disordered=sum(caller.end.counted.disordered + model.end.counted.disordered for caller, model in ends),
            behind=max(caller.sent - model.end.counted.next for caller, model in ends),
            redialled=sum(now is not before for (_, now), before in zip(ends, sessions, strict=True)),
            silence_before_p50_ms=before[len(before) // 2],
            silence_before_max_ms=before[-1],
            silence_p50_ms=silences[len(silences) // 2],
            silence_max_ms=silences[-1],
            dry_max_ms=max(caller.dry_ms for caller, _ in ends),
            moved_ms=moved_ms,
            generator_late_ms=self.load.late_ms.take(),
        )


@asynccontextmanager
async def benched(**changed: str) -> AsyncIterator[HandoverRun]:
    """Run a bench with a first media process, and no calls."""
    async with AsyncExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        load, control = CallLoad(), Control()  # type: ignore[abstract]  # other methods are unused
        served = await load.serve()
        server, control_port = rpc.server(MediaSettings(node_key=NODE_KEY), "127.0.0.1:0")
        runtime_pb2_grpc.add_MediaServiceServicer_to_server(control, server)
        await server.start()
        port = free_port("127.0.0.1")
        environment = variables(
            {
                "HUM_HOME": str(Path(home)),
                "HUM_NODE_KEY": NODE_KEY,
                "HUM_CONTROL_ADDRESS": f"127.0.0.1:{control_port}",
                "HUM_MEDIA_LISTEN": f"127.0.0.1:{port}",
                "HUM_MEDIA_URL": f"ws://127.0.0.1:{port}",
                "HUM_MAX_CALLS": "1000",
                "max_lag_ms": "100000",
                "max_late_ms": "100000",
                "HUM_DRAIN_SECONDS": "5",
                "linger_seconds": "0.1",
                "HUM_LOG_LEVEL": "warning",
                "TWILIO_AUTH_TOKEN": TOKEN,
                "OPENAI_API_KEY": "the benchmark's key",
                "OPENAI_BASE_URL": f"http://127.0.0.1:{load.model_port}/v1",
                **changed,
            }
        )
        bench = HandoverRun(load, control, environment)
        running = asyncio.create_task(load.run())
        try:
            await bench.start()
            yield bench
        finally:
            running.cancel()
            for caller in load.callers:
                caller.leave()
            for process in bench.processes:
                process.kill()
                await process.ended()
            await server.stop(0)
            served.close()


async def measure(calls: int, rounds: int, warm_up: float) -> list[Round]:
    async with benched() as bench:
        await bench.ring(calls)
        await asyncio.sleep(warm_up)
        return [await bench.hand_over(BEFORE_SECONDS) for _ in range(rounds)]


def table(rounds: Sequence[Round]) -> str:
    """Format the rows as a Markdown table."""
    rows = ["| figure | " + " | ".join(f"handover {number}" for number in range(1, len(rounds) + 1)) + " |"]
    rows.append("| --- |" + " --- |" * len(rounds))
    for name in asdict(rounds[0]):
        values = (getattr(each, name) for each in rounds)
        shown = [f"{value:.1f}" if isinstance(value, float) else str(value) for value in values]
        rows.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.handover", description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds after the last call has begun")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = uvloop.run(measure(options.calls, options.rounds, options.warm_up))
    print(json.dumps([asdict(each) for each in rounds]) if options.json else table(rounds))


if __name__ == "__main__":
    main()
