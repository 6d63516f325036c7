"""The background gate: whether an onset over the agent is a voice from the caller's room, such as a television.

A television is a voice and no echo, so neither `hearing` nor `echo` keeps it out.  What tells it from the caller are
its level and that it goes on.  The *caller's level* is learned from what they say while the agent is silent.  Over
the agent, each block of 400 ms that has no sound near that level is *background* if much of it is loud, else quiet.
Where several of the last blocks are background, an onset must be near the caller's level.

A soft word is one block at most, and a telephone that is handed to somebody softer is followed after TURNS.  So
where the line is quiet a caller is heard however soft, and a television stops the agent a few times.

Example, a caller at -20 dBFS, a television at -40: it stops the agent twice, which makes three blocks of background.
From then on an onset must reach -29 dBFS, until two seconds of the agent were quiet.
"""

from typing import Final

#: A level that the caller reaches in this many frames of a turn is theirs: a knock or a click has fewer.
LOUDEST_FRAMES: Final = 5
#: Voice in a turn: in shorter gaps of the agent's speech only the room is heard.
TURN_FRAMES: Final = 25
#: Turns whose loudest counts: a telephone is handed on, and the new caller's level is known after as many.
TURNS: Final = 5
#: Below the caller's level, sounds are not near (docs/benchmarks/vad.md, "A television").
NEAR_DB: Final = 9.0
BLOCK_FRAMES: Final = 20
#: Loud frames of a block of background: a voice that goes on is loud in more than half of its frames.
LOUD_FRAMES: Final = 8
#: Of the last BLOCKS that have nothing near, so many must be background.
BLOCKS: Final = 8
BACKGROUND_BLOCKS: Final = 3
UNKNOWN_DB: Final = float("-inf")


class Background:
    """Learns one caller's level and their room's, and judges onsets by both."""

    __slots__ = ("_blocks", "_caller_db", "_frames", "_loud", "_loudest", "_near", "_turns", "_voiced")

    def __init__(self) -> None:
        self._caller_db = UNKNOWN_DB
        self._voiced = 0  # frames of this turn
        self._loudest: list[float] = []  # levels of this turn, the softest first
        self._turns: list[float] = []  # the level of each of the last turns
        # The block so far: its frames, those that were loud, and whether one was near.
        self._frames = self._loud = 0
        self._near = False
        # Whether each of the last blocks was background, one bit each, the newest lowest.
        self._blocks = 0

    def turn_frame(self, level_db: float) -> None:
        """Learn from 20 ms of a voice while the agent is silent."""
        self._voiced += 1
        loudest = self._loudest
        if len(loudest) < LOUDEST_FRAMES:
            loudest.append(level_db)
        elif level_db > loudest[0]:
            loudest[0] = level_db
        else:
            return
        loudest.sort()

    def frame(self, level_db: float, *, loud: bool) -> None:
        """Learn from 20 ms of the line while the agent is heard."""
        if self._voiced:
            self._end_turn()
        self._frames += 1
        if loud:
            self._loud += 1
            self._near |= level_db >= self._caller_db - NEAR_DB
        if self._frames < BLOCK_FRAMES:
            return
        if not self._near:
            self._blocks = (self._blocks << 1 | (self._loud >= LOUD_FRAMES)) & ((1 << BLOCKS) - 1)
        self._frames = self._loud = 0
        self._near = False

    def _end_turn(self) -> None:
        if self._voiced >= TURN_FRAMES:
            self._turns.append(self._loudest[0])
            del self._turns[:-TURNS]
            self._caller_db = max(self._turns)
        self._loudest.clear()
        self._voiced = 0

    def passes(self, level_db: float) -> bool:
        """Return whether an onset is not from the caller's room."""
        return self._blocks.bit_count() < BACKGROUND_BLOCKS or level_db >= self._caller_db - NEAR_DB
