"""The carrier without its REST API: it rings, dials, executes TwiML, streams, and sends callbacks."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.loopclock import LoopClock
from sandbox.twilio import handset, placed
from sandbox.twilio.call import Call, Callback, Fallback, Fetch, Instruction, unless_diverted
from sandbox.twilio.caller import Caller, Step
from sandbox.twilio.dial import Dial
from sandbox.twilio.dialplan import E164
from sandbox.twilio.farend import Person
from sandbox.twilio.faults import Faults
from sandbox.twilio.numbers import NumberBook
from sandbox.twilio.performer import Dialling, Performer
from sandbox.twilio.placed import MAX_CALL_S, Opening, Order, Pacer
from sandbox.twilio.progress import Progress
from sandbox.twilio.stream import Path
from sandbox.twilio.textdesk import TextDesk
from sandbox.twilio.texting import Texting
from sandbox.twilio.twiml import Verb
from sandbox.twilio.webhooks import Courier

__all__ = ["E164", "MAX_CALL_S", "Account", "Exchange", "NoSuchLine", "Order", "Person"]

HANGUP_GRACE_S = 5


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


class Exchange:
    """One account at the carrier.  `close` ends its calls."""

    def __init__(
        self,
        account: Account,
        numbers: Iterable[str] = (),
        *,
        say_ms_per_char: float = 60.0,
        calls_per_second: float = 0.0,
        courier: Courier | None = None,
    ) -> None:
        self.account = account
        self.numbers = NumberBook(numbers)
        self.people: dict[str, list[Person]] = {}
        """Who answers at a number (`*`: at any other): one after the other, the last for good."""
        self.forbidden_prefixes: set[str] = set()
        """Countries that the account may not call."""
        self.calls: dict[str, Call] = {}
        self.courier = courier or Courier(account.auth_token)
        self.faults = Faults()
        clock = LoopClock()
        self.texting = Texting(self.numbers, self.faults, clock)
        self.textdesk = TextDesk(account.sid, self.courier, self.texting, clock)
        self.texting.desk = self.textdesk
        self.pacer = Pacer(calls_per_second)
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
        self.enroll(call)

        async def opening() -> Instruction:
            return first

        call.hearing.turn("ringing", call.began)  # their own network rings until we answer
        self.spawn(self._whole(call, self.live(call, opening, MAX_CALL_S, self.progress(call))))

    def place(self, order: Order) -> Call:
        """Call somebody for the customer; `people` sets who answers, by default a human who hangs up at once."""
        person = self.answerer(order.to)
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
        self.enroll(call)
        self.spawn(self._whole(call, placed.run(self, call, person, order)))
        return call

    async def close(self) -> None:
        for call in list(self.calls.values()):
            call.hang_up("carrier")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=HANGUP_GRACE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.textdesk.close()
        await self.courier.close()

    def enroll(self, call: Call) -> None:
        self.calls[call.sid] = call

    def answerer(self, e164: str) -> Person:
        """Who answers at this number now."""
        people = self.people.get(e164) or self.people.get("*", [])
        return people.pop(0) if len(people) > 1 else people[0] if people else Person()

    def progress(self, call: Call) -> Progress:
        return Progress(call, self.courier, self.faults, self.spawn)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def unreachable(self, e164: str) -> bool:
        """Whether the account may not call this country."""
        return any(e164.startswith(each) for each in self.forbidden_prefixes)

    def may_show(self, parent: Call, caller_id: str) -> bool:
        """A caller id must be the account's, or a party of the call."""
        return caller_id in {parent.from_, parent.to} or self.numbers.find(caller_id) is not None

    async def whisper(self, child: Call, fetch: Fetch) -> bool:
        """Run the TwiML that only the called party hears; False if it ended their leg."""
        performer = Performer(child, self.courier, None, self._say_ms_per_char)
        return await performer.perform(fetch) is None

    async def carry_on(self, child: Call, instruction: Instruction) -> None:
        """A party that was dialled, and that REST has moved out of the dial."""

        async def opening() -> Instruction:
            return instruction

        try:
            await self.live(child, opening, MAX_CALL_S, self.progress(child))
        finally:
            child.bury()

    async def live(self, call: Call, opening: Opening, time_limit_s: float, progress: Progress) -> None:
        """From the first webhook to the last: execute, follow diversions, hang up, send callbacks."""
        performer = Performer(call, self.courier, self._dial, self._say_ms_per_char)
        person = asyncio.create_task(handset.hold(call))
        limit = asyncio.get_running_loop().call_later(time_limit_s, call.hang_up, "carrier")
        try:
            status = await _perform(call, performer, opening)
        finally:
            limit.cancel()
            person.cancel()
            await asyncio.gather(person, return_exceptions=True)
        call.finish(status)
        owed = [performer.request(performer.owed)] if performer.owed else []
        await asyncio.gather(progress.last("completed"), *owed)

    def _dial(self, parent: Call, verb: Verb, base_url: str) -> Dialling:
        return Dial(self, parent, verb, base_url)

    async def _whole(self, call: Call, life: Coroutine[Any, Any, None]) -> None:
        call.note("call.started", direction=call.direction)
        try:
            await life
        finally:
            call.bury()


async def _perform(call: Call, performer: Performer, opening: Opening) -> str:
    """Execute until the call is over; return its final status."""

    async def begin() -> str | None:
        return await performer.perform(await opening()) or "completed"

    status = await unless_diverted(call, begin())
    while status is None:
        instruction = call.take_diversion()
        if instruction is None:
            return "completed" if call.answered_at else "no-answer"
        performer.owed = None
        status = await unless_diverted(call, _performed(performer, instruction))
    call.hung_up_by = call.hung_up_by or "agent"
    return status


async def _performed(performer: Performer, instruction: Instruction) -> str:
    return await performer.perform(instruction) or "completed"


def _callback(url: str, method: str, events: Iterable[str] = ("completed",)) -> Callback | None:
    return Callback(url, method or "POST", frozenset(events)) if url else None


def _fallback(url: str, method: str) -> Fallback | None:
    return Fallback(url, method or "POST") if url else None
