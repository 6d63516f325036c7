"""A duplex model's stream of sound and silence, cut into utterances: items of the ledger that begin and end with sound.

    silent ── a sounding piece ──▶ held ── HOLD_MS later ──▶ open ── CLOSED_MS of silence ──▶ silent

The stream comes at the pace at which it is played, so a lead can't grow by itself: the first piece waits for the next.  Silence within
an utterance is not sent when it comes but before the sound that ends it, as much of it as keeps the lead.  So a pause lasts as long as
the model made it, and a stream that has come late catches up in the next pause; nothing is ever stretched.

Times are on the session's clock, which counts the stream's audio.  Words have a time on it, too, early by a constant that the
first words of an utterance show; so a word belongs to a byte of the item.

Example, pieces of 100 ms: sound at 5,000 ms, silence at 5,300 and 5,400, sound at 5,500 ms, silence from 5,600 ms on:

    5,100 ms  the first piece is sent with the second one
    5,500 ms  silence is sent for 100 ms, before the sound: the carrier's queue ran dry 100 ms ago
    6,400 ms  the utterance is over; its item ended with the sound of 5,500 ms
"""

from dataclasses import dataclass, field
from typing import Final

from media.core.audio import BYTES_PER_MS, SILENCE_BYTE, level_db, to_ms
from media.core.modelmessages import MAX_ANSWER_AUDIO_BYTES, MAX_TEXT_CHARS
from media.core.voice import Voice

#: How long the first piece waits, which is the lead that the rest keeps.
HOLD_MS: Final = 100
CLOSED_MS: Final = 800
#: Sound that is no louder is silence: a stream's silence may not be exact.
SILENT_DBFS: Final = -60.0
#: The most by which words may be early, or late.
LARGEST_SKEW_MS: Final = 400
#: Words that have come before their sound.
MOST_EARLY: Final = 50


@dataclass(slots=True)
class _Timeline:
    """Where the words of an utterance are in its item."""

    began_ms: int
    # Where on the session's clock and in the item each stretch of sound begins.
    stretches: list[tuple[int, int]] = field(default_factory=list)
    _skew_ms: int | None = None

    def offset(self, start_ms: int) -> int:
        """Return the byte of the item at which words that were said then begin."""
        if self._skew_ms is None:
            self._skew_ms = max(-LARGEST_SKEW_MS, min(start_ms - self.began_ms, LARGEST_SKEW_MS))
        at_ms = start_ms - self._skew_ms
        begins_ms, offset = self.began_ms, 0
        for stretch in self.stretches:
            if stretch[0] > at_ms:
                break
            begins_ms, offset = stretch
        return offset + max(0, at_ms - begins_ms) * BYTES_PER_MS


class Utterances:
    """The utterances of one call; `session_opened` begins another session's stream."""

    __slots__ = (
        "_ahead_ms",
        "_at_ms",
        "_began_ms",
        "_count",
        "_early",
        "_held",
        "_id",
        "_silent_ms",
        "_timeline",
        "_voice",
    )

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._count = 0
        self._id = ""  # of the utterance under way
        self._at_ms = 0  # where the next piece begins
        self._began_ms = 0
        self._silent_ms = 0  # since its last sound
        self._held = b""
        # How much earlier a piece came than it begins on the session's clock: that of the promptest piece.
        self._ahead_ms = 0.0
        self._timeline = _Timeline(0)
        self._early: list[tuple[str, int]] = []

    @property
    def id(self) -> str:
        """The id of the item under way; "" while the model is silent."""
        return self._id

    @property
    def began_ms(self) -> int:
        """When the last utterance began, on the session's clock."""
        return self._began_ms

    def session_opened(self, now_ms: float) -> None:
        """Begin the stream of another session."""
        self.break_off(now_ms)
        self._at_ms = self._began_ms = 0

    def break_off(self, now_ms: float) -> None:
        """End the utterance under way: nothing more of it comes."""
        if self._id:
            self._close(now_ms)
        self._early.clear()

    def drop(self) -> None:
        """Forget the utterance under way: what was to be heard of it is dropped."""
        self._id, self._held = "", b""

    def piece(self, ulaw: bytes, now_ms: float) -> bool:
        """Take the next piece of the stream; return whether an utterance began with it."""
        at_ms, self._at_ms = self._at_ms, self._at_ms + to_ms(len(ulaw))
        is_silent = not ulaw.strip(SILENCE_BYTE) or level_db(ulaw) <= SILENT_DBFS
        if not self._id:
            if not is_silent:
                self._open(ulaw, at_ms, now_ms)
            return not is_silent
        self._ahead_ms = max(self._ahead_ms, at_ms - now_ms)
        if self._held and at_ms >= self._began_ms + HOLD_MS:
            held, self._held = self._held, b""
            self._voice.add_audio(self._id, held, now_ms)
        if is_silent:
            self._silent_ms += to_ms(len(ulaw))
            if self._silent_ms >= CLOSED_MS:
                self._close(now_ms)
        elif self._held:
            self._held += ulaw
        else:
            self._sound(ulaw, at_ms, now_ms)
        return False

    def _open(self, ulaw: bytes, at_ms: int, now_ms: float) -> None:
        self._count += 1
        self._id = f"utterance_{self._count}"
        self._began_ms, self._silent_ms, self._held = at_ms, 0, ulaw
        self._ahead_ms = at_ms - now_ms
        self._timeline = _Timeline(at_ms)
        self._voice.open_item(self._id, None)
        early, self._early = self._early, []
        for text, start_ms in early:
            self.words(text, start_ms)

    def _sound(self, ulaw: bytes, at_ms: int, now_ms: float) -> None:
        voice = self._voice
        if self._silent_ms:
            late_ms = now_ms + self._ahead_ms - at_ms
            lead_ms = voice.playout.ahead_ms(now_ms)
            pause_ms = int(min(self._silent_ms, max(0.0, HOLD_MS - late_ms - lead_ms)))
            if pause_ms:
                voice.add_audio(self._id, SILENCE_BYTE * (pause_ms * BYTES_PER_MS), now_ms)
            self._timeline.stretches.append((at_ms, voice.generated(self._id)))
            self._silent_ms = 0
        voice.add_audio(self._id, ulaw, now_ms)
        if voice.generated(self._id) >= MAX_ANSWER_AUDIO_BYTES:
            self._close(now_ms)  # the sound goes on as another one

    def _close(self, now_ms: float) -> None:
        if self._held:
            self._voice.add_audio(self._id, self._held, now_ms)
        self._voice.close_item(self._id)
        self._id, self._held = "", b""

    def words(self, text: str, start_ms: int) -> None:
        """Add words of the model's that were said at `start_ms`; those of an utterance that is over are lost."""
        if len(text) > MAX_TEXT_CHARS:
            return
        if not self._id:
            if start_ms + LARGEST_SKEW_MS >= self._at_ms and len(self._early) < MOST_EARLY:
                self._early.append((text, start_ms))
            return
        self._voice.add_text(self._id, text, self._timeline.offset(start_ms))
