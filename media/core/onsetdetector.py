"""Voice activity over the agent: which frames of a sound are a voice, and which of them is an onset.

A sound begins with a frame that is louder than the noise floor after SOUND_GAP_MS without one, and lasts until
SOUND_GAP_MS after the last one.  Each sound restarts the detector, with HISTORY_FRAMES of look-back, and the
detector hears all of it:

    no sound ── a loud frame ──▶ DOUBTED ── an onset ──▶ BELIEVED     DOUBTED: each loud frame is judged at once
        ▲                         ▲   │                  │   │        BELIEVED: loud frames are judged five at a time
        │                         └── │ ── no voice ─────┘   │
        └──────── 400 ms without ─────┴──────────────────────┘

A loud frame is *voiced* at a probability of VOICED, and at LASTING while the caller is believed.  An *onset*
silences the agent, unless the echo gate (`echo`) objects.  The evidence for one depends on where it comes:

    In the 300 ms after a sound broke a steady level: a voiced frame; one at LIKELY, if the pitch moved, or at
    GLIDING, if it moved in three steps and has harmonics; one at BREATHED after breath; and a hiss.  Many words
    begin with a sound without a voice, for which the detector is not made, and it is slow with nasals.

    While a sound leaps far above the last half second: a voiced frame.

    Where the line lately sounded otherwise than a voice, of music as a rule: three voiced frames in a row.

    Anywhere else: two voiced frames, or one at CERTAIN, since music passes for speech in single ones.

A sound's first frame is half empty, and goes to the detector with the second.  A frame whose moving pitch makes it
an onset counts as voiced.  No frame of a tone is voiced or an onset: its pitch stands still, or trembles by the
noise around it, and a voice's moves more.

Example, a word that begins with a k, 20 ms each (probability, verdict): k (not judged), k 0.1, a pause, o 0.65
(breath before it: onset), o 0.95 (voiced: believed), o o o o o (judged together, 0.97: voiced), a pause of 400 ms
(over).
"""

from collections.abc import Callable
from typing import Final

from media.core.audio import FRAME_BYTES, FRAME_MS, crossings, to_linear
from media.core.backlog import Backlog
from media.core.pitch import FRAMES as PITCH_FRAMES
from media.core.pitch import period
from media.core.sibilant import breath, hiss
from media.core.types import Onset

# (mu-law audio, fresh) -> probability of speech at its end.  `fresh` begins a sound: the detector resets its state and gets
# HISTORY_FRAMES; after that it gets only new audio, until the sound is over.
Confirm = Callable[[bytes, bool], float]

# Where a source is given as "sentences", it is the table of that name in docs/benchmarks/vad.md.

#: Over the noise floor.  While the agent is silent it is 9; at 6 the sentences at -36 dBFS are heard, and noise still is not.
SOUND_DB: Final = 6.0
#: Longer than the pauses within words and phrases, in which the detector keeps its state.
SOUND_GAP_MS: Final = 400
#: 640 ms.  With 320 the detector misses 0.14 % of sentences, with 640 none.
HISTORY_FRAMES: Final = 32
HISTORY_BYTES: Final = HISTORY_FRAMES * FRAME_BYTES
#: Silero's probability of speech that music reaches once, but not for long.
VOICED: Final = 0.9
#: The same that music hardly reaches even once.
CERTAIN: Final = 0.98
#: The same while it is believed: Silero's own hysteresis of 0.15.
LASTING: Final = 0.75
#: Frames judged together once believed: a cut may be 80 ms late, since the agent is silent by then.
BELIEVED_FRAMES: Final = 5

# A sound is steady if it stayed within 8 dB (or below -65 dBFS) for 500 ms.  It is broken by one that is 3 dB louder
# than all of it, which may take three frames to rise so far.  Music seldom breaks a steady sound.
STEADY_FRAMES: Final = 25
STEADY_DB: Final = 8.0
QUIET_DB: Final = -65.0
BREAK_DB: Final = 3.0
RISE_FRAMES: Final = 3
BROKEN_FRAMES: Final = 15
LEVELS: Final = STEADY_FRAMES + RISE_FRAMES + 1
#: A sound this much louder than all of the 500 ms before, steady or not, begins like one that breaks it: a voice after a breath, or on a
#: line whose noise has just set in.  At 8, music does too (docs/benchmarks/vad.md, "What the onset waits for").
LEAP_DB: Final = 12.0

#: A voice's probability in its first frame, if its pitch moves: Silero's own threshold.
LIKELY: Final = 0.5
#: Two frames of a sharp s, three or four of a soft one; white noise never reaches it (docs/benchmarks/vad.md, "The s").
HISSED: Final = 0.6
#: A voice's probability in its first frame after BREATHED_FRAMES of breath (docs/benchmarks/vad.md, "The breath").
BREATHED: Final = 0.6
BREATHED_FRAMES: Final = 2

