"""One <Dial>: it rings, whispers, bridges, and says how it ended.

Source: Twilio's pages "TwiML Voice: <Dial>" and "<Number>".  What they leave open is as users report it: the caller hears
ringing until somebody picks up, and on through the whisper only with `answerOnBridge`; several numbers ring until
one of them is *bridged*, so that a mailbox that hangs up in the whisper does not win; a party that answers and
hangs up, or is hung up, in the whisper gives `completed` with DialBridged false.
"""

import asyncio
from typing import Any, Protocol
from urllib.parse import urljoin

from sandbox.loopclock import now
from sandbox.twilio import handset, tones
from sandbox.twilio.call import Call, Callback, Fetch, Instruction, unless_diverted
from sandbox.twilio.caller import Caller
from sandbox.twilio.dialplan import Callee, read
from sandbox.twilio.farend import Person
from sandbox.twilio.hearing import Ringing, Wire
from sandbox.twilio.progress import Progress
from sandbox.twilio.ringing import ring
from sandbox.twilio.twiml import Verb


class Switch(Protocol):
    """What a dial needs of the carrier."""

    def enroll(self, call: Call) -> None: ...
    def answerer(self, e164: str) -> Person: ...
    def progress(self, call: Call) -> Progress: ...
    def spawn(self, work: Any) -> None: ...
    def unreachable(self, e164: str) -> bool: ...
    def may_show(self, parent: Call, caller_id: str) -> bool: ...
    async def whisper(self, child: Call, fetch: Fetch) -> bool: ...
    async def carry_on(self, child: Call, instruction: Instruction) -> None: ...


class Leg:
    """The call to one of the numbers."""

    def __init__(self, switch: Switch, child: Call, answerer: Person, whisper: Fetch | None) -> None:
        self.child = child
        self._answerer = answerer
        self._switch = switch
        self._whisper = whisper
        self._progress = switch.progress(child)
        self._person: asyncio.Task[None] | None = None
        self.failure: str | None = None

    async def connect(self, timeout_s: float, picked_up: asyncio.Event) -> bool:
        """Ring and whisper; whether they can be bridged now."""
        child = self.child
        child.dial()
        self._progress.tell("initiated")
        self.failure = await ring(child, self._answerer, timeout_s, self._progress)
        if self.failure is not None:
            self.end(self.failure)
            return False
        picked_up.set()
        child.answer()
        self._progress.tell("answered")
        self._person = asyncio.create_task(handset.hold(child))
        if self._whisper is None:
            return True
        if await unless_diverted(child, self._switch.whisper(child, self._whisper)):
            return True
        self.part("agent")
        return False

    def part(self, by: str) -> None:
        """The leg's part in the dial is over: it ends, unless REST has moved it somewhere else."""
        instruction = self.child.take_diversion()
        if instruction is not None:
            self._stop_person()
            self._switch.spawn(self._switch.carry_on(self.child, instruction))
            return
        self.child.hung_up_by = self.child.hung_up_by or by
        self.end("completed")

    def end(self, status: str) -> None:
        self._stop_person()
        if not self.child.is_over:
            self.child.finish(status)
            self._switch.spawn(self._bury())

    def _stop_person(self) -> None:
        if self._person is not None:
            self._person.cancel()

    async def _bury(self) -> None:
        await self._progress.last("completed")
        self.child.bury()


