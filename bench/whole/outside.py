"""python -m bench.whole.outside PLAN: the carrier, the model, callers, texters and clients, on a machine of their own.

PLAN is JSON (`Plan`).  Prints `ready` when carrier and model listen; a line `begin` starts the load, `end` ends it; then all
observations are printed as one JSON object (`judge.Facts`).
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

from bench.whole.judge import ApiRequest, Facts, JudgedCall, Text
from sandbox.load.harness import script, words
from sandbox.openai import Model, Script
from sandbox.twilio import Call, Carrier
from sandbox.twilio.message import Message
from tests.support.stalls import Stalls

ACCOUNT, TOKEN, KEY, NUMBER = "AC" + "7" * 32, "carrier-token", "sk-bench", "+13175550100"
CARRIER_PORT, MODEL_PORT = 9001, 9002
#: Shorter silences are not recorded: a caller waits 0.9 s before each line, and the answer takes half a second.
MIN_SILENCE_SECONDS = 1.0
REQUEST_SECONDS = 10.0
LOOK_SECONDS = 0.2
#: How long a client tries to have a text accepted.
PATIENCE_SECONDS = 30.0
#: How long accepted texts may take at the end.
SETTLE_SECONDS = 45.0
#: Faults after which a client repeats a request: rate limited, still in flight, or unavailable.
RETRYABLE = ("", "409", "429", "500", "502", "503", "504", "no answer", "closed")
PATHS = ("/api/calls?limit=10", "/api/sms/conversations?limit=10", "/api/flows?limit=10", "/api/me")
ANSWER = (
    "You are welcome to come at any time between nine and five, and somebody will be there who can help you with it."
)


class Plan(msgspec.Struct, forbid_unknown_fields=True):
    """The load and its target: `calls` at once, each of `call_seconds`."""

    address: str
    front: str
    key: str
    calls: int
    call_seconds: float
    texts_per_second: float
    requests_per_second: float


@dataclass
class Seen:
    """The recorded observations."""

    calls: list[JudgedCall] = field(default_factory=list)
    #: By contact: when the text was due, and whether the API accepted it.
    written: dict[str, tuple[float, bool]] = field(default_factory=dict)
    inbound: list[tuple[float, Message]] = field(default_factory=list)
    requests: list[ApiRequest] = field(default_factory=list)


class Outside:
    def __init__(self, plan: Plan, carrier: Carrier, http: aiohttp.ClientSession) -> None:
        self._plan, self._carrier, self._http, self.seen = plan, carrier, http, Seen()
        self._random, self._ending = Random(1), asyncio.Event()
        self._tasks = set[asyncio.Task[None]]()
        self._number = ""
        self._count = 0

    # -- set up

    async def set_up(self) -> None:
        flow = await self._create(
            "/api/flows", {"name": "Desk", "greeting": "Hello, this is the clinic. How can I help you?"}
        )
        number = await self._create("/api/numbers", {"e164": NUMBER, "flow_id": flow["id"]})
        self._number = number["id"]
        async with self._http.patch(f"/api/numbers/{self._number}", json={"sms_enabled": True}) as answer:
            assert answer.ok, await answer.text()

    async def _create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._http.post(path, json=body) as answer:
            assert answer.ok, await answer.text()
            created: dict[str, Any] = await answer.json()
            return created

    # -- the load

    async def run(self, lines: Sequence[bytes]) -> None:
        """Run until `end`; then hang up, and wait for the accepted texts."""
        plan = self._plan
        callers = [asyncio.create_task(self._caller(lines, n / plan.calls)) for n in range(plan.calls)]
        paced = [
            asyncio.create_task(self._paced(plan.texts_per_second, self._write)),
            asyncio.create_task(self._paced(plan.texts_per_second / 2, self._send_inbound)),
            asyncio.create_task(self._paced(plan.requests_per_second, self._ask_something)),
        ]
        await self._ending.wait()
        await asyncio.gather(*callers, *paced)
        await asyncio.gather(*self._tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while any(accepted and not self._sent(contact) for contact, (_, accepted) in self.seen.written.items()):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_SECONDS)

    def end(self) -> None:
        self._ending.set()

    async def _paced(self, per_second: float, do: Callable[[], Awaitable[None]]) -> None:
        """Begin `do` at each due time, whether or not the earlier ones are done."""
        loop, due = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        while not self._ending.is_set():
            self._tasks.add(task := asyncio.ensure_future(do()))
            task.add_done_callback(self._tasks.discard)
            due += 1 / per_second
            await asyncio.sleep(max(0.0, due - loop.time()))

    # -- calls

    async def _caller(self, lines: Sequence[bytes], place: float) -> None:
        """Place one call after another; each caller's first call begins at a different moment."""
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
            self._finish_later(over)
            if call.is_over:
                sys.stderr.write(f"at {left:.1f} {describe(call)}\n")
                # The caller tries again.
                await self._or_end(1)

    def _finish_later(self, over: "asyncio.Task[Any]") -> None:
        """Let the call send its last callbacks in the background."""

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
        """Have a text sent to a new contact; repeat the request without a response under the same idempotency key."""
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
            assert fault in RETRYABLE, f"the benchmark sent an invalid request: {fault}"
            if not fault:
                self.seen.written[contact] = at, True
                return
            await asyncio.sleep(0.5)

    async def _send_inbound(self) -> None:
        """Send an inbound text from a new contact."""
        self._count += 1
        at = asyncio.get_running_loop().time()
        self.seen.inbound.append((at, self._carrier.text(NUMBER, f"+1317558{self._count:04}", "Is my order ready?")))

    def _sent(self, contact: str) -> int:
        return self._carrier.texting.book.sent_to[contact]

    # -- requests

    async def _ask_something(self) -> None:
        await self._ask("GET", self._random.choice(PATHS))

    async def _ask(self, verb: str, path: str, **options: Any) -> str:
        """Send a request once; return the kind of its failure, empty if there is none."""
        at, loop = asyncio.get_running_loop().time(), asyncio.get_running_loop()
        try:
            async with asyncio.timeout(REQUEST_SECONDS), self._http.request(verb, path, **options) as answer:
                await answer.read()
                fault = "" if answer.status < HTTPStatus.BAD_REQUEST else str(answer.status)
        except TimeoutError:
            fault = "no answer"
        except aiohttp.ClientError:
            fault = "closed"
        self.seen.requests.append(ApiRequest(at, loop.time(), fault))
        return fault

    # -- the end

    def facts(self, stalled_seconds: float) -> Facts:
        first = dict[str, float]()
        for request in self._carrier.texting.book.requests:
            first.setdefault(request.to, request.at_monotonic)
        out = [
            Text(at, first.get(contact), self._sent(contact), accepted)
            for contact, (at, accepted) in self.seen.written.items()
        ]
        texts_in = [Text(at, None, 0) for at, _ in self.seen.inbound]  # times are in the database
        return Facts(self.seen.calls, out, texts_in, self.seen.requests, stalled_seconds)


