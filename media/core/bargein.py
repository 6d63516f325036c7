"""The barge-in decision.  Time here is audio time: it advances only with frames.

Knows nothing of sockets, models or items: it returns CLEAR, then CUT or RESUME, and its user carries that out.
Duration alone decides: there are no word lists.  Voiced frames count from the one after the onset: the first and the last
frame of a sound are half empty, and count as one.  What is said in several stretches, with pauses between them, counts
together, except two that are no longer than a nod each: "mhm, yes" is two nods and not half a sentence.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

AGAIN_MS: Final = 300  # an onset so soon after a resume goes on with what was said before: a pause within a sentence
NOD_MS: Final = 240  # voiced speech of a nod, at most
PAUSE_MS: Final = 100  # parts two stretches; the closure of a consonant is shorter
NODS: Final = 2  # stretches that may be nods: what is said in more is a sentence with pauses


class Verdict(Enum):
    CLEAR = auto()  # stop what is at the carrier; keep the unheard tail
    CUT = auto()  # the caller took the floor: the tail is gone
    RESUME = auto()  # it was a cough or a nod: send the tail again


@dataclass(slots=True)
class BargeIn:
    cut_after_ms: int = 350
    resume_after_ms: int = 200
    onset_ms: int = 0  # voiced speech before the onset's own frame, which the detector needed to be sure
    held: bool = False
    _speech_ms: int = 0  # in all stretches
    _stretch_ms: int = 0  # in the last one
    _stretches: int = 0
    _is_longer: bool = False  # than a nod: any of them
    _quiet_ms: int = 0
    _resumed_ms: float = float("-inf")

    def caller_frame(self, onset: bool, voiced: bool, agent_audible: bool, ms: int, at_ms: float) -> Verdict | None:
        """The next `ms` of audio, at `at_ms` on any clock."""
        if not self.held:
            if not (onset and agent_audible):
                return None
            if at_ms - self._resumed_ms > AGAIN_MS:
                self._speech_ms = self._stretches = 0
                self._is_longer = False
            self.held, self._quiet_ms = True, 0
            self._begin()
            self._speak(self.onset_ms)
            return Verdict.CLEAR
        if voiced:
            if self._quiet_ms >= PAUSE_MS:
                self._begin()
            self._speak(ms)
            self._quiet_ms = 0
        else:
            self._quiet_ms += ms
        if self._speech_ms > self.cut_after_ms and (self._is_longer or self._stretches != NODS):
            return self._release(Verdict.CUT)
        if self._quiet_ms >= self.resume_after_ms:
            self._resumed_ms = at_ms
            return self._release(Verdict.RESUME)
        return None

    @property
    def spoken_ms(self) -> int:
        """The voiced speech that was counted."""
        return self._speech_ms

    def _begin(self) -> None:
        self._stretches += 1
        self._stretch_ms = 0

    def _speak(self, ms: int) -> None:
        self._speech_ms += ms
        self._stretch_ms += ms
        self._is_longer |= self._stretch_ms > NOD_MS

    def _release(self, verdict: Verdict) -> Verdict:
        self.held = False
        return verdict