#: Relative change of a period: a smaller one is none, and one larger than JUMP is another note.  A voice moves by 1 to 14 % in 20 ms.
STILL: Final = 0.01
JUMP: Final = 0.14
#: The least change that is evidence of a voice: the first notes of a plucked string move by 1.1 %.
MOVED: Final = 0.012
#: Ratio of two periods beyond which one counts as a multiple of the other.
OCTAVE: Final = 1.9
#: Two periods that differ by less are those of a tone; a voice's seldom do.
EXACT: Final = 0.002
#: In noise that is less than this much softer, a step of the pitch up to NOISY_STILL may be the noise's (docs/benchmarks/vad.md, "Hums in noise").
NOISY_DB: Final = 20.0
NOISY_STILL: Final = 0.03
#: The same for the pitch before it was lost.
LOST_STILL: Final = 0.015
#: Frames in a comparison of pitches.
PITCHES: Final = 4
#: A voice's probability while its pitch moves in each of three steps: the detector is slow with nasals
#: (docs/benchmarks/vad.md, "What the onset waits for").
GLIDING: Final = 0.1
#: Changes of sign in a period of a voice, at least: its harmonics make them; a sine that glides has two.
HARMONICS: Final = 2.5
#: A tone has a pitch in its third frame at the latest: a sound with a later pitch is not a tone.
PITCHLESS_FRAMES: Final = 3
#: A tone's pitch stood still in at least two of the three steps, and in three times as many as it moved.
STOOD: Final = 2
TONE: Final = 3
#: A line sounds *otherwise* if at least this share of the last seconds over the agent was loud and no voice: music, as a rule.  There an
#: onset takes OTHERWISE_VOICED frames in a row, wherever it begins (docs/benchmarks/vad.md, "Music").
OTHERWISE: Final = 0.4
OTHERWISE_FRAMES: Final = 250
OTHERWISE_VOICED: Final = 3
#: A detector that found no voice for a second misses the next one, too: it is restarted when the sound grows louder.
DEAF: Final = 0.1
DEAF_FRAMES: Final = 50


def breaks(levels_db: list[float], at: int) -> bool:
    """Return whether the frame `at` breaks a steady sound before it, by the levels of all frames."""
    end = at - RISE_FRAMES
    if end < STEADY_FRAMES or levels_db[at] <= max(QUIET_DB, levels_db[end - 1]) + BREAK_DB:
        return False
    before = levels_db[end - STEADY_FRAMES : end]
    loudest, quietest = max(QUIET_DB, *before), max(QUIET_DB, min(before))
    return levels_db[at] > loudest + BREAK_DB and loudest - quietest <= STEADY_DB


def leaps(levels_db: list[float]) -> bool:
    """Return whether the newest level is far above all before it, but for a rise of three frames."""
    end = len(levels_db) - 1 - RISE_FRAMES
    return end >= STEADY_FRAMES and levels_db[-1] > max(QUIET_DB, *levels_db[end - STEADY_FRAMES : end]) + LEAP_DB


def is_tone(periods: list[float], *, noisy: bool = False) -> bool:
    """Return whether the pitch stood still from frame to frame like that of a tone or a hum, or may yet turn out to.

    The first frame with a pitch has nothing to compare it with; a second one decides only if it is exactly the same.
    In noise the tracker loses a hum's period, too, or takes a multiple for it.
    """
    if not periods[-1]:
        return noisy and _steps(periods, LOST_STILL, LOST_STILL) == (0, STOOD)
    moved, stood = _steps(periods, NOISY_STILL, NOISY_STILL) if noisy else _steps(periods)
    if stood >= STOOD and stood >= TONE * moved:
        return True
    if moved:
        return False
    return not periods[-2] or abs(_folded(periods[-1] / periods[-2]) - 1) <= (NOISY_STILL if noisy else EXACT)


def glides(periods: list[float], *, noisy: bool = False) -> bool:
    """Return whether the pitch moved like a voice's in each step; in noise, in one direction."""
    if _steps(periods)[0] < PITCHES - 1:
        return False
    return not noisy or periods in (sorted(periods), sorted(periods, reverse=True))


def has_moved(periods: list[float]) -> bool:
    """Return whether the pitch moved like a voice's."""
    return _steps(periods, MOVED)[0] > 0


def _steps(periods: list[float], moves: float = STILL, still: float = STILL) -> tuple[int, int]:
    """Count the steps in which the pitch moved like a voice's, and those in which it stood still; 0.0 is no pitch."""
    moved = stood = 0
    last = 0.0
    for newest in periods:
        if last and newest:
            change = abs(_folded(newest / last) - 1)
            moved += moves < change < JUMP
            stood += change <= still
        last = newest
    return moved, stood


