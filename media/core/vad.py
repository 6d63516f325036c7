"""Voice activity: level over an adaptive noise floor, and webrtcvad, which takes 2 us for each frame.

By itself webrtcvad takes white noise, DTMF and ringback for speech.  That is good enough while the agent is silent:
at worst the agent waits a little, or audio is sent to the model sooner.  Over the agent it would silence the agent,
so there `hearing` judges instead, with a better detector, if there is one.
"""

from typing import Final

import webrtcvad

from media.core.audio import FRAME_BYTES, FRAME_MS, SILENCE_BYTE, SILENT_DB, pcm_level_db, to_linear
from media.core.backlog import Backlog
from media.core.onsetdetector import HISTORY_BYTES, SOUND_DB, Confirm, OnsetDetector
from media.core.types import Onset

OVER_FLOOR_DB: Final = 9.0
HANGOVER_MS: Final = 200
#: Voice before an onset of webrtcvad's: three voiced frames of the last four.
FIRST_STAGE_MS: Final = 60


class Vad:
    """Detects one caller's voice.  `confirm` is the better detector, if there is one."""

    __slots__ = (
        "_floor_db",
        "_onset_detector",
        "_quiet_ms",
        "_webrtc",
        "history",
        "level_db",
        "loud_frames",
        "recent",
        "speaking",
    )

    def __init__(self, confirm: Confirm | None = None) -> None:
        self.speaking = False
        self.level_db = SILENT_DB  # of the newest frame
        self.loud_frames = 0  # in a row, over the noise floor
        self.history = Backlog()  # the newest frames
        # Whether each of the last four frames may have been a voice, one bit each, the newest lowest.
        self.recent = 0
        self._floor_db = -60.0
        self._quiet_ms = 0
        self._onset_detector = None if confirm is None else OnsetDetector(confirm, self.history)
        self._webrtc = webrtcvad.Vad(2)

    @property
    def why(self) -> Onset:
        """The evidence for the last onset over the agent."""
        return "webrtcvad" if self._onset_detector is None else self._onset_detector.why

    def caller_frame(self, ulaw: bytes, agent_audible: bool) -> tuple[bool, bool]:
        """Judge 20 ms (a frame of another length is padded or cut); return (voiced, onset).

        An onset is reported once per stretch of speech, and with each voiced frame while the agent is audible.
        """
        frame = ulaw if len(ulaw) == FRAME_BYTES else ulaw[:FRAME_BYTES].ljust(FRAME_BYTES, SILENCE_BYTE)
        pcm = to_linear(frame)
        self.level_db = level = pcm_level_db(pcm)
        over_db = level - self._floor_db
        # Falls fast to a quieter line, rises slowly (4 dB/s) so that speech does not become its own floor.
        self._floor_db += 0.2 * (max(level, -75.0) - self._floor_db) if over_db < 0 else 0.08
        history, hearing = self.history, self._onset_detector
        history.add(frame)
        if history.size >= 2 * HISTORY_BYTES:  # not with every frame
            history.trim(HISTORY_BYTES)
        loud = over_db > SOUND_DB
        self.loud_frames = self.loud_frames + 1 if loud else 0
        if hearing is not None:
            hearing.heard(level, loud=loud)
            if agent_audible:
                voiced, onset = hearing.judge(frame, loud=loud)
                self.recent = (self.recent << 1 | loud) & 0b1111
                self._track(voiced or onset, voiced or onset)
                return voiced, onset
            hearing.over()
        # A `bool` of its own, since the library declares no types; and no `bit_count`, which is a call of Python's.
        voiced = over_db > OVER_FLOOR_DB and bool(self._webrtc.is_speech(pcm, 8000))
        self.recent = recent = (self.recent << 1 | voiced) & 0b1111
        candidate = recent in (0b0111, 0b1011, 0b1101, 0b1110, 0b1111)
        onset = voiced and candidate and (agent_audible or not self.speaking)
        self._track(voiced, candidate)
        return voiced, onset

    def quiet(self, ms: int) -> None:
        """End speech that is no longer received: no frame came for `ms`."""
        self.recent = 0
        self._quiet_ms += ms
        self._track(voiced=False, candidate=False, ms=0)

    def _track(self, voiced: bool, candidate: bool, ms: int = FRAME_MS) -> None:
        self._quiet_ms = 0 if voiced else self._quiet_ms + ms
        if candidate:
            self.speaking = True
        elif self._quiet_ms >= HANGOVER_MS:
            self.speaking = False
