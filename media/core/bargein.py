"""The barge-in decision.  Time here is audio time: it advances only with frames.

Knows nothing of sockets, models or items: it returns CLEAR, then CUT or RESUME, and its user carries that out.
Duration alone decides: there are no word lists.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Verdict(Enum):
    CLEAR = auto()  # stop what is at the carrier; keep the unheard tail
    CUT = auto()  # the caller took the floor: the tail is gone
    RESUME = auto()  # it was a cough or a nod: send the tail again


@dataclass(slots=True)
class BargeIn:
    cut_after_ms: int = 350
    resume_after_ms: int = 200
    again_ms: int = 300  # an onset so soon after a resume goes on with what was said before: a pause within a sentence
    onset_ms: int = 60  # voiced speech that an onset implies: three of the last four frames
    held: bool = False
    _speech_ms: int = 0
    _quiet_ms: int = 0
    _resumed_ms: float = float("-inf")

    def caller_frame(self, onset: bool, voiced: bool, agent_audible: bool, ms: int, at_ms: float) -> Verdict | None:
        """The next `ms` of audio, at `at_ms` on any clock."""
        if not self.held:
            if not (onset and agent_audible):
                return None
            before_ms = self._speech_ms if at_ms - self._resumed_ms <= self.again_ms else 0
            self.held, self._speech_ms, self._quiet_ms = True, before_ms + self.onset_ms, 0
            return Verdict.CLEAR
        self._speech_ms += ms if voiced else 0
        self._quiet_ms = 0 if voiced else self._quiet_ms + ms
        if self._speech_ms > self.cut_after_ms:
            return self._release(Verdict.CUT)
        if self._quiet_ms >= self.resume_after_ms:
            self._resumed_ms = at_ms
            return self._release(Verdict.RESUME)
        return None

    def _release(self, verdict: Verdict) -> Verdict:
        self.held = False
        return verdict
