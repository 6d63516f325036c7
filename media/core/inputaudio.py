"""The input audio buffer: the caller's audio on its way to the model, and the model's clock, which counts that audio."""

from typing import Final

from media.core.audio import BYTES_PER_MS, FRAME_BYTES
from media.core.backlog import Backlog
from media.core.carrierclock import CarrierClock
from media.core.latency import Latency
from media.core.modelmessages import CallerAudio
from media.core.replaybuffer import NO_VOICE, ReplayBuffer
from media.core.session import Session
from media.core.sessionclock import SessionClock

SPEECH_APPEND: Final = 3 * FRAME_BYTES
#: Without a voice, while no turn is open.
QUIET_APPEND: Final = 200 * BYTES_PER_MS
#: For a new session to find the turns that the last one missed.
CATCH_UP_MS: Final = 2_000.0
_NEVER: Final = float("inf")


class InputAudioBuffer:
    """The input audio buffer of one call, across its sessions."""

    __slots__ = (
        "_catch_up_ms",
        "_clock",
        "_latency",
        "_session",
        "_unsent",
        "_voiced",
        "replay",
        "session_clock",
        "speaking",
    )

    def __init__(self, session: Session, clock: CarrierClock, latency: Latency) -> None:
        self.speaking = False  # the caller, as the server hears it
        self.session_clock = SessionClock()
        self.replay = ReplayBuffer()
        self._session, self._clock, self._latency = session, clock, latency
        # The newest audio, not yet sent.
        self._unsent = Backlog()
        self._voiced = False  # whether any of that is voiced
        # Until when a new session may find the turns that the last one missed.
        self._catch_up_ms = 0.0

    def frame(self, payload: bytes, at_ms: int, now_ms: float, *, voiced: bool, speaking: bool) -> None:
        """Add a frame of the caller's: `voiced` or not, within speech or not.

        It is sent at once where latency matters: from the first sign of a voice until the server hears the turn too,
        and in the pauses of a turn, any of which may be its end.  Otherwise it is batched with the next few frames,
        since a message costs more than everything else that is done for a frame.
        """
        ready = self._session.ready
        if voiced:
            self._voiced = ready  # a wait for a session is no latency
            # The carrier sends a frame when it ends.
            self._latency.caller_voiced(self._clock.at(at_ms), self._clock.arrival(at_ms, now_ms))
        self.session_clock.add(len(payload), at_ms)
        if ready:
            self._unsent.add(payload)
            if self._unsent.size >= self._batch_bytes(voiced=voiced, speaking=speaking):
                self.flush(now_ms)
        needed = self.speaking or not self._session.confirmed or now_ms < self._catch_up_ms
        self.replay.add(payload, at_ms, voiced=voiced, needed=needed)

    def _batch_bytes(self, *, voiced: bool, speaking: bool) -> int:
        """Return how many bytes to gather before sending."""
        if self.speaking:
            return SPEECH_APPEND if voiced else 0
        return 0 if speaking else QUIET_APPEND

    def flush(self, now_ms: float) -> None:
        """Send the audio gathered so far."""
        if self._unsent.size:
            self._session.send(CallerAudio(self._unsent.take()))
            if self._voiced:
                self._voiced = False
                self._latency.voice_sent(now_ms)

    # Turns, as the server detects them.

    def turn_began(self) -> None:
        self.speaking = True
        self.replay.turn_detected()

    def turn_ended(self) -> None:
        self.speaking = False

    def turn_committed(self, turn_id: str, now_ms: float) -> None:
        """End a turn that the server has committed: a response may follow."""
        self._latency.turn_detected(now_ms)
        self.speaking = False
        self._catch_up_ms = 0.0
        self.replay.turn_committed(turn_id)

    def response_requested(self, now_ms: float) -> None:
        """Record that the request for a response to all committed turns was written."""
        self._latency.response_requested(now_ms)
        self.replay.response_requested()

    def catching_up(self, now_ms: float) -> bool:
        """Return whether a new session may still find a turn that the last one missed."""
        return now_ms < self._catch_up_ms

    def missed_turn_ms(self, now_ms: float) -> float:
        """Return the earliest instant on the call's clock at which a missed turn may yet be found; infinity if none."""
        if self.replay.voice_ms == NO_VOICE or (self._session.confirmed and not self.catching_up(now_ms)):
            return _NEVER
        return self.replay.voice_ms

    # Sessions.

    def session_opened(self) -> None:
        """Replay to the new session what the last one missed."""
        replay = self.replay
        self._catch_up_ms = _NEVER if replay.owed else 0.0
        audio = replay.audio.joined()
        self.session_clock.restart(len(audio))
        if audio:
            self._session.send(CallerAudio(audio))

    def session_begun(self, now_ms: float) -> None:
        """Start the time limit for the server to find the missed turns."""
        self._catch_up_ms = min(self._catch_up_ms, now_ms + CATCH_UP_MS)

    def session_lost(self) -> None:
        """Keep what the session has not transcribed or answered, for the next one."""
        self.replay.reopen(speaking=self.speaking)
        self.speaking = self._voiced = False
        self._unsent.clear()