class Dial:
    def __init__(self, switch: Switch, parent: Call, verb: Verb, base_url: str) -> None:
        self.outcome: dict[str, str] = {"DialCallStatus": "canceled"}
        """The action's parameters, as of now: what it is told if the caller hangs up at this moment."""
        self._switch = switch
        self._parent = parent
        self._base_url = base_url
        self._plan = read(verb, parent.report)
        self._legs: list[Leg] = []
        self._picked_up = asyncio.Event()
        self._bridged: Leg | None = None

    async def run(self) -> None:
        """Until the dialled parties are gone; cancelling it hangs them up."""
        plan, parent = self._plan, self._parent
        if not plan.answers_on_bridge:
            parent.answer()
        callees = self._reachable()
        try:
            groups = [(each,) for each in callees] if plan.sequential else [callees]
            for group in groups:
                self._bridged = await self._ring(group) if group else None
                if self._bridged is not None:
                    await self._talk(self._bridged)
                    break
            else:
                self.outcome["DialCallStatus"] = self._failure()
        finally:
            parent.listen("silence")
            for leg in self._legs:
                if not leg.child.is_over and leg.child.take_diversion() is None:
                    leg.child.hung_up_by = leg.child.hung_up_by or "other"
                    leg.end("completed" if leg.child.answered_at else "canceled")
            self._sum_up()

    def _reachable(self) -> tuple[Callee, ...]:
        plan, parent = self._plan, self._parent
        if plan.caller_id is not None and not self._switch.may_show(parent, plan.caller_id):
            parent.report(13214, f"Dial: Invalid callerId value: {plan.caller_id}")
            return ()
        for each in plan.callees:
            if self._switch.unreachable(each.e164):
                parent.report(13227, f"Dial: No international authorization for {each.e164}")
        return tuple(each for each in plan.callees if not self._switch.unreachable(each.e164))

    async def _ring(self, callees: tuple[Callee, ...]) -> Leg | None:
        """Call all of them; the first that can be bridged, the others hung up."""
        country = self._plan.ring_tone or tones.country_of(callees[0].e164)
        self._parent.listen("ringing", Ringing(country, now()))
        self._picked_up.clear()
        legs: dict[asyncio.Task[bool], Leg] = {}
        for callee in callees:
            leg = self._leg(callee, self._switch.answerer(callee.e164))
            legs[asyncio.create_task(leg.connect(self._plan.timeout_s, self._picked_up))] = leg
        hush = None if self._plan.answers_on_bridge else asyncio.create_task(self._hush())
        waiting = set(legs)
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    if each.result():
                        return legs[each]
            return None
        finally:
            for task in (*waiting, *([hush] if hush else [])):
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            for each in waiting:
                legs[each].end("completed" if legs[each].child.answered_at else "canceled")

    async def _hush(self) -> None:
        await self._picked_up.wait()
        self._parent.listen("silence")

    def _leg(self, callee: Callee, answerer: Person) -> Leg:
        parent, noun = self._parent, callee.number
        events = noun.get("statusCallbackEvent", "completed").split()
        url = noun.get("statusCallback")
        method = noun.get("statusCallbackMethod", "POST").upper()
        child = Call(
            parent.account_sid,
            "outbound-dial",
            self._plan.caller_id or parent.from_,
            callee.e164,
            Caller(answerer.steps, stay=answerer.stay),
            parent_sid=parent.sid,
            callback=Callback(urljoin(self._base_url, url), method, frozenset(events)) if url else None,
        )
        self._switch.enroll(child)
        parent.note("dial", to=callee.e164, call_sid=child.sid)
        whisper = None
        if noun.get("url"):
            whisper = Fetch(urljoin(self._base_url, noun.get("url")), noun.get("method", "POST").upper(), "whisper")
        leg = Leg(self._switch, child, answerer, whisper)
        self._legs.append(leg)
        self.outcome["DialCallSid"] = child.sid
        return leg

    async def _talk(self, leg: Leg) -> None:
        """Both hear each other, until one of them is gone, `*` is pressed, or the time is up."""
        parent, child = self._parent, leg.child
        self.outcome |= {"DialCallSid": child.sid, "DialCallStatus": "completed"}
        parent.answer()
        to_child, to_parent, star = Wire(), Wire(), asyncio.Event()

        def from_parent(payload: bytes, digit: str | None) -> None:
            to_child.send(payload, digit)
            if digit == "*" and self._plan.hangs_up_on_star:
                star.set()

        parent.taps.append(from_parent)
        child.taps.append(to_parent.send)
        parent.listen("bridge", to_parent)
        child.listen("bridge", to_child)
        parent.note("bridged", call_sid=child.sid)
        try:
            async with asyncio.timeout(self._plan.time_limit_s):
                await unless_diverted(child, star.wait())
        except TimeoutError:
            child.hung_up_by = "carrier"
        finally:
            parent.taps.remove(from_parent)
            child.taps.remove(to_parent.send)
            child.listen("silence")
        leg.part("other")

    def _failure(self) -> str:
        """Nobody was bridged: `completed` if somebody had answered, else what the last number gave."""
        if any(each.child.answered_at for each in self._legs):
            return "completed"
        return next((each.failure for each in reversed(self._legs) if each.failure), "failed")

    def _sum_up(self) -> None:
        answered = self._bridged or next((each for each in self._legs if each.child.answered_at), None)
        if answered is not None:
            self.outcome["DialCallSid"] = answered.child.sid
        if self._legs:
            duration_s = answered.child.duration_s if answered else 0
            self.outcome["DialCallDuration"] = str(duration_s)
        self.outcome["DialBridged"] = "true" if self._bridged else "false"
