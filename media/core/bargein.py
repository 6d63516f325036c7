"""The barge-in decision.  Time is audio time: it advances only with frames.

Independent of sockets, models and items: returns CLEAR at an onset, then CUT or RESUME, which `floor` carries out.
Duration alone decides; there are no word lists.  Voiced frames count from the one after the onset: the first and the
last frame of a sound are half empty, and count as one.  Stretches of speech separated by pauses count together,
except two that are no longer than a backchannel each: "mhm, yes" is two backchannels and not half a sentence.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

#: An onset this soon after a resume continues the speech before it: the pause was within a sentence.
AGAIN_MS: Final = 300
NOD_MS: Final = 240  # most voiced speech of a backchannel
#: Separates two stretches; the closure of a consonant is shorter.
PAUSE_MS: Final = 100
#: Stretches that may be backchannels; speech in more stretches is a sentence with pauses.
NODS: Final = 2


class Verdict(Enum):
    """What to do about the caller's voice over the agent."""

    # Empty the carrier's queue; keep the unheard tail.
    CLEAR = auto()
    # The caller took the floor: discard the tail.
    CUT = auto()
    # It was a cough or a backchannel: send the tail again.
    RESUME = auto()


@dataclass(slots=True)
class BargeIn:
    """The decision about one overlap at a time."""

    cut_after_ms: int = 350
    resume_after_ms: int = 200
    # Voiced speech before the onset's own frame, which the detector needed for its onset.
    onset_ms: int = 0
    undecided: bool = False
    _speech_ms: int = 0  # in all stretches
    _stretch_ms: int = 0  # in the last one
    _stretches: int = 0
    _is_longer: bool = False  # some stretch exceeds a backchannel
    _quiet_ms: int = 0
    _resumed_ms: float = float("-inf")

    def caller_frame(self, onset: bool, voiced: bool, agent_audible: bool, ms: int, at_ms: float) -> Verdict | None:
        """Advance by `ms` of audio, at `at_ms` on any clock; return a verdict, or None while undecided."""
        if not self.undecided:
            if not (onset and agent_audible):
                return None
            if at_ms - self._resumed_ms > AGAIN_MS:
                self._speech_ms = self._stretches = 0
                self._is_longer = False
            self.undecided, self._quiet_ms = True, 0
            self._begin_stretch()
            self._count_speech(self.onset_ms)
            return Verdict.CLEAR
        if voiced:
            if self._quiet_ms >= PAUSE_MS:
                self._begin_stretch()
            self._count_speech(ms)
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
        """Milliseconds of voiced speech counted."""
        return self._speech_ms

    def _begin_stretch(self) -> None:
        self._stretches += 1
        self._stretch_ms = 0

    def _count_speech(self, ms: int) -> None:
        self._speech_ms += ms
        self._stretch_ms += ms
        self._is_longer |= self._stretch_ms > NOD_MS

    def _release(self, verdict: Verdict) -> Verdict:
        self.undecided = False
        return verdict
