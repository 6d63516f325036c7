"""Caller audio that no session has transcribed or answered: what the next one must hear if this one is lost."""

from collections import deque
from typing import Final

from media.core.audio import BYTES_PER_MS, FRAME_MS
from media.core.backlog import Backlog

KEPT_WHILE_SPEAKING: Final = 15_000 * BYTES_PER_MS
KEPT_OTHERWISE: Final = 1_000 * BYTES_PER_MS
SURPLUS: Final = 200 * BYTES_PER_MS  # so much more, since it is not forgotten frame by frame
MOST_TURNS: Final = 16
NOBODY: Final = -1


class Unheard:
    """A turn's audio is kept until its transcript is here or its answer is complete."""

    __slots__ = ("_asked_id", "_audio", "_end_ms", "_taken", "voice_ms")

    def __init__(self) -> None:
        self.voice_ms = NOBODY  # the call's clock at the first voice that is not part of a turn yet
        self._audio = Backlog()
        self._end_ms = 0  # the call's clock at its end
        self._taken: deque[tuple[str, int]] = deque(
            maxlen=MOST_TURNS
        )  # turns without a transcript, and the call's clock at the end of each
        self._asked_id = ""  # the last of them when an answer was requested

    def add(self, payload: bytes, at_ms: int, *, voiced: bool, needed: bool) -> None:
        """Keep a frame; `needed` while somebody speaks or no session hears it."""
        audio = self._audio
        audio.add(payload)
        self._end_ms = at_ms + FRAME_MS
        if voiced and self.voice_ms == NOBODY:
            self.voice_ms = at_ms
        if audio.size >= KEPT_OTHERWISE + SURPLUS:
            audio.forget(KEPT_WHILE_SPEAKING if needed or self._taken else KEPT_OTHERWISE)
            if self.voice_ms != NOBODY and self.voice_ms < self.begins_ms:
                self.voice_ms = self.begins_ms if needed else NOBODY  # which was a noise

    @property
    def begins_ms(self) -> int:
        """The call's clock at its beginning."""
        return max(0, self._end_ms - self._audio.size // BYTES_PER_MS)

    def placed(self) -> None:
        """The server has detected that voice as a turn."""
        self.voice_ms = NOBODY

    def taken(self, turn_id: str) -> None:
        """A turn has ended; its transcript is still to come."""
        self.voice_ms = NOBODY
        self._taken.append((turn_id, self._end_ms))

    def understood(self, turn_id: str) -> None:
        """A turn's transcript is here."""
        for place, (taken_id, end_ms) in enumerate(self._taken):
            if taken_id == turn_id:
                for _ in range(place + 1):
                    self._taken.popleft()
                self._audio.forget(max(0, self._end_ms - end_ms) * BYTES_PER_MS)  # the carrier's clock may jump
                return

    def asked(self) -> None:
        """An answer is requested."""
        self._asked_id = self._taken[-1][0] if self._taken else ""

    def answered(self) -> None:
        """The answer that was requested last is complete."""
        self.understood(self._asked_id)

    def reopen(self, *, speaking: bool) -> None:
        """The session is lost, in the middle of a turn if `speaking`: the next session detects the turns again."""
        if speaking or self._taken:
            self.voice_ms = self.begins_ms
        self._taken.clear()

    @property
    def owed(self) -> bool:
        """Whether there is a turn for the next session to find."""
        return self.voice_ms != NOBODY

    def joined(self) -> bytes:
        return self._audio.joined()
