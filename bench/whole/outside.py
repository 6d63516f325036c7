"""python -m bench.whole.outside PLAN: the carrier, the model, callers, texters and clients, on a machine of their own.

PLAN is JSON (`Plan`).  Prints `ready` when carrier and model listen; a line `begin` starts the load, `end` ends it; then everything that
was seen is printed as one JSON object (`judge.Facts`).
"""

import asyncio
import json
import secrets
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from random import Random
from typing import Any

import aiohttp
import msgspec
import uvloop

from bench.whole.judge import Asked, Facts, Line, Text
from sandbox.load.harness import script, words
from sandbox.openai import Model, Script
from sandbox.twilio import Call, Carrier
from sandbox.twilio.message import Message
from tests.support.stalls import Stalls

ACCOUNT, TOKEN, KEY, NUMBER = "AC" + "7" * 32, "carrier-token", "sk-bench", "+13175550100"
CARRIER_PORT, MODEL_PORT = 9001, 9002
#: Silences that are kept.  A caller waits 0.9 s before each line, and the answer takes half a second.
LEAST_SILENCE_SECONDS = 1.0
REQUEST_SECONDS = 10.0
LOOK_SECONDS = 0.2
#: How long a client tries to have a text taken.
PATIENCE_SECONDS = 30.0
#: How long texts that were taken may take at the end.
SETTLE_SECONDS = 45.0
#: What a client repeats: too much at the moment, under way still, or away.
WORTH_REPEATING = ("", "409", "429", "500", "502", "503", "504", "no answer", "closed")
PATHS = ("/api/calls?limit=10", "/api/sms/conversations?limit=10", "/api/flows?limit=10", "/api/me")
ANSWER = (
    "You are welcome to come at any time between nine and five, and somebody will be there who can help you with it."
)


class Plan(msgspec.Struct, forbid_unknown_fields=True):
    """The load, and where it goes.  `calls` at once, each of `call_seconds`."""

    address: str
    front: str
    key: str
    calls: int
    call_seconds: float
    texts_per_second: float
    requests_per_second: float


@dataclass
class Seen:
    """What is kept."""

    calls: list[Line] = field(default_factory=list)
    #: By contact: when it was to leave, and whether the API took it.
    written: dict[str, tuple[float, bool]] = field(default_factory=dict)
    told: list[tuple[float, Message]] = field(default_factory=list)
    requests: list[Asked] = field(default_factory=list)


