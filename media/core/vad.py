"""When the caller speaks: a cheap first stage for every frame, and a costly second one (`confirm`) for candidates only.

First stage: level over an adaptive noise floor, and webrtcvad, which by itself takes white noise, DTMF and ringback for
speech.  Three voiced frames of the last four make a candidate; `confirm`, if given, must then find speech in it.

Where it is sure (0.9), a frame is voiced and counts towards a cut.  An onset only clears, and a clear can be taken
back, so it needs less certainty; but music must not trigger it.  Music seldom breaks a steady sound (silence, noise, a
hum), and the pitch of a note or a tone is constant, while a voice's is not.  So in the 300 ms after a sound broke a
steady one, an onset is a probability of

    0.9; or 0.5 averaged over three frames, if the pitch is not constant like that of a tone; or 0.3 on average, once
    the pitch has moved from one frame to the next; or 0.1 on average, once it has moved three times; or 0.6, after the
    breath with which many words begin; or any, once it has hissed like an s, in which the model hears no voice yet;

and anywhere else 0.9 averaged over two frames.

Where the model has just heard a turn begin, two detectors agree: a frame is voiced from 0.6, unless its pitch is a tone's.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import webrtcvad

from media.core.audio import FRAME_BYTES, FRAME_MS, SILENCE_BYTE, SILENT_DB, pcm_level_db, to_linear
from media.core.backlog import Backlog
from media.core.pitch import period
from media.core.sibilant import breath, hiss

# (mu-law audio, fresh) -> probability of speech at its end.  `fresh` opens a candidate: the detector resets its state
# and gets up to 320 ms of history; after that it gets only new audio, until the candidate is over.
Confirm = Callable[[bytes, bool], float]

OVER_FLOOR_DB: Final = 9.0
HANGOVER_MS: Final = 200
HISTORY_FRAMES: Final = 16
HISTORY_BYTES: Final = HISTORY_FRAMES * FRAME_BYTES
ECHO_RETURN_LOSS_DB: Final = 20.0  # by how much the agent's echo in the caller's audio is quieter than played, at least
ECHO_MARGIN_DB: Final = 12.0
SECONDED: Final = 0.6  # the same, while the model hears a turn, too
CONFIRMED: Final = 0.9  # probability of confirmed speech: music may reach it once, but not for long
BELIEVED_FRAMES: Final = 5  # confirmed speech is judged in batches of so many frames, since its latency does not matter

# A sound is steady if it stayed within 8 dB (or below -65 dBFS) for 500 ms.  It is broken by one that is 3 dB louder
# than all of it, which may take three frames to rise so far.
STEADY_FRAMES: Final = 25
STEADY_DB: Final = 8.0
QUIET_DB: Final = -65.0
BREAK_DB: Final = 3.0
RISE_FRAMES: Final = 3
BROKEN_FRAMES: Final = 15
LEVELS: Final = STEADY_FRAMES + RISE_FRAMES + 1 + BROKEN_FRAMES  # kept, so that a new candidate can look back that far
# Probabilities, averaged over the last frames, that are an onset there.
LIKELY: Final = 0.5
LIKELY_FRAMES: Final = 3
MOVED_ONCE: Final = 0.3
MOVED_OFTEN: Final = 0.1
OFTEN: Final = 3
HISSED: Final = 0.6  # two frames of a sharp s, three or four of a soft one
BREATHED_FRAMES: Final = 2  # of breath before a voice: its first frame, of which the model is not sure yet, is enough
STILL: Final = 0.01
JUMP: Final = 0.12  # fraction of a period: a smaller change is no movement, a larger one is another note
TONE: Final = 3  # a tone has so many frames of constant pitch for each in which it moved


def echo_gate_open(level_db: float, played_level_db: float) -> bool:
    """Whether a sound is too loud to be an echo of the agent's own voice from the caller's handset."""
    return level_db >= played_level_db - ECHO_RETURN_LOSS_DB + ECHO_MARGIN_DB


def breaks(levels_db: list[float], at: int) -> bool:
    """Whether the frame `at`, judging by all levels, breaks a steady sound before it."""
    end = at - RISE_FRAMES
    if end < STEADY_FRAMES or levels_db[at] <= max(QUIET_DB, levels_db[end - 1]) + BREAK_DB:
        return False
    before = levels_db[end - STEADY_FRAMES : end]
    loudest, quietest = max(QUIET_DB, *before), max(QUIET_DB, min(before))
    return levels_db[at] > loudest + BREAK_DB and loudest - quietest <= STEADY_DB


@dataclass(slots=True)
class Candidate:
    """What is known of a sound that may be speech."""

    probabilities: deque[float] = field(default_factory=lambda: deque(maxlen=LIKELY_FRAMES))  # of its last frames
    since_break: int = BROKEN_FRAMES + 1  # frames since it broke something steady
    moved: int = 0  # frames since then in which its pitch moved
    stood: int = 0  # frames since then in which it did not
    hissed: float = 0.0  # how much the last frames did, in a row
    breathed: int = 0  # frames since then that were breath
    _period: float = 0.0  # of the last frame, in samples

    def frame(self, levels_db: list[float], at: int) -> None:
        """Advance by one frame, to the one `at`; see `breaks`."""
        self.since_break += 1
        if not self.broke() and breaks(levels_db, at):
            self.since_break = self.moved = self.stood = self.breathed = 0
            self.hissed = 0.0

    def listen(self, ulaw: bytes) -> None:
        """Track the pitch, or a hiss, which has none; `ulaw` is the frame and the one before it."""
        pcm = to_linear(ulaw)
        newest = pcm[2 * FRAME_BYTES :]
        breathing = breath(newest)
        self.breathed += breathing
        if breathing and (hissing := hiss(newest)):
            self.hissed += hissing
            self._period = 0.0
            return
        self.hissed = 0.0
        last, self._period = self._period, period(pcm)
        if last and self._period:
            change = abs(self._period / last - 1)
            self.moved += STILL < change < JUMP
            self.stood += change <= STILL

    def sure(self, seconded: bool = False) -> bool:
        """Whether its last frame was a voice; if that is `seconded` by the model, and it is no tone, less is enough."""
        return self.probabilities[-1] >= (SECONDED if seconded and not self._is_tone() else CONFIRMED)

    def _is_tone(self) -> bool:
        return self.stood >= TONE * max(1, self.moved)

    def broke(self) -> bool:
        return self.since_break <= BROKEN_FRAMES

    def onset(self) -> bool:
        latest = self.probabilities
        if not self.broke():
            return len(latest) > 1 and latest[-1] + latest[-2] >= 2 * CONFIRMED
        average = sum(latest) / len(latest)
        return (
            self.sure()
            or (len(latest) == LIKELY_FRAMES and average >= LIKELY and not self._is_tone())
            or (self.moved > 0 and average >= MOVED_ONCE)
            or (self.moved >= OFTEN and average >= MOVED_OFTEN)
            or self.hissed >= HISSED
            or (self.breathed >= BREATHED_FRAMES and latest[-1] >= SECONDED)
        )


class Vad:
    """Detects one caller's voice.  `confirm` is the second stage, if there is one."""

    __slots__ = ("_doubted_ms", "_floor_db", "_quiet_ms", "_second", "_webrtc", "level_db", "recent", "speaking")

    def __init__(self, confirm: Confirm | None = None) -> None:
        self.speaking = False
        self.level_db = SILENT_DB  # the loudest of the last voiced frames: what the echo gate compares
        self._floor_db = -60.0
        self.recent = 0  # the first stage's verdicts on the last four frames, one bit each, the newest lowest
        self._quiet_ms = 0
        self._doubted_ms = HANGOVER_MS  # since the last frame that was voiced or an onset
        self._second = None if confirm is None else SecondStage(confirm)
        self._webrtc = webrtcvad.Vad(2)

    @property
    def hears(self) -> bool:
        """Whether the caller is speaking, as far as the second stage does not object."""
        return self.speaking and self._doubted_ms < HANGOVER_MS

    def caller_frame(self, ulaw: bytes, agent_audible: bool, seconded: bool = False) -> tuple[bool, bool]:
        """Judge 20 ms (a frame of another length is padded or cut): (voiced, onset).  `seconded` if the model hears a turn.

        An onset is reported once per stretch of speech, and again while the agent is audible if speech began before.
        A frame in which the detector finds no speech is not voiced; an onset may come before the first voiced frame.
        """
        frame = ulaw if len(ulaw) == FRAME_BYTES else ulaw[:FRAME_BYTES].ljust(FRAME_BYTES, SILENCE_BYTE)
        pcm = to_linear(frame)
        level = pcm_level_db(pcm)
        loud = level > self._floor_db + OVER_FLOOR_DB
        voiced = loud and self._webrtc.is_speech(pcm, 8000)
        # Falls fast to a quieter line, rises slowly (4 dB/s) so that speech does not become its own floor.
        self._floor_db += 0.2 * (max(level, -75.0) - self._floor_db) if level < self._floor_db else 0.08
        self.recent = (self.recent << 1 | voiced) & 0b1111
        if voiced:
            self.level_db = max(level, self.level_db - 3.0)
        candidate = self.recent.bit_count() >= 3
        sure, second = True, self._second
        judging = second is not None and second.judging
        # Three frames begin a candidate.  After a pause in it, as after the s of a word, the second stage decides alone.
        onset = voiced and (candidate or judging) and (agent_audible or not self.speaking)
        if second is not None:
            second.heard(frame, level)
            if not agent_audible:
                second.over()
            elif onset or judging:
                heard = second.judge(frame, voiced)
                sure, onset = heard.sure(seconded), onset and heard.onset()
        self._track(voiced, candidate)
        voiced = voiced and sure
        self._doubted_ms = 0 if voiced or onset else self._doubted_ms + FRAME_MS
        return voiced, onset

    def quiet(self, ms: int) -> None:
        """No frame came for `ms`: speech that is no longer received ends too."""
        self.recent = 0
        self._quiet_ms += ms
        self._track(voiced=False, candidate=False, ms=0)

    def _track(self, voiced: bool, candidate: bool, ms: int = FRAME_MS) -> None:
        self._quiet_ms = 0 if voiced else self._quiet_ms + ms
        if candidate:
            self.speaking = True
        elif self._quiet_ms >= HANGOVER_MS:
            self.speaking = False
            self.level_db = SILENT_DB
            if self._second is not None:
                self._second.over()


