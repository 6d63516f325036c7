"""Refused onsets: sounds like a voice over the agent that did not stop it, reported for diagnosis."""

from typing import Final

from media.core.onsetdetector import SOUND_GAP_MS
from media.core.types import Emit, Onset, OnsetsRefused, Refusal, RefusedOnset, Report

#: Reported one by one; on a line with a loud echo, each word of the agent would be another.
MOST: Final = 50
#: A sound that passed after less than this was only in doubt: its first frames are little evidence (`echo.YOUNG_FRAMES`).
DOUBT_MS: Final = 100


class Refusals:
    """Refused onsets, joined to sounds, each of which is reported once it is over."""

    __slots__ = ("_emit", "_from_ms", "_listed", "_more", "_onset", "_reason", "_to_ms", "pending")

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.pending = False  # whether a sound is not over yet
        self._from_ms = self._to_ms = 0
        self._onset: Onset = "voice"
        self._reason: Refusal = "echo"  # of the first of this sound
        self._listed = self._more = 0

    def refused(self, at_ms: int, onset: Onset, reason: Refusal) -> None:
        """Add an onset that was refused."""
        if not self.pending:
            self.pending, self._from_ms, self._onset, self._reason = True, at_ms, onset, reason
        self._to_ms = at_ms

    def passed(self) -> None:
        """Add an onset that passed: a sound that was refused at first has silenced the agent."""
        if self.pending and self._to_ms - self._from_ms >= DOUBT_MS:
            self._report()
        self.pending = False

    def advance(self, at_ms: int) -> None:
        """Report a sound that is over."""
        if self.pending and at_ms - self._to_ms >= SOUND_GAP_MS:
            self._report()

    def end(self) -> None:
        """End the call: report the pending sound, and the number of those that were not reported one by one."""
        if self.pending:
            self._report()
        if self._more:
            self._emit(Report(OnsetsRefused(self._more)))
            self._more = 0

    def _report(self) -> None:
        self.pending = False
        if self._listed == MOST:
            self._more += 1
            return
        self._listed += 1
        self._emit(Report(RefusedOnset(self._from_ms, self._to_ms, self._onset, self._reason)))