class Outside:
    def __init__(self, plan: Plan, carrier: Carrier, http: aiohttp.ClientSession) -> None:
        self._plan, self._carrier, self._http, self.seen = plan, carrier, http, Seen()
        self._random, self._ending = Random(1), asyncio.Event()
        self._tasks = set[asyncio.Task[None]]()
        self._number = ""
        self._count = 0

    # -- set up

    async def set_up(self) -> None:
        flow = await self._made(
            "/api/flows", {"name": "Desk", "greeting": "Hello, this is the clinic. How can I help you?"}
        )
        number = await self._made("/api/numbers", {"e164": NUMBER, "flow_id": flow["id"]})
        self._number = number["id"]
        async with self._http.patch(f"/api/numbers/{self._number}", json={"sms_enabled": True}) as answer:
            assert answer.ok, await answer.text()

    async def _made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._http.post(path, json=body) as answer:
            assert answer.ok, await answer.text()
            made: dict[str, Any] = await answer.json()
            return made

    # -- the load

    async def run(self, lines: Sequence[bytes]) -> None:
        """Until `end`; then the calls are hung up, and what is owed arrives."""
        plan = self._plan
        callers = [asyncio.create_task(self._caller(lines, n / plan.calls)) for n in range(plan.calls)]
        paced = [
            asyncio.create_task(self._paced(plan.texts_per_second, self._write)),
            asyncio.create_task(self._paced(plan.texts_per_second / 2, self._tell)),
            asyncio.create_task(self._paced(plan.requests_per_second, self._ask_something)),
        ]
        await self._ending.wait()
        await asyncio.gather(*callers, *paced)
        await asyncio.gather(*self._tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while any(taken and not self._sent(contact) for contact, (_, taken) in self.seen.written.items()):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_SECONDS)

    def end(self) -> None:
        self._ending.set()

    async def _paced(self, per_second: float, do: Callable[[], Awaitable[None]]) -> None:
        """Begin one each time, whether or not those before are done."""
        loop, due = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        while not self._ending.is_set():
            self._tasks.add(task := asyncio.ensure_future(do()))
            task.add_done_callback(self._tasks.discard)
            due += 1 / per_second
            await asyncio.sleep(max(0.0, due - loop.time()))

    # -- calls

    async def _caller(self, lines: Sequence[bytes], place: float) -> None:
        """One after the other, the first of each caller at a moment of its own."""
        await self._or_end(place * self._plan.call_seconds)
        while not self._ending.is_set():
            steps = list(script(lines, self._plan.call_seconds * 2, 0.0, self._random))
            self._count += 1
            begun = asyncio.get_running_loop().time()
            call = await self._carrier.ring(NUMBER, f"+1317556{self._count:04}", steps)
            over = asyncio.create_task(call.ended(300))
            ends = asyncio.create_task(self._or_end(self._plan.call_seconds))
            await asyncio.wait({over, ends}, return_when=asyncio.FIRST_COMPLETED)
            left = asyncio.get_running_loop().time()
            ends.cancel()
            call.hang_up()
            self.seen.calls.append(experience(call, begun, left))
            self._keep(over)
            if call.is_over:
                sys.stderr.write(f"at {left:.1f} {told(call)}\n")
                await self._or_end(1)  # they call again

    def _keep(self, over: "asyncio.Task[Any]") -> None:
        """Its last callbacks are sent meanwhile."""

        async def finish() -> None:
            with suppress(TimeoutError):
                await over

        self._tasks.add(task := asyncio.create_task(finish()))
        task.add_done_callback(self._tasks.discard)

    async def _or_end(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

    # -- texts

    async def _write(self) -> None:
        """Have a text sent, to somebody of its own; whoever gets no answer asks again, under the same key."""
        self._count += 1
        contact, loop = f"+1317557{self._count:04}", asyncio.get_running_loop()
        at = loop.time()
        self.seen.written[contact] = at, False
        body = {
            "twilio_number_id": self._number,
            "contact_e164": contact,
            "initial_message": {"body": "Your table is ready."},
        }
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        while loop.time() < at + PATIENCE_SECONDS:
            fault = await self._ask("POST", "/api/sms/conversations", json=body, headers=headers)
            assert fault in WORTH_REPEATING, f"the benchmark asks for what can't be: {fault}"
            if not fault:
                self.seen.written[contact] = at, True
                return
            await asyncio.sleep(0.5)

    async def _tell(self) -> None:
        """Somebody texts us."""
        self._count += 1
        at = asyncio.get_running_loop().time()
        self.seen.told.append((at, self._carrier.text(NUMBER, f"+1317558{self._count:04}", "Is my order ready?")))

    def _sent(self, contact: str) -> int:
        return self._carrier.texting.book.sent_to[contact]

    # -- requests

    async def _ask_something(self) -> None:
        await self._ask("GET", self._random.choice(PATHS))

    async def _ask(self, verb: str, path: str, **options: Any) -> str:
        """Ask once; the kind of its failure, empty if there is none."""
        at, loop = asyncio.get_running_loop().time(), asyncio.get_running_loop()
        try:
            async with asyncio.timeout(REQUEST_SECONDS), self._http.request(verb, path, **options) as answer:
                await answer.read()
                fault = "" if answer.status < HTTPStatus.BAD_REQUEST else str(answer.status)
        except TimeoutError:
            fault = "no answer"
        except aiohttp.ClientError:
            fault = "closed"
        self.seen.requests.append(Asked(at, loop.time(), fault))
        return fault

    # -- the end

    def facts(self, stalled_seconds: float) -> Facts:
        first = dict[str, float]()
        for request in self._carrier.texting.book.requests:
            first.setdefault(request.to, request.at_monotonic)
        out = [
            Text(at, first.get(contact), self._sent(contact), taken)
            for contact, (at, taken) in self.seen.written.items()
        ]
        came = [Text(at, None, 0) for at, _ in self.seen.told]  # the database knows
        return Facts(self.seen.calls, out, came, self.seen.requests, stalled_seconds)


def experience(call: Call, begun: float, ended: float) -> Line:
    """What somebody heard between these times, who then left, unless the call was over."""
    sounds = [(begun, begun)]
    for stream in call.streams:
        zero = stream.started_at
        if zero is None:
            continue
        sounds += [(zero + each.start_ms / 1000, zero + each.end_ms / 1000) for each in stream.playout.segments]
        sounds += [
            (zero + each.start_ms / 1000, ended if each.end_ms is None else zero + each.end_ms / 1000)
            for each in stream.spoken.spans
        ]
    heard, silences = begun, list[tuple[float, float]]()
    for start, end in (*sorted(sounds), (ended, ended)):
        if start - heard >= LEAST_SILENCE_SECONDS:
            silences.append((heard, start))
        heard = max(heard, end)
    opened = [each.started_at for each in call.streams if each.started_at is not None]
    return Line(
        begun,
        ended,
        closed=call.is_over,
        refused=call.is_over and not opened,
        silences=silences,
        resumed=opened[1:],
    )


def told(call: Call) -> str:
    """What became of a call that its caller did not end."""
    hooks = [(each.kind, each.url, [tried.status or tried.error for tried in each.attempts]) for each in call.webhooks]
    streams = [(each.url, each.closed_by, each.errors) for each in call.streams]
    return (
        f"{call.sid} {call.status} {call.hung_up_by}: webhooks {hooks}, streams {streams}, sentences {call.sentences}"
    )


async def main(plan: Plan) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    stalls = Stalls()
    watching = asyncio.create_task(stalls.watch())
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        carrier = await enter(
            Carrier.serve(
                account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER], listen=f"{plan.address}:{CARRIER_PORT}",
                say_ms_per_char=20,
            )
        )  # fmt: skip
        heard = ["Can you tell me your opening hours?"] * 200
        await enter(
            Model.serve(
                api_key=KEY, listen=f"{plan.address}:{MODEL_PORT}", script=Script(heard=heard, otherwise=ANSWER)
            )
        )
        headers = {"Authorization": f"Bearer {plan.key}"}
        http = await enter(aiohttp.ClientSession(base_url=plan.front, headers=headers, trust_env=False))
        lines = await words(())
        _say("ready")
        await reader.readline()
        outside = Outside(plan, carrier, http)
        await outside.set_up()
        running = asyncio.create_task(outside.run(lines))
        stalls.longest_ms = 0.0
        _say("loaded")
        await reader.readline()
        outside.end()
        await running
        watching.cancel()
        contacts = [message.from_ for _, message in outside.seen.told]
        _say(json.dumps(asdict(outside.facts(stalls.longest_ms / 1000)) | {"contacts_in": contacts}))


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Plan)))
