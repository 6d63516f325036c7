"""The caller's audio on its way to the model, and the model's clock, which counts the audio that it was sent."""

from media.core import realtime as rt
from media.core.audio import BYTES_PER_MS, FRAME_BYTES, FRAME_MS
from media.core.backlog import Backlog
from media.core.carrierclock import CarrierClock
from media.core.latency import Latency
from media.core.session import Session

KEPT_WHILE_SPEAKING = 15_000 * BYTES_PER_MS
KEPT_OTHERWISE = 1_000 * BYTES_PER_MS
SPEECH_APPEND = 3 * FRAME_BYTES
_NOTHING_YET = -1


class Ear:
    __slots__ = (
        "_began_ms",
        "_clock",
        "_latency",
        "_quiet_bytes",
        "_session",
        "_unheard",
        "_unheard_ms",
        "_unsent",
        "_voiced",
        "speaking",
    )

    def __init__(self, session: Session, clock: CarrierClock, latency: Latency, quiet_append_ms: int) -> None:
        self.speaking = False  # the caller, as the server hears it
        self._session, self._clock, self._latency = session, clock, latency
        self._quiet_bytes = quiet_append_ms * BYTES_PER_MS
        self._unheard = Backlog()  # caller audio since the last turn, in case the session is lost before it commits it
        self._unheard_ms = 0  # the call's clock at its end
        self._unsent = Backlog()  # the newest of it, not yet sent
        self._voiced = False  # whether any of that is voiced
        self._began_ms = _NOTHING_YET  # the call's clock at the session's first audio

    def frame(self, payload: bytes, at_ms: int, now_ms: float, *, voiced: bool, speaking: bool) -> None:
        """A frame of the caller's: `voiced` or not, within speech or not.

        It is sent at once where latency matters: from the first sign of a voice until the server hears the turn too,
        and in the pauses of a turn, any of which may be its end.  Otherwise it is batched with the next few frames,
        since a message costs more than everything else that is done for a frame.
        """
        if voiced:
            self._voiced = self._session.ready  # waiting for a session does not count as our latency
            self._latency.caller_voiced(self._clock.at(at_ms) + FRAME_MS, self._clock.arrival(at_ms, now_ms))
        if self._session.ready:
            if self._began_ms == _NOTHING_YET:
                self._began_ms = at_ms
            self._unsent.add(payload)
            if self._unsent.size >= self._enough(voiced=voiced, speaking=speaking):
                self.flush(now_ms)
        unheard = self._unheard
        unheard.add(payload)
        self._unheard_ms = at_ms + FRAME_MS
        if unheard.size >= 2 * KEPT_OTHERWISE:  # not with every frame
            unheard.forget(KEPT_OTHERWISE if self._session.ready and not self.speaking else KEPT_WHILE_SPEAKING)

    def _enough(self, *, voiced: bool, speaking: bool) -> int:
        """How many bytes to gather before sending."""
        if self.speaking:
            return SPEECH_APPEND if voiced else 0
        return 0 if speaking else self._quiet_bytes

    def flush(self, now_ms: float) -> None:
        """Send the server what it does not have yet."""
        if self._unsent.size:
            self._session.send(rt.append(self._unsent.take()))
            if self._voiced:
                self._voiced = False
                self._latency.voice_left(now_ms)

    def call_ms(self, session_ms: int) -> int:
        """The call's clock when the server had heard `session_ms` of audio."""
        return max(0, self._began_ms) + session_ms

    def turn_taken(self) -> None:
        """The server has the turn: a later session gets it as text."""
        self.speaking = False
        self._unheard.clear()

    def session_opened(self) -> None:
        self._began_ms = _NOTHING_YET
        if self._unheard.size:
            self._began_ms = max(0, self._unheard_ms - self._unheard.size // BYTES_PER_MS)
            self._session.send(rt.append(self._unheard.joined()))

    def session_lost(self) -> None:
        self.speaking = self._voiced = False
        self._unsent.clear()
