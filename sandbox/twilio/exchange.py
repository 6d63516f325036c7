"""The carrier without its REST API: rings, dials, executes TwiML, streams, and sends callbacks."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.loopclock import LoopClock
from sandbox.twilio import handset, placed
from sandbox.twilio.call import Call, Callback, Fallback, Fetch, Instruction, until_diverted
from sandbox.twilio.caller import Caller, Step
from sandbox.twilio.dial import Dial
from sandbox.twilio.dialplan import E164
from sandbox.twilio.farend import Person
from sandbox.twilio.faults import PendingFaults
from sandbox.twilio.numbers import NumberBook
from sandbox.twilio.performer import ActiveDial, Performer
from sandbox.twilio.placed import MAX_CALL_S, CallRateLimit, CallRequest, Opening
from sandbox.twilio.progress import Progress
from sandbox.twilio.stream import Path
from sandbox.twilio.textdesk import TextDesk
from sandbox.twilio.texting import Texting
from sandbox.twilio.twiml import Verb
from sandbox.twilio.webhooks import Courier

__all__ = ["E164", "MAX_CALL_S", "Account", "CallRequest", "Exchange", "NoSuchLine", "Person"]

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
    """One account at the carrier."""

    def __init__(
        self,
        account: Account,
        numbers: Iterable[str] | NumberBook = (),
        *,
        say_ms_per_char: float = 60.0,
        calls_per_second: float = 0.0,
        courier: Courier | None = None,
    ) -> None:
        self.account = account
        self.numbers = numbers if isinstance(numbers, NumberBook) else NumberBook(numbers)
        self.people: dict[str, list[Person]] = {}
        """The people who answer at a number (`*`: any other number): one per call, the last one repeatedly."""
        self.forbidden_prefixes: set[str] = set()
        """Prefixes of countries that the account may not call."""
        self.calls: dict[str, Call] = {}
        self.courier = courier or Courier(account.auth_token)
        self.faults = PendingFaults()
        clock = LoopClock()
        self.texting = Texting(self.numbers, self.faults, clock)
        self.textdesk = TextDesk(account.sid, self.courier, self.texting, clock)
        self.texting.desk = self.textdesk
        self.pacer = CallRateLimit(calls_per_second)
        self.default_path = Path()
        """The network path of calls without one of their own: those placed through REST."""
        self._say_ms_per_char = say_ms_per_char
        self._tasks: set[asyncio.Task[None]] = set()

    async def ring(
        self, to: str, from_: str, steps: Iterable[Step] = (), *, stay: bool = False, path: Path | None = None
    ) -> Call:
        """Place an inbound call from a person to one of the account's numbers.  Raises NoSuchLine, BadStep."""
        number = self.numbers.find(to)
        if number is None:
            raise NoSuchLine(f"account {self.account.sid} does not have {to}")
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
        self.register(call)

        async def opening() -> Instruction:
            return first

        # The caller's own network plays ringback until the call is answered.
        call.heard_audio.switch("ringing", call.began)
        self.spawn(self._record(call, self.run_call(call, opening, MAX_CALL_S, self.progress(call))))

    def place(self, order: CallRequest) -> Call:
        """Call a person for the customer; `people` sets who answers, by default a human who hangs up at once."""
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
        self.register(call)
        self.spawn(self._record(call, placed.run(self, call, person, order)))
        return call

    async def close(self) -> None:
        """End the calls, wait for their last callbacks, and release the connections."""
        for call in list(self.calls.values()):
            call.hang_up("carrier")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=HANGUP_GRACE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.textdesk.close()
        await self.courier.close()

    def register(self, call: Call) -> None:
        self.calls[call.sid] = call

    def answerer(self, e164: str) -> Person:
        """Return who answers at this number now; each of several people answers one call."""
        people = self.people.get(e164) or self.people.get("*", [])
        return people.pop(0) if len(people) > 1 else people[0] if people else Person()

    def progress(self, call: Call) -> Progress:
        return Progress(call, self.courier, self.faults, self.spawn)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def unreachable(self, e164: str) -> bool:
        """Return whether the account may not call the number's country."""
        return any(e164.startswith(prefix) for prefix in self.forbidden_prefixes)

    def may_show(self, parent: Call, caller_id: str) -> bool:
        """Return whether this caller ID is allowed: a number of the account, or a party of the call."""
        return caller_id in {parent.from_, parent.to} or self.numbers.find(caller_id) is not None

    async def whisper(self, child: Call, fetch: Fetch) -> bool:
        """Run the TwiML that only the called party hears; return False if it ended their leg."""
        performer = Performer(child, self.courier, None, self._say_ms_per_char)
        return await performer.perform(fetch) is None

    async def run_redirected(self, child: Call, instruction: Instruction) -> None:
        """Run a dialled party that a REST update moved out of its <Dial>."""

        async def opening() -> Instruction:
            return instruction

        try:
            await self.run_call(child, opening, MAX_CALL_S, self.progress(child))
        finally:
            child.close()

    async def run_call(self, call: Call, opening: Opening, time_limit_s: float, progress: Progress) -> None:
        """Run a call from its first webhook to its last: execute, follow diversions, hang up, send callbacks."""
        performer = Performer(call, self.courier, self._dial, self._say_ms_per_char)
        person = asyncio.create_task(handset.hold(call))
        limit = asyncio.get_running_loop().call_later(time_limit_s, call.hang_up, "carrier")
        try:
            status = await _perform_all(call, performer, opening)
        finally:
            limit.cancel()
            person.cancel()
            await asyncio.gather(person, return_exceptions=True)
        call.finish(status)
        pending = [performer.request(performer.pending_action)] if performer.pending_action else []
        await asyncio.gather(progress.last("completed"), *pending)

    def _dial(self, parent: Call, verb: Verb, base_url: str) -> ActiveDial:
        return Dial(self, parent, verb, base_url)

    async def _record(self, call: Call, work: Coroutine[Any, Any, None]) -> None:
        call.note("call.started", direction=call.direction)
        try:
            await work
        finally:
            call.close()


async def _perform_all(call: Call, performer: Performer, opening: Opening) -> str:
    """Execute TwiML until the call is over; return its final status."""

    async def begin() -> str | None:
        return await performer.perform(await opening()) or "completed"

    status = await until_diverted(call, begin())
    while status is None:
        instruction = call.take_diversion()
        if instruction is None:
            return "completed" if call.answered_at else "no-answer"
        performer.pending_action = None
        status = await until_diverted(call, _perform_one(performer, instruction))
    call.hung_up_by = call.hung_up_by or "agent"
    return status


async def _perform_one(performer: Performer, instruction: Instruction) -> str:
    return await performer.perform(instruction) or "completed"


def _callback(url: str, method: str, events: Iterable[str] = ("completed",)) -> Callback | None:
    return Callback(url, method or "POST", frozenset(events)) if url else None


def _fallback(url: str, method: str) -> Fallback | None:
    return Fallback(url, method or "POST") if url else None
