"""One <Dial>: ring, whisper, bridge, and report the outcome to its action.

States of a leg: ringing, whispering (only with a whisper URL), bridged, over.  All numbers ring at once, or one after
another if sequential.  Example: two numbers ring; the first answers and hangs up in its whisper; the second answers 3 s later
and is bridged; when one party hangs up, the action gets DialCallStatus=completed with DialBridged=true.

Source: Twilio's pages "TwiML Voice: <Dial>" and "<Number>".  What they leave open follows users' reports: the caller hears
ringing until a party answers, and on through the whisper only with `answerOnBridge`; several numbers ring until
one of them is *bridged*, so that a mailbox that hangs up in the whisper does not win; a party that answers and
hangs up, or is hung up, in the whisper gives `completed` with DialBridged false.
"""

import asyncio
from typing import Any, Protocol
from urllib.parse import urljoin

from sandbox.loopclock import now
from sandbox.twilio import handset, tones
from sandbox.twilio.call import Call, Callback, Fetch, Instruction, until_diverted
from sandbox.twilio.caller import Caller
from sandbox.twilio.dialplan import Callee, read
from sandbox.twilio.farend import Person
from sandbox.twilio.heardaudio import Ringing, Wire
from sandbox.twilio.progress import Progress
from sandbox.twilio.ringing import ring
from sandbox.twilio.twiml import Verb


class DialSwitch(Protocol):
    """The carrier's operations that a dial uses."""

    def register(self, call: Call) -> None: ...
    def answerer(self, e164: str) -> Person: ...
    def progress(self, call: Call) -> Progress: ...
    def spawn(self, work: Any) -> None: ...
    def unreachable(self, e164: str) -> bool: ...
    def may_show(self, parent: Call, caller_id: str) -> bool: ...
    async def whisper(self, child: Call, fetch: Fetch) -> bool: ...
    async def run_redirected(self, child: Call, instruction: Instruction) -> None: ...


class DialLeg:
    """The call to one of the numbers."""

    def __init__(self, switch: DialSwitch, child: Call, answerer: Person, whisper: Fetch | None) -> None:
        self.child = child
        self._answerer = answerer
        self._switch = switch
        self._whisper = whisper
        self._progress = switch.progress(child)
        self._person: asyncio.Task[None] | None = None
        self.failure: str | None = None

    async def connect(self, timeout_s: float, answered: asyncio.Event) -> bool:
        """Ring and whisper; return whether the parties can be bridged now."""
        child = self.child
        child.dial()
        self._progress.publish("initiated")
        self.failure = await ring(child, self._answerer, timeout_s, self._progress)
        if self.failure is not None:
            self.end(self.failure)
            return False
        answered.set()
        child.answer()
        self._progress.publish("answered")
        self._person = asyncio.create_task(handset.hold(child))
        if self._whisper is None:
            return True
        if await until_diverted(child, self._switch.whisper(child, self._whisper)):
            return True
        self.leave("agent")
        return False

    def leave(self, by: str) -> None:
        """End the leg, unless a REST update has redirected it."""
        instruction = self.child.take_diversion()
        if instruction is not None:
            self._stop_person()
            self._switch.spawn(self._switch.run_redirected(self.child, instruction))
            return
        self.child.hung_up_by = self.child.hung_up_by or by
        self.end("completed")

    def end(self, status: str) -> None:
        self._stop_person()
        if not self.child.is_over:
            self.child.finish(status)
            self._switch.spawn(self._close())

    def _stop_person(self) -> None:
        if self._person is not None:
            self._person.cancel()

    async def _close(self) -> None:
        await self._progress.last("completed")
        self.child.close()


