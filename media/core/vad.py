"""When the caller speaks: a cheap judgement of every frame, and a costly one (an argument) of candidates only.

First stage: level over an adaptive noise floor, and webrtcvad, which alone calls white noise, DTMF and ringback speech.
Three voiced frames of the last four make a candidate; `confirm`, if given, must then find speech in it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import webrtcvad

from media.core.audio import FRAME_BYTES, FRAME_MS, SILENCE_BYTE, pcm_level_db, to_linear

# (mu-law audio, fresh) -> probability of speech at its end.  `fresh` opens a candidate: the detector forgets its state
# and gets up to 320 ms of history; afterwards it gets what is new, until the candidate is over.
Confirm = Callable[[bytes, bool], float]

HISTORY_BYTES = 16 * FRAME_BYTES
ECHO_RETURN_LOSS_DB = 20.0  # how much quieter than played the agent comes back in the caller's audio, at worst
ECHO_MARGIN_DB = 12.0
CONFIRMED = 0.9  # for an onset, and for speech to count on: music may pass for speech once, but not for long
# A clear can be taken back, so less will do for it when a sound breaks a silence, which music seldom does: so probable on
# the average of the last so many frames.
LIKELY, LIKELY_FRAMES, LIKELY_RISE_DB = 0.65, 3, 25.0
BELIEVED_FRAMES = 5  # so much at a time is judged of speech that goes on: nobody waits for it


def echo_gate_open(level_db: float, played_level_db: float) -> bool:
    """Whether a sound is too loud to be the agent's own voice coming back from the caller's handset."""
    return level_db >= played_level_db - ECHO_RETURN_LOSS_DB + ECHO_MARGIN_DB


@dataclass(slots=True)
class Vad:
    confirm: Confirm | None = None
    over_floor_db: float = 9.0
    hangover_ms: int = 200
    speaking: bool = False
    level_db: float = -96.0  # the loudest of the last voiced frames: what the echo gate compares
    _floor_db: float = -60.0
    _recent: int = 0  # voiced or not, one bit per frame, the newest lowest
    _quiet_ms: int = 0
    _confirming: bool = False
    _history: bytearray = field(default_factory=bytearray)
    _unjudged: list[bytes] = field(default_factory=list)  # frames since the detector was last asked
    _told: deque[float] = field(default_factory=lambda: deque([1.0], LIKELY_FRAMES))  # of the candidate's last frames
    _rise_db: float = 0.0  # of the candidate over the floor, when it began
    _webrtc: webrtcvad.Vad = field(default_factory=lambda: webrtcvad.Vad(2))

    def caller_frame(self, ulaw: bytes, agent_audible: bool) -> tuple[bool, bool]:
        """Judge 20 ms (a frame of another length is padded or cut): (voiced, onset).

        An onset is told once per stretch of speech, and again while the agent is audible if the speech began before.
        A frame that the detector takes for no speech is not voiced; an onset that is only likely comes before its voice.
        """
        frame = ulaw if len(ulaw) == FRAME_BYTES else ulaw[:FRAME_BYTES].ljust(FRAME_BYTES, SILENCE_BYTE)
        pcm = to_linear(frame)
        level = pcm_level_db(pcm)
        loud = level > self._floor_db + self.over_floor_db
        voiced = loud and self._webrtc.is_speech(pcm, 8000)
        # Falls fast to a quieter line, rises slowly (4 dB/s) so that speech does not become its own floor.
        self._floor_db += 0.2 * (max(level, -75.0) - self._floor_db) if level < self._floor_db else 0.08
        self._recent = (self._recent << 1 | voiced) & 0b1111
        if voiced:
            self.level_db = max(level, self.level_db - 3.0)
        candidate = self._recent.bit_count() >= 3
        onset = voiced and candidate and (agent_audible or not self.speaking)
        sure = True
        if self.confirm is not None:
            self._history += frame
            if len(self._history) >= 2 * HISTORY_BYTES:  # not with every frame
                del self._history[:-HISTORY_BYTES]
            if not agent_audible:
                self._confirming = False
            elif onset or self._confirming:
                sure = self._judge(self.confirm, frame, voiced, level)
                onset = onset and (sure or self._likely())
        self._track(voiced, candidate)
        return voiced and sure, onset

    def quiet(self, ms: int) -> None:
        """No frame came for `ms`: speech that nobody can hear ends too."""
        self._recent = 0
        self._quiet_ms += ms
        self._track(voiced=False, candidate=False, ms=0)

    def _track(self, voiced: bool, candidate: bool, ms: int = FRAME_MS) -> None:
        self._quiet_ms = 0 if voiced else self._quiet_ms + ms
        if candidate:
            self.speaking = True
        elif self._quiet_ms >= self.hangover_ms:
            self.speaking = False
            self._confirming = False
            self.level_db = -96.0

    def _judge(self, confirm: Confirm, frame: bytes, voiced: bool, level: float) -> bool:
        """Whether it is surely speech, from a candidate's first frame to the end of its hangover.

        A frame that is not voiced needs no answer, and goes to the detector with the next one that does.  Neither does
        each frame of speech that was believed, which is held until the next few are judged together.
        """
        told = self._told
        if not self._confirming:
            self._confirming, self._rise_db = True, level - self._floor_db
            self._unjudged.clear()
            told.clear()
            told.append(confirm(bytes(self._history[-HISTORY_BYTES:]), True))
        else:
            self._unjudged.append(frame)
            if voiced and (told[-1] < CONFIRMED or len(self._unjudged) >= BELIEVED_FRAMES):
                told.append(confirm(b"".join(self._unjudged), False))
                self._unjudged.clear()
        return told[-1] >= CONFIRMED

    def _likely(self) -> bool:
        return (
            self._rise_db >= LIKELY_RISE_DB
            and len(self._told) == LIKELY_FRAMES
            and sum(self._told) >= LIKELY * LIKELY_FRAMES
        )