def experience(call: Call, begun: float, ended: float) -> JudgedCall:
    """Return what the caller heard between these times; the caller left at the end, unless the call was over."""
    sounds = [(begun, begun)]
    for stream in call.streams:
        zero = stream.started_at
        if zero is None:
            continue
        sounds += [
            (zero + segment.start_ms / 1000, zero + segment.end_ms / 1000) for segment in stream.playout.segments
        ]
        sounds += [
            (zero + span.start_ms / 1000, ended if span.end_ms is None else zero + span.end_ms / 1000)
            for span in stream.spoken.spans
        ]
    heard_until, silences = begun, list[tuple[float, float]]()
    for start, end in (*sorted(sounds), (ended, ended)):
        if start - heard_until >= MIN_SILENCE_SECONDS:
            silences.append((heard_until, start))
        heard_until = max(heard_until, end)
    opened = [stream.started_at for stream in call.streams if stream.started_at is not None]
    return JudgedCall(
        begun,
        ended,
        closed=call.is_over,
        refused=call.is_over and not opened,
        silences=silences,
        resumed=opened[1:],
    )


def describe(call: Call) -> str:
    """Describe a call that did not end by its caller, for the log."""
    hooks = [
        (hook.kind, hook.url, [attempt.status or attempt.error for attempt in hook.attempts]) for hook in call.webhooks
    ]
    streams = [(stream.url, stream.closed_by, stream.errors) for stream in call.streams]
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
        transcripts = ["Can you tell me your opening hours?"] * 200
        await enter(
            Model.serve(
                api_key=KEY, listen=f"{plan.address}:{MODEL_PORT}", script=Script(heard=transcripts, otherwise=ANSWER)
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
        contacts = [message.from_ for _, message in outside.seen.inbound]
        _say(json.dumps(asdict(outside.facts(stalls.longest_ms / 1000)) | {"contacts_in": contacts}))


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Plan)))