def _folded(ratio: float) -> float:
    """Return the ratio of two periods where the tracker took several for one, or one for several, without that."""
    if ratio > OCTAVE:
        return ratio / round(ratio)
    return ratio * round(1 / ratio) if ratio < 1 / OCTAVE else ratio


class LineEvidence:
    """Recent evidence about a line: its levels, its pitch, and what broke a steady sound."""

    __slots__ = (
        "_breathed",
        "_hissed",
        "_history",
        "_levels_db",
        "_loud_frames",
        "_noise_db",
        "_periods",
        "_since_break",
        "_unpitched",
    )

    def __init__(self, history: Backlog) -> None:
        self._history = history
        # Compiled code reads a list faster than a deque.
        self._levels_db: list[float] = []
        self._since_break = BROKEN_FRAMES + 1
        self._loud_frames = 0  # in a row
        self._noise_db = QUIET_DB  # the steady sound that was broken last
        self._hissed = 0.0  # hiss of the last frames in a row
        self._breathed = 0  # frames of breath since the break
        self._periods: list[float] = []
        self._unpitched = PITCHES  # newest frames without a pitch yet

    def frame(self, level_db: float, *, loud: bool) -> None:
        """Advance by one frame."""
        levels = self._levels_db
        levels.append(level_db)
        if len(levels) >= 2 * LEVELS:  # not with every frame
            del levels[:-LEVELS]
        self._since_break += 1
        self._unpitched += 1
        self._loud_frames = self._loud_frames + 1 if loud else 0
        if not loud:
            self._hissed = 0.0
        elif self._since_break > BROKEN_FRAMES and breaks(levels, len(levels) - 1):
            self._since_break = self._breathed = 0
            self._noise_db = max(levels[-1 - RISE_FRAMES - STEADY_FRAMES : -1 - RISE_FRAMES])
            self._hissed = 0.0

    @property
    def broke(self) -> bool:
        """Whether a steady sound was broken in the last 300 ms."""
        return self._since_break <= BROKEN_FRAMES

    @property
    def leaps(self) -> bool:
        """Whether the newest frames are far louder than the half second before them."""
        return leaps(self._levels_db)

    @property
    def swells(self) -> bool:
        """Whether the newest frame is louder than the last half second."""
        levels = self._levels_db
        return levels[-1] > max(levels[-STEADY_FRAMES:-1], default=QUIET_DB) + BREAK_DB

    def begins(self, probability: float) -> Onset | None:
        """Return the evidence that a word begins here without a voice the detector is sure of; None if there is none.

        Called for each loud frame after a break.
        """
        newest = to_linear(self._history.newest(1))
        breathing = breath(newest)
        self._breathed += breathing
        hissing = hiss(newest) if breathing else 0.0
        self._hissed = self._hissed + hissing if hissing else 0.0
        if self._hissed >= HISSED:
            return "hiss"
        if probability >= BREATHED and self._breathed >= BREATHED_FRAMES:
            return "breath"
        if probability >= LIKELY:
            return "pitch" if has_moved(self.periods()) else None
        if probability < GLIDING or not glides(self.periods(), noisy=self._is_noisy):
            return None
        return "pitch" if crossings(newest) * self._periods[-1] > HARMONICS * FRAME_BYTES else None

    def is_tone(self) -> bool:
        """Return whether the newest frame is of a tone, or may turn out to be."""
        periods = self.periods()
        if self._loud_frames > PITCHLESS_FRAMES and not periods[-2] and (self.broke or self.leaps):
            return False
        return is_tone(periods, noisy=self._is_noisy)

    @property
    def _is_noisy(self) -> bool:
        return self._levels_db[-1] - self._noise_db < NOISY_DB

    def periods(self) -> list[float]:
        """Return the pitch periods of the last frames; 0.0 is none."""
        count = min(self._unpitched, PITCHES)
        if count:
            self._unpitched = 0
            size = 2 * FRAME_BYTES
            recent = to_linear(self._history.newest(count + PITCH_FRAMES - 1)).rjust(
                (count + PITCH_FRAMES - 1) * size, b"\0"
            )
            for begin in range(0, count * size, size):
                self._periods.append(period(recent[begin : begin + PITCH_FRAMES * size]))
            del self._periods[:-PITCHES]
        return self._periods


