"""The caller's audio on its way to a duplex model, whose clock it is: without it, the model says nothing.

So it is held while the caller hears something of ours, which the model must not speak into, and when it goes on, at most the last
second of it is sent again: the model plays at the pace of its input, and what comes in a burst stays as a delay.  Frames that the
carrier does not send become silence, and as much is dropped of what comes late.
"""

from dataclasses import dataclass
from typing import Final

from media.core.audio import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, SILENCE_BYTE
from media.core.backlog import Backlog
from media.core.carrierclock import CarrierClock
from media.core.latency import Latency
from media.core.modelmessages import CallerAudio
from media.core.session import Session
from media.core.sessionclock import SessionClock

#: Gathered before they are sent: while somebody speaks, and otherwise.
SPEECH_APPEND: Final = 3 * FRAME_BYTES
QUIET_APPEND: Final = 5 * FRAME_BYTES
#: Sent again after the input was held, or its session was lost.
KEPT_MS: Final = 1_000
KEPT: Final = KEPT_MS * BYTES_PER_MS
#: Without frames, before silence stands in for them.
MISSING_MS: Final = 200.0
_NEVER: Final = float("inf")


@dataclass(slots=True)
class _Line:
    """The frames of the caller's line, and what stands in for those that do not come."""

    frame_ms: float = 0.0  # when the last one came
    next_at_ms: int = 0  # on the call's clock, after it
    made_up_ms: float = 0.0  # of silence in place of frames that may come yet


class DuplexInput:
    """The input of one call's duplex sessions."""

    __slots__ = (
        "_clock",
        "_kept",
        "_latency",
        "_line",
        "_session",
        "_unsent",
        "_voiced",
        "held",
        "session_clock",
        "voiced_ms",
    )

    def __init__(self, session: Session, clock: CarrierClock, latency: Latency) -> None:
        self.session_clock = SessionClock()
        self.held = True
        self._session, self._clock, self._latency = session, clock, latency
        self._unsent, self._kept = Backlog(), Backlog()
        self._voiced = False  # whether any of what is unsent is
        self.voiced_ms = -_NEVER  # when a voiced frame came, the last time
        self._line = _Line()

    def frame(self, payload: bytes, at_ms: int, now_ms: float, *, voiced: bool, speaking: bool) -> None:
        """Add a frame of the caller's; `speaking`: anyone is."""
        self._line.frame_ms, self._line.next_at_ms = now_ms, at_ms + FRAME_MS
        if voiced:
            self.voiced_ms = now_ms
            self._latency.caller_voiced(self._clock.at(at_ms), self._clock.arrival(at_ms, now_ms))
        if self.held:
            self._kept.add(payload)
            self._kept.trim(KEPT)
            return
        if self._line.made_up_ms >= FRAME_MS:
            self._line.made_up_ms -= FRAME_MS
            return
        self._voiced = self._voiced or voiced
        self._add(payload, at_ms)
        if self._unsent.size >= (SPEECH_APPEND if speaking else QUIET_APPEND):
            self.flush(now_ms)

    def _add(self, payload: bytes, at_ms: int) -> None:
        self.session_clock.add(len(payload), at_ms)
        self._unsent.add(payload)

    def no_frames(self, now_ms: float) -> None:
        """Have silence stand in for frames that have not come for a while."""
        missing_ms = now_ms - self._line.frame_ms
        if self.held or missing_ms < MISSING_MS:
            return
        frames = int((missing_ms - self._line.made_up_ms) // FRAME_MS)
        if frames > 0:
            self._add(SILENCE_BYTE * (frames * FRAME_BYTES), self._line.next_at_ms + round(self._line.made_up_ms))
            self._line.made_up_ms += frames * FRAME_MS
            self.flush(now_ms)

    def flush(self, now_ms: float) -> None:
        """Send what was gathered."""
        if self._unsent.size:
            self._session.send(CallerAudio(self._unsent.take()))
            if self._voiced:
                self._voiced = False
                self._latency.voice_sent(now_ms)

    def hold(self, now_ms: float) -> None:
        """Hold the input from now on."""
        if not self.held:
            self.flush(now_ms)
            self.held, self._line.made_up_ms = True, 0.0

    def release(self, now_ms: float) -> None:
        """Go on, with the end of what the caller said meanwhile."""
        if not self.held:
            return
        self.held = False
        if now_ms - self.voiced_ms < KEPT_MS:
            audio = self._kept.take()
            self._voiced = True
            self._add(audio, max(0, self._line.next_at_ms - len(audio) // BYTES_PER_MS))
            self.flush(now_ms)
        self._kept.clear()

    def session_opened(self) -> None:
        """Begin another session, whose clock stands still until it is released."""
        self._unsent.clear()
        self.session_clock.restart(0)
