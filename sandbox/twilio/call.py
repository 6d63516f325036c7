"""One call: its parties, its state, and the record of its events."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from sandbox.loopclock import now
from sandbox.twilio.caller import Caller
from sandbox.twilio.geography import place_of
from sandbox.twilio.heardaudio import HeardAudio, SoundSource
from sandbox.twilio.journal import Event, Journal
from sandbox.twilio.stream import Path, Stream
from sandbox.twilio.truth import Truth
from sandbox.twilio.twiml import Verb
from sandbox.twilio.webhooks import Webhook

API_VERSION = "2010-04-01"
OVER = {"completed", "busy", "no-answer", "failed", "canceled"}

Direction = Literal["inbound", "outbound-api", "outbound-dial"]
Tap = Callable[[bytes, str | None], None]
"""A listener to the person in a call: gets 20 ms of sound at a time, and the key pressed in them."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetch:
    """Continue with the TwiML that this URL returns."""

    url: str
    method: str = "POST"
    kind: str = "voice"
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """Continue with this TwiML."""

    twiml: str


Instruction = Fetch | Document


@dataclass(frozen=True, slots=True)
class Callback:
    """The URL of status callbacks, and the events that it gets."""

    url: str
    method: str = "POST"
    events: frozenset[str] = frozenset({"completed"})


@dataclass(frozen=True, slots=True)
class Fallback:
    url: str
    method: str = "POST"