class Dial:
    def __init__(self, switch: DialSwitch, parent: Call, verb: Verb, base_url: str) -> None:
        self.outcome: dict[str, str] = {"DialCallStatus": "canceled"}
        """The action's parameters as they would be sent if the caller hung up now."""
        self._switch = switch
        self._parent = parent
        self._base_url = base_url
        self._plan = read(verb, parent.report)
        self._legs: list[DialLeg] = []
        self._answered = asyncio.Event()
        self._winner: DialLeg | None = None

    async def run(self) -> None:
        """Run until the dialled parties are gone; cancellation hangs them up."""
        plan, parent = self._plan, self._parent
        if not plan.answers_on_bridge:
            parent.answer()
        callees = self._reachable()
        try:
            groups = [(callee,) for callee in callees] if plan.sequential else [callees]
            for group in groups:
                self._winner = await self._ring(group) if group else None
                if self._winner is not None:
                    await self._bridge(self._winner)
                    break
            else:
                self.outcome["DialCallStatus"] = self._failure()
        finally:
            parent.listen("silence")
            for leg in self._legs:
                if not leg.child.is_over and leg.child.take_diversion() is None:
                    leg.child.hung_up_by = leg.child.hung_up_by or "other"
                    leg.end("completed" if leg.child.answered_at else "canceled")
            self._finalize_outcome()

    def _reachable(self) -> tuple[Callee, ...]:
        plan, parent = self._plan, self._parent
        if plan.caller_id is not None and not self._switch.may_show(parent, plan.caller_id):
            parent.report(13214, f"Dial: Invalid callerId value: {plan.caller_id}")
            return ()
        for callee in plan.callees:
            if self._switch.unreachable(callee.e164):
                parent.report(13227, f"Dial: No international authorization for {callee.e164}")
        return tuple(callee for callee in plan.callees if not self._switch.unreachable(callee.e164))

    async def _ring(self, callees: tuple[Callee, ...]) -> DialLeg | None:
        """Call all of them; return the first leg that can be bridged and hang up the others, or None."""
        country = self._plan.ring_tone or tones.country_of(callees[0].e164)
        self._parent.listen("ringing", Ringing(country, now()))
        self._answered.clear()
        legs: dict[asyncio.Task[bool], DialLeg] = {}
        for callee in callees:
            leg = self._leg(callee, self._switch.answerer(callee.e164))
            legs[asyncio.create_task(leg.connect(self._plan.timeout_s, self._answered))] = leg
        ringback = None if self._plan.answers_on_bridge else asyncio.create_task(self._stop_ringback())
        waiting = set(legs)
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for attempt in done:
                    if attempt.result():
                        return legs[attempt]
            return None
        finally:
            for task in (*waiting, *([ringback] if ringback else [])):
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            for attempt in waiting:
                legs[attempt].end("completed" if legs[attempt].child.answered_at else "canceled")

    async def _stop_ringback(self) -> None:
        await self._answered.wait()
        self._parent.listen("silence")

    def _leg(self, callee: Callee, answerer: Person) -> DialLeg:
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
        self._switch.register(child)
        parent.note("dial", to=callee.e164, call_sid=child.sid)
        whisper = None
        if noun.get("url"):
            whisper = Fetch(urljoin(self._base_url, noun.get("url")), noun.get("method", "POST").upper(), "whisper")
        leg = DialLeg(self._switch, child, answerer, whisper)
        self._legs.append(leg)
        self.outcome["DialCallSid"] = child.sid
        return leg

    async def _bridge(self, leg: DialLeg) -> None:
        """Connect both parties until one is gone, `*` is pressed, or the time limit is reached."""
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
                await until_diverted(child, star.wait())
        except TimeoutError:
            child.hung_up_by = "carrier"
        finally:
            parent.taps.remove(from_parent)
            child.taps.remove(to_parent.send)
            child.listen("silence")
        leg.leave("other")

    def _failure(self) -> str:
        """Return the status of a dial without a bridge: `completed` if a party answered, else that of the last number."""
        if any(leg.child.answered_at for leg in self._legs):
            return "completed"
        return next((leg.failure for leg in reversed(self._legs) if leg.failure), "failed")

    def _finalize_outcome(self) -> None:
        answered = self._winner or next((leg for leg in self._legs if leg.child.answered_at), None)
        if answered is not None:
            self.outcome["DialCallSid"] = answered.child.sid
        if self._legs:
            duration_s = answered.child.duration_s if answered else 0
            self.outcome["DialCallDuration"] = str(duration_s)
        self.outcome["DialBridged"] = "true" if self._winner else "false"
