"""The carrier without its REST API: it rings, dials, executes TwiML, streams, and sends callbacks."""

import asyncio
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Literal
from urllib.parse import urljoin

from sandbox.twilio import handset, twiml
from sandbox.twilio.call import Call, Callback, Fallback, Fetch, Instruction
from sandbox.twilio.caller import Caller, Step
from sandbox.twilio.numbers import NumberBook
from sandbox.twilio.performer import Performer
from sandbox.twilio.stream import Path
from sandbox.twilio.twiml import Verb
from sandbox.twilio.webhooks import Courier

E164 = re.compile(r"\+[1-9]\d{6,14}")
RING_SLACK_S = 5  # Twilio lets a call ring this much longer than its Timeout
MAX_CALL_S = 4 * 3600

Answers = Literal["human", "busy", "no_answer", "failed"]
DIAL_STATUS: dict[str, str] = {"busy": "busy", "no_answer": "no-answer", "failed": "failed"}


class NoSuchLine(Exception):  # noqa: N818  (it says what is missing)
    """The number cannot be called: the account does not have it, or it has no voice URL."""


@dataclass(slots=True)
class Account:
    sid: str
    auth_token: str
    api_keys: dict[str, str] = field(default_factory=dict)

    def admits(self, user: str, password: str) -> bool:
        return (user, password) == (self.sid, self.auth_token) or (
            bool(password) and self.api_keys.get(user) == password
        )


@dataclass(slots=True)
class Person:
    """Who answers at a number that the customer's application calls."""

    answers: Answers = "human"
    ring_ms: int = 0
    steps: list[dict[str, Any]] = field(default_factory=list)
    stay: bool = False
    answered_by: str = "human"
    """The result of machine detection: Twilio's AnsweredBy."""


@dataclass(frozen=True, slots=True)
class Order:
    """A call placed through the REST API."""

    to: str
    from_: str
    first: Instruction
    callback: Callback | None = None
    fallback: Fallback | None = None
    timeout_s: float = 60.0
    time_limit_s: float = MAX_CALL_S
    detects_machines: bool = False
    amd_callback: Callback | None = None


