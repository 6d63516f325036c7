"""Calls that the customer places through the REST API.

A call waits in the queue, rings, and is answered or ends with a refusal; then it executes TwiML, with machine detection beside it.
Example with AsyncAmd: queued at 0 s, ringing at 1 s, answered at 5 s, the URL is fetched at once, the verdict's callback at 8 s.

Sources: Twilio's Call resource ("Timeout": about five seconds longer than requested), "Answering Machine Detection" (with AsyncAmd
the URL is fetched at the answer and the verdict comes in a callback; else the URL is fetched with the verdict), and its
support's "How fast can I place or receive phone calls": an account starts one call a second by default, more are queued,
and are canceled after 24 hours; a <Dial> has no such limit.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sandbox.loopclock import now
from sandbox.twilio.amd import Amd, AmdResult, Detector
from sandbox.twilio.call import Call, Callback, Fallback, Fetch, Instruction
from sandbox.twilio.farend import Person
from sandbox.twilio.faults import PendingFaults
from sandbox.twilio.progress import Progress
from sandbox.twilio.ringing import ring
from sandbox.twilio.webhooks import Courier

RING_SLACK_S = 5
MAX_CALL_S = 4 * 3600
MAX_QUEUE_S = 24 * 3600

Opening = Callable[[], Coroutine[Any, Any, Instruction]]


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A call placed through the REST API."""

    to: str
    from_: str
    first: Instruction
    callback: Callback | None = None
    fallback: Fallback | None = None
    timeout_s: float = 60.0
    time_limit_s: float = MAX_CALL_S
    amd: Amd | None = None
    amd_callback: Callback | None = None
    """The verdict's callback (none is sent if its URL is empty); None: the call waits for the verdict."""


class CallRateLimit:
    """Limit of calls per second; 0 is no limit.  Pure."""

    def __init__(self, calls_per_second: float = 0.0) -> None:
        self.calls_per_second = calls_per_second
        self._next = 0.0

    def start_at(self, now_s: float) -> float:
        """Reserve and return the time at which a call ordered now may start."""
        if not self.calls_per_second:
            return now_s
        start = max(now_s, self._next)
        self._next = start + 1 / self.calls_per_second
        return start


class AnswerDetection:
    """Machine detection in one live call."""

    def __init__(self, call: Call, amd: Amd, preset: Person) -> None:
        self._call = call
        self._detector = Detector(amd)
        self._done: asyncio.Future[AmdResult] = asyncio.get_running_loop().create_future()
        if preset.answered_by is not None:
            self._resolve(AmdResult(preset.answered_by, 0))
        else:
            call.taps.append(self._hear)

    async def verdict(self) -> AmdResult:
        return await asyncio.shield(self._done)

    def end(self) -> None:
        """Resolve the detection when the call ends without a verdict."""
        self._resolve(self._detector.hang_up())

    def _hear(self, payload: bytes, _: str | None) -> None:
        if (verdict := self._detector.frame(payload)) is not None:
            self._call.taps.remove(self._hear)
            self._resolve(verdict)

    def _resolve(self, verdict: AmdResult) -> None:
        if not self._done.done():
            self._done.set_result(verdict)
            self._call.answered_by = verdict.answered_by
            self._call.note("amd", answered_by=verdict.answered_by, duration_ms=verdict.duration_ms)


class PlacedCallSwitch(Protocol):
    """The carrier's operations that a placed call uses."""

    @property
    def courier(self) -> Courier: ...
    @property
    def faults(self) -> PendingFaults: ...
    @property
    def pacer(self) -> CallRateLimit: ...
    def progress(self, call: Call) -> Progress: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...
    async def run_call(self, call: Call, opening: Opening, time_limit_s: float, progress: Progress) -> None: ...


async def run(switch: PlacedCallSwitch, call: Call, person: Person, order: CallRequest) -> None:
    """Run a placed call from the queue to its last callback."""
    progress = switch.progress(call)
    refusal = await _reach(switch, call, person, order, progress)
    if refusal is not None:
        call.finish(refusal)
        await progress.last("completed")
        return
    detection = AnswerDetection(call, order.amd, person) if order.amd else None
    call.answer()
    progress.publish("answered")
    if detection is not None and order.amd_callback is not None:
        switch.spawn(_report(switch, call, detection, order.amd_callback))

    async def opening() -> Instruction:
        if detection is None or order.amd_callback is not None:
            return order.first
        return _with(order.first, await detection.verdict())

    try:
        await switch.run_call(call, opening, order.time_limit_s, progress)
    finally:
        if detection is not None:
            detection.end()


async def _reach(
    switch: PlacedCallSwitch, call: Call, person: Person, order: CallRequest, progress: Progress
) -> str | None:
    """Wait in the queue, then ring; return the final status of a call without an answer, else None."""
    wait_s = switch.pacer.start_at(now()) - now()
    if await _canceled_within(call, min(wait_s, MAX_QUEUE_S)) or wait_s > MAX_QUEUE_S:
        return "canceled"
    call.dial()
    progress.publish("initiated")
    return await ring(call, person, order.timeout_s + RING_SLACK_S, progress)


async def _canceled_within(call: Call, seconds: float) -> bool:
    if seconds > 0:
        try:
            async with asyncio.timeout(seconds):
                await call.diverted.wait()
        except TimeoutError:
            pass
    return call.diverted.is_set()


def _with(first: Instruction, verdict: AmdResult) -> Instruction:
    if not isinstance(first, Fetch):
        return first
    return replace(first, extra=first.extra | _fields(verdict))


def _fields(verdict: AmdResult) -> dict[str, str]:
    return {"AnsweredBy": verdict.answered_by, "MachineDetectionDuration": str(verdict.duration_ms)}


async def _report(switch: PlacedCallSwitch, call: Call, detection: AnswerDetection, callback: Callback) -> None:
    verdict = await detection.verdict()
    if not callback.url:
        return
    fields = {"CallSid": call.sid, "AccountSid": call.account_sid} | _fields(verdict)
    fault = switch.faults.take("amd", call.to)
    if fault is not None and fault.do == "never":
        return
    if fault is not None and fault.do == "late":
        await asyncio.sleep(fault.ms / 1000)
    for _ in range(2 if fault is not None and fault.do == "twice" else 1):
        call.note("webhook.sent", kind="amd", url=callback.url, answered_by=fields["AnsweredBy"])
        call.webhooks.append(await switch.courier.send("amd", callback.url, fields, callback.method))