class Call:
    def __init__(
        self,
        account_sid: str,
        direction: Direction,
        from_: str,
        to: str,
        caller: Caller,
        *,
        path: Path | None = None,
        callback: Callback | None = None,
        fallback: Fallback | None = None,
        parent_sid: str | None = None,
        number_sid: str | None = None,
    ) -> None:
        self.sid = "CA" + secrets.token_hex(16)
        self.account_sid = account_sid
        self.direction = direction
        self.from_ = from_
        self.to = to
        self.caller = caller
        self.path = path or Path()
        self.callback = callback
        self.fallback = fallback
        self.parent_sid = parent_sid
        self.number_sid = number_sid
        self.answered_by: str | None = None
        self.status = "ringing" if direction == "inbound" else "queued"
        self.began = now()
        self.created_at = datetime.now(UTC)
        self.dialled_at = self.created_at if direction == "inbound" else None
        self.answered_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.hung_up_by: str | None = None
        """`caller`, `agent` (its TwiML or its end), `other` (the other party of a <Dial>), `rest` or `carrier`."""
        self.journal = Journal()
        self.sentences: list[str] = []
        self.verbs: list[Verb] = []
        self.webhooks: list[Webhook] = []
        self.streams: list[Stream] = []
        self.errors: list[tuple[int, str]] = []
        self.late_frames = 0
        self.worst_lateness_ms = 0.0
        self.heard_audio = HeardAudio()
        self.source: SoundSource | None = None
        """What the person hears outside a stream; None is silence."""
        self.taps: list[Tap] = []
        self.answered = asyncio.Event()
        self.diverted = asyncio.Event()
        self.released: asyncio.Task[None] | None = None
        """The task that releases the connections of a call without a carrier server, once the call has ended."""
        self._diversion: Instruction | None = None
        self._sequence = 0
        self._over = asyncio.Event()

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def stream(self) -> Stream:
        """The latest stream; LookupError if there was none."""
        if not self.streams:
            raise LookupError(f"{self.sid} has had no stream")
        return self.streams[-1]

    @property
    def open_stream(self) -> Stream | None:
        return self.streams[-1] if self.streams and self.streams[-1].is_open else None

    @property
    def duration_s(self) -> int:
        """Whole seconds from answer to end, rounded up."""
        if self.answered_at is None or self.ended_at is None:
            return 0
        return -int(-(self.ended_at - self.answered_at).total_seconds() // 1)

    @property
    def truth(self) -> Truth:
        """The ground truth so far; complete once the call has ended."""
        return Truth(self)

    async def ended(self, timeout_s: float = 60.0) -> Truth:
        """Wait until the call is over and its last callbacks are sent."""
        async with asyncio.timeout(timeout_s):
            await self._over.wait()
        return self.truth

    def events(self) -> AsyncIterator[Event]:
        """Yield every event from the start on, as it happens, until the call is over."""
        return self.journal.follow()

    def hang_up(self, by: str = "caller") -> None:
        self._divert(None, by)

    def redirect(self, instruction: Instruction) -> None:
        """Abandon the TwiML in progress for another instruction, as a REST update does."""
        self._divert(instruction, None)

    def freeze(self) -> None:
        """Freeze the carrier's side of the stream: it neither reads nor writes."""
        self.stream.freeze()

    def vanish(self) -> None:
        """Drop the carrier's socket without a close; the call continues."""
        self.stream.vanish()

    def listen(self, what: str, source: SoundSource | None = None) -> None:
        """Switch what the person hears."""
        self.source = source
        self.heard_audio.switch(what, now())
        self.note("hears", what=what)

    def wall_time(self) -> datetime:
        """Return the time of day on the call's own clock, which runs with the event loop's."""
        return self.created_at + timedelta(seconds=now() - self.began)

    def dial(self) -> None:
        """Start to reach the called party."""
        self.dialled_at = self.wall_time()
        self.set_status("initiated")

    def take_diversion(self) -> Instruction | None:
        self.diverted.clear()
        return self._diversion

    def set_status(self, status: str) -> None:
        self.status = status
        self.note("call.status", status=status)

    def answer(self) -> None:
        """Mark the call as answered; idempotent, since every verb that needs an answered call does so."""
        if self.answered_at is None:
            self.answered_at = self.wall_time()
            self.set_status("in-progress")
            self.answered.set()

    def finish(self, status: str) -> None:
        self.ended_at = self.wall_time()
        self.set_status(status)

    def close(self) -> None:
        """Record the end and wake the waiters; nothing may happen in the call afterwards."""
        self.heard_audio.close(now())
        self.note("ended", status=self.status, duration_s=self.duration_s, hung_up_by=self.hung_up_by)
        self.journal.close()
        self._over.set()

    def note(self, event: str, *, at: float | None = None, **facts: object) -> None:
        """Append to the journal, with the stream's clock too while there is a stream."""
        at_s = now() if at is None else at
        stream = self.open_stream
        self.journal.note(event, at=at_s, stream_ms=stream.clock_ms(at_s) if stream else None, **facts)

    def report(self, code: int, message: str) -> None:
        """Append an entry to the carrier's debugger."""
        self.errors.append((code, message))
        self.note("error", code=code, message=message)

    def next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence - 1

    def parameters(self) -> dict[str, str]:
        """Return the form fields of every voice webhook."""
        fields = {
            "CallSid": self.sid,
            "AccountSid": self.account_sid,
            "From": self.from_,
            "To": self.to,
            "Caller": self.from_,
            "Called": self.to,
            "CallStatus": self.status,
            "Direction": self.direction,
            "ApiVersion": API_VERSION,
        }
        for prefixes, number in ((("From", "Caller"), self.from_), (("To", "Called"), self.to)):
            for prefix in prefixes:
                fields |= {prefix + part: value for part, value in place_of(number).items()}
        if self.parent_sid:
            fields["ParentCallSid"] = self.parent_sid
        if self.direction == "inbound" and self.to.startswith("+1"):
            fields["StirVerstat"] = "TN-Validation-Passed-A"
        return fields

    def _divert(self, instruction: Instruction | None, by: str | None) -> None:
        if self.is_over or self.hung_up_by is not None:
            return
        self._diversion = instruction
        if instruction is None:
            self.hung_up_by = by
        self.diverted.set()


async def until_diverted(call: Call, work: Coroutine[Any, Any, T]) -> T | None:
    """Run `work` to its end and return its result; if the call is hung up or redirected first, cancel it and return None."""
    task = asyncio.create_task(work)
    diverted = asyncio.create_task(call.diverted.wait())
    try:
        await asyncio.wait({task, diverted}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        diverted.cancel()
        if not task.done():
            task.cancel()
        await asyncio.gather(task, diverted, return_exceptions=True)
    return None if call.diverted.is_set() else task.result()