class Exchange:
    """One account at the carrier.  `close` ends its calls."""

    def __init__(self, account: Account, numbers: Iterable[str] = (), *, say_ms_per_char: float = 60.0) -> None:
        self.account = account
        self.numbers = NumberBook(numbers)
        self.people: dict[str, Person] = {}
        self.calls: dict[str, Call] = {}
        self.courier = Courier(account.auth_token)
        self.default_path = Path()
        """The network path of calls without one of their own: those placed through REST."""
        self._say_ms_per_char = say_ms_per_char
        self._tasks: set[asyncio.Task[None]] = set()

    async def ring(
        self, to: str, from_: str, steps: Iterable[Step] = (), *, stay: bool = False, path: Path | None = None
    ) -> Call:
        """A person calls one of the account's numbers; raises NoSuchLine, or BadStep for invalid steps."""
        number = self.numbers.find(to)
        if number is None:
            raise NoSuchLine(f"{to} is not held by account {self.account.sid}")
        voice_url = number.get("voice_url")
        if not voice_url:
            raise NoSuchLine(f"{to} has no voice URL")
        call = Call(
            self.account.sid,
            "inbound",
            from_,
            to,
            Caller(steps, stay=stay),
            path=path,
            callback=_callback(number.get("status_callback"), number.get("status_callback_method")),
            fallback=_fallback(number.get("voice_fallback_url"), number.get("voice_fallback_method")),
            number_sid=number.sid,
        )
        self.begin(call, Fetch(voice_url, number.get("voice_method")))
        return call

    def begin(self, call: Call, first: Instruction) -> None:
        """Start an inbound call."""
        self.calls[call.sid] = call
        self._spawn(self._inbound(call, first))

    def place(self, order: Order) -> Call:
        """Call somebody for the customer; `people` sets who answers, by default a human who hangs up at once."""
        person = self.people.get(order.to, Person())
        number = self.numbers.find(order.from_)
        call = Call(
            self.account.sid,
            "outbound-api",
            order.from_,
            order.to,
            Caller(person.steps, stay=person.stay),
            path=self.default_path,
            callback=order.callback,
            fallback=order.fallback,
            number_sid=number.sid if number else None,
        )
        self.calls[call.sid] = call
        self._spawn(self._outbound(call, person, order))
        return call

    async def close(self) -> None:
        for call in list(self.calls.values()):
            call.hang_up("carrier")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.courier.close()

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _inbound(self, call: Call, first: Instruction) -> None:
        call.note("call.started", direction=call.direction)
        try:
            await self._live(call, first, MAX_CALL_S)
        finally:
            call.bury()

    async def _outbound(self, call: Call, person: Person, order: Order) -> None:
        call.note("call.started", direction=call.direction)
        telling = _Telling(self, call)
        try:
            telling.tell("initiated")
            call.set_status("ringing")
            telling.tell("ringing")
            failure = await _ring(call, person, order.timeout_s + RING_SLACK_S)
            if failure is not None:
                call.finish(failure)
                await telling.last("completed")
                return
            if order.detects_machines and order.amd_callback is None:
                call.answered_by = person.answered_by
            call.answer()
            telling.tell("answered")
            if order.amd_callback is not None:
                self._spawn(self._tell_amd(call, order.amd_callback, person.answered_by))
            await self._live(call, order.first, order.time_limit_s, telling)
        finally:
            call.bury()

    async def _live(
        self, call: Call, first: Instruction, time_limit_s: float, telling: "_Telling | None" = None
    ) -> None:
        """From the first webhook to the last: execute, follow diversions, hang up, send callbacks."""
        telling = telling or _Telling(self, call)
        performer = Performer(call, self.courier, self._dial, self._say_ms_per_char)
        person = asyncio.create_task(handset.hold(call))
        limit = asyncio.get_running_loop().call_later(time_limit_s, call.hang_up, "carrier")
        try:
            status = await _perform(call, performer, first)
        finally:
            limit.cancel()
            person.cancel()
            await asyncio.gather(person, return_exceptions=True)
        call.finish(status)
        owed = [performer.request(performer.owed)] if performer.owed else []
        await asyncio.gather(telling.last("completed"), *owed)

    async def _dial(self, parent: Call, verb: Verb) -> dict[str, str]:
        """The other leg of a <Dial>: ring, whisper, talk until one side hangs up; returns the Dial parameters."""
        to = twiml.dialled(verb)
        person = self.people.get(to, Person())
        number = verb.noun("Number") or Verb("Number")
        child = Call(
            self.account.sid,
            "outbound-dial",
            verb.get("callerId") or parent.from_,
            to,
            Caller(person.steps, stay=person.stay),
            parent_sid=parent.sid,
            callback=_callback(
                number.get("statusCallback"),
                number.get("statusCallbackMethod", "POST"),
                number.get("statusCallbackEvent", "completed").split(),
            ),
        )
        self.calls[child.sid] = child
        parent.note("dial", to=to, call_sid=child.sid)
        telling = _Telling(self, child)
        telling.tell("initiated")
        child.set_status("ringing")
        telling.tell("ringing")
        bridged = False
        try:
            status = await _ring(child, person, float(verb.get("timeout", "30")))
            if status is None:
                child.answer()
                telling.tell("answered")
                bridged = await self._whisper(child, parent, number)
                if bridged:
                    await handset.hold(child)
                status = "completed"
        except asyncio.CancelledError:
            child.finish("completed" if child.answered_at else "canceled")
            self._spawn(_tell_and_bury(telling, child))
            raise
        child.finish(status)
        self._spawn(_tell_and_bury(telling, child))
        return {
            "DialCallStatus": status,
            "DialCallSid": child.sid,
            "DialCallDuration": str(child.duration_s),
            "DialBridged": "true" if bridged else "false",
        }

    async def _whisper(self, child: Call, parent: Call, number: Verb) -> bool:
        """Run the TwiML that only the called party hears; False if it ended their leg."""
        if not number.get("url"):
            return True
        base = next((each.url for each in reversed(parent.webhooks)), "")
        performer = Performer(child, self.courier, self._dial, self._say_ms_per_char)
        fetch = Fetch(urljoin(base, number.get("url")), number.get("method", "POST").upper(), "whisper")
        return await performer.perform(fetch) is None

    async def _tell_amd(self, call: Call, callback: Callback, answered_by: str) -> None:
        fields = {
            "CallSid": call.sid,
            "AccountSid": call.account_sid,
            "AnsweredBy": answered_by,
            "MachineDetectionDuration": "2400",
        }
        call.webhooks.append(await self.courier.send("amd", callback.url, fields, callback.method))