class Sound:
    """The detector's view of one sound."""

    __slots__ = ("_confirm", "_deaf_frames", "_fresh", "_history", "_unjudged")

    def __init__(self, confirm: Confirm, history: Backlog) -> None:
        self._confirm, self._history = confirm, history
        self._fresh = True  # nothing of this sound was judged
        self._unjudged: list[bytes] = []  # frames since the detector last ran
        self._deaf_frames = 0  # in a row without any voice

    def over(self) -> None:
        """End the sound."""
        self._fresh = True
        self._unjudged.clear()

    def add(self, frame: bytes) -> int:
        """Add a frame; return how many were not judged yet."""
        if not self._fresh:
            self._unjudged.append(frame)
        return len(self._unjudged)

    def probability(self, *, swells: bool) -> float:
        """Return the probability of speech at the end of the frames added."""
        if self._fresh or (self._deaf_frames >= DEAF_FRAMES and swells):
            self._fresh = False
            probability = self._confirm(self._history.newest(HISTORY_FRAMES), True)
            self._deaf_frames = 0
        else:
            probability = self._confirm(b"".join(self._unjudged), False)
        self._unjudged.clear()
        self._deaf_frames = self._deaf_frames + 1 if probability < DEAF else 0
        return probability


class OnsetDetector:
    """Judges the sounds on one caller's line while the agent is audible."""

    __slots__ = (
        "_believed_frames",
        "_first",
        "_line",
        "_otherwise",
        "_quiet_ms",
        "_sound",
        "_sure_frames",
        "_withheld",
        "why",
    )

    def __init__(self, confirm: Confirm, history: Backlog) -> None:
        """Create the judge of a line; `history` has the line's newest frames, the one being judged included."""
        self._line, self._sound = LineEvidence(history), Sound(confirm, history)
        self._quiet_ms = SOUND_GAP_MS
        self._first = False  # whether the newest frame begins a sound
        # Judged frames in a row that were voiced.
        self._sure_frames = 0
        self._otherwise = 0.0  # recent share of loud, voiceless frames
        # An onset is withheld until the next frame tells whether it is a tone.
        self._withheld = False
        self._believed_frames = 0  # in a row
        self.why: Onset = "voice"  # of the last onset

    def heard(self, level_db: float, *, loud: bool) -> None:
        """Follow the line, whether or not the agent is audible.  Called first with each frame."""
        self._line.frame(level_db, loud=loud)
        self._first = loud and self._quiet_ms >= SOUND_GAP_MS
        self._quiet_ms = 0 if loud else self._quiet_ms + FRAME_MS
        if self._quiet_ms == SOUND_GAP_MS:
            self.over()

    def over(self) -> None:
        """End the sound, or its judgement."""
        self._sound.over()
        self._withheld = False
        self._sure_frames = self._believed_frames = 0

    def judge(self, frame: bytes, *, loud: bool) -> tuple[bool, bool]:
        """Return (voiced, onset) for the frame last passed to `heard`.

        A frame that is not loud needs no verdict, and goes to the detector with the next loud one.
        """
        judged = self._judge(frame, loud=loud)
        # A number and not a bool: compiled code boxes both sides to subtract a float from a bool.
        self._otherwise += ((1.0 if loud and not judged[0] else 0.0) - self._otherwise) / OTHERWISE_FRAMES
        return judged

    def _judge(self, frame: bytes, *, loud: bool) -> tuple[bool, bool]:
        unjudged = self._sound.add(frame)
        if not loud:
            return False, False
        if self._believed_frames and unjudged < BELIEVED_FRAMES:
            self._believed_frames += 1
            return True, True
        line = self._line
        if self._first:
            if line.broke:
                line.begins(0.0)
            return False, False
        probability = self._sound.probability(swells=line.swells)
        voiced, onset = self._evidence(probability)
        self._sure_frames = self._sure_frames + 1 if voiced else 0
        onset = onset or (self._withheld and probability >= LIKELY)
        self._withheld = False
        # A voice that is believed for this long was tested again after its onset.
        if onset and self._believed_frames <= BELIEVED_FRAMES and line.is_tone():
            self._withheld = not line.periods()[-2]
            voiced = onset = False
        self._believed_frames = self._believed_frames + 1 if voiced and onset else 0
        return voiced, onset

    def _evidence(self, probability: float) -> tuple[bool, bool]:
        """Return (voiced, onset) by all evidence except whether it is a tone."""
        if self._believed_frames:
            voiced = probability >= LASTING
            return voiced, voiced
        line, voiced = self._line, probability >= VOICED
        if self._otherwise >= OTHERWISE:
            why: Onset | None = "voice" if voiced and self._sure_frames >= OTHERWISE_VOICED - 1 else None
        elif line.broke:
            why = "voice" if voiced else line.begins(probability)
        else:
            why = "voice" if probability >= CERTAIN or (voiced and (self._sure_frames or line.leaps)) else None
        if why is None:
            return voiced, False
        self.why = why
        return voiced or why == "pitch", True
