"""The caller's turns in a duplex session, which tells words and their times but no turns.

A turn goes on as long as its words are close to each other and the model has not begun to speak between them.  Words come some
hundred milliseconds after they were said: a turn is over once none have come for a while.
"""

from typing import Final

from media.core.calltranscript import CallTranscript
from media.core.modelmessages import MAX_TEXT_CHARS
from media.core.sessionclock import SessionClock

#: Of silence within a turn.
LONGEST_PAUSE_MS: Final = 1_500
#: After which no more words of a turn are expected.
QUIET_MS: Final = 2_000.0


class CallerTurns:
    """The caller's turns of one call; instants in sessions are on `session_clock`."""

    __slots__ = ("_count", "_ended_ms", "_id", "_session_clock", "_text", "_transcript", "told_ms")

    def __init__(self, transcript: CallTranscript, session_clock: SessionClock) -> None:
        self.told_ms = 0.0  # when words came, the last time
        self._transcript, self._session_clock = transcript, session_clock
        self._count = 0
        self._id = self._text = ""  # of the turn under way
        self._ended_ms = 0  # of its last words, on the session's clock

    @property
    def is_open(self) -> bool:
        """Whether more words of a turn may come."""
        return bool(self._id)

    @property
    def text(self) -> str:
        """The words so far of the turn under way."""
        return self._text.strip()

    def words(self, text: str, start_ms: int, end_ms: int, agent_began_ms: int, now_ms: float) -> str:
        """Add words; return the id of their turn.  The model began to speak at `agent_began_ms`, the last time."""
        end_ms = max(start_ms, end_ms)
        is_same = start_ms - self._ended_ms <= LONGEST_PAUSE_MS and not self._ended_ms < agent_began_ms <= start_ms
        if self._id and (not is_same or len(self._text) + len(text) > MAX_TEXT_CHARS):
            self.finish()
        if not self._id:
            self._count += 1
            self._id, self._ended_ms = f"caller_{self._count}", 0
            self._transcript.caller_began(self._id, self._session_clock.call_ms(start_ms), now_ms)
        self._text += text
        self._ended_ms, self.told_ms = max(self._ended_ms, end_ms), now_ms
        self._transcript.caller_words(self._id, text)
        self._transcript.caller_ended(self._id, self._session_clock.call_ms(self._ended_ms), now_ms)
        return self._id

    def advance(self, now_ms: float) -> None:
        """Finish the turn under way if no more of its words are expected."""
        if self._id and now_ms - self.told_ms >= QUIET_MS:
            self.finish()

    def finish(self) -> None:
        """Finish the turn under way: its words are all that come."""
        if self._id:
            self._transcript.caller_text(self._id, self._text)
        self._id = self._text = ""