class SecondStage:
    """The detector, which is only run on candidates, and the history of sound that it needs."""

    __slots__ = ("_candidate", "_confirm", "_history", "_levels_db", "_unjudged")

    def __init__(self, confirm: Confirm) -> None:
        self._confirm = confirm
        self._candidate: Candidate | None = None  # while it judges one
        self._history = Backlog()
        self._levels_db: list[float] = []  # of the last frames; a list, which compiled code reads faster than a deque
        self._unjudged: list[bytes] = []  # frames since the detector last ran

    @property
    def judging(self) -> bool:
        return self._candidate is not None

    def heard(self, frame: bytes, level: float) -> None:
        """Keep every frame, so that a candidate has a history."""
        levels = self._levels_db
        levels.append(level)
        if len(levels) >= LEVELS + HISTORY_FRAMES:  # not with every frame
            del levels[:-LEVELS]
        self._history.add(frame)
        if self._history.size >= 2 * HISTORY_BYTES:
            self._history.forget(HISTORY_BYTES)

    def over(self) -> None:
        """The candidate, if any, has ended."""
        self._candidate = None

    def judge(self, frame: bytes, voiced: bool) -> Candidate:
        """Each frame of a candidate, from its first to the end of its hangover.

        A frame that is not voiced needs no verdict, and goes to the detector with the next one that does.  Frames of
        confirmed speech are gathered and judged a few at a time.
        """
        heard = self._candidate
        if heard is None:
            return self._begin()
        believed = heard.sure() and heard.onset()
        heard.frame(self._levels_db, len(self._levels_db) - 1)
        self._unjudged.append(frame)
        if voiced and (not believed or len(self._unjudged) >= BELIEVED_FRAMES):
            heard.probabilities.append(self._confirm(b"".join(self._unjudged), False))
            self._unjudged.clear()
            if heard.broke() and not believed:
                heard.listen(self._history.newest(2))
        return heard

    def _begin(self) -> Candidate:
        """A candidate begins with its third voiced frame; the frames before that are examined now."""
        heard = self._candidate = Candidate()
        levels = self._levels_db
        for at in range(max(0, len(levels) - BROKEN_FRAMES - 1), len(levels)):
            heard.frame(levels, at)
        self._unjudged.clear()
        heard.probabilities.append(self._confirm(self._history.newest(HISTORY_FRAMES), True))
        if heard.broke() and not heard.sure():
            recent = self._history.newest(4)
            for begin in range(0, 3 * FRAME_BYTES, FRAME_BYTES):
                heard.listen(recent[begin : begin + 2 * FRAME_BYTES])
        return heard