class _Telling:
    """Sends one call's status callbacks in order; the call waits only for the last one."""

    def __init__(self, exchange: Exchange, call: Call) -> None:
        self._exchange = exchange
        self._call = call
        self._under_way: asyncio.Task[None] | None = None

    def tell(self, event: str) -> None:
        callback = self._call.callback
        if callback is None or event not in callback.events:
            return
        call = self._call
        fields = call.parameters() | {
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(call.next_sequence()),
            "Timestamp": format_datetime(datetime.now(UTC)),
        }
        if event == "completed":
            fields |= {"CallDuration": str(call.duration_s), "Duration": str(-(-call.duration_s // 60))}
        self._under_way = asyncio.create_task(self._send(self._under_way, callback, fields))

    async def last(self, event: str) -> None:
        self.tell(event)
        if self._under_way is not None:
            await self._under_way

    async def _send(self, before: asyncio.Task[None] | None, callback: Callback, fields: dict[str, str]) -> None:
        if before is not None:
            await before
        status = fields["CallStatus"]

        def watch(webhook: Any) -> None:
            self._call.webhooks.append(webhook)
            self._call.note("webhook.sent", kind="status", url=webhook.url, call_status=status)

        await self._exchange.courier.send("status", callback.url, fields, callback.method, watch)


async def _perform(call: Call, performer: Performer, first: Instruction) -> str:
    """Execute until the call is over; return its final status."""
    instruction: Instruction | None = first
    while instruction is not None:
        work = asyncio.create_task(performer.perform(instruction))
        diverted = asyncio.create_task(call.diverted.wait())
        try:
            await asyncio.wait({work, diverted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            diverted.cancel()
            if not work.done():
                work.cancel()
            await asyncio.gather(work, diverted, return_exceptions=True)
        if not call.diverted.is_set():
            call.hung_up_by = call.hung_up_by or "agent"
            return work.result() or "completed"
        instruction = call.take_diversion()
        if instruction is not None:
            performer.owed = None
    return "completed" if call.answered_at else "no-answer"


async def _ring(call: Call, person: Person, patience_s: float) -> str | None:
    """Let it ring; return why nobody answered, or None."""
    rings_s = patience_s if person.answers == "no_answer" else min(person.ring_ms / 1000, patience_s)
    began = time.monotonic()
    try:
        async with asyncio.timeout(rings_s):
            await call.diverted.wait()
    except TimeoutError:
        call.note("ringing.over", rang_ms=(time.monotonic() - began) * 1000)
    else:
        return "canceled"
    if person.answers == "human" and person.ring_ms / 1000 > patience_s:
        return "no-answer"
    return DIAL_STATUS.get(person.answers)


async def _tell_and_bury(telling: _Telling, call: Call) -> None:
    await telling.last("completed")
    call.bury()


def _callback(url: str, method: str, events: Iterable[str] = ("completed",)) -> Callback | None:
    return Callback(url, method or "POST", frozenset(events)) if url else None


def _fallback(url: str, method: str) -> Fallback | None:
    return Fallback(url, method or "POST") if url else None
