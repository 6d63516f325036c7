"""The model's voice in full duplex: an endless stream of sound and silence, of which each piece is given for a piece of input.  Pure.

Times are on the session's clock, which counts the input's audio.  Example: a sentence of 250 ms that begins at 400 ms is given as the
pieces from 400, 500 and 600 ms, of which the last one is half silent.
"""

from collections import deque
from dataclasses import dataclass, field

from realtime.codec import Codec
from realtime.mind import Voiced
from sandbox.speech.sound import Word

#: Of each piece.
PIECE_MS = 100
#: Words come in frames of this length, which begin one frame early.
FRAME_MS = 200


@dataclass(slots=True)
class Sentence:
    """What the model says in one go; `sent_words` are the words of the sound that was sent, which the model believes was heard."""

    text: str
    voiced: Voiced
    began_ms: int = -1
    sent_bytes: int = 0
    sent_words: list[Word] = field(default_factory=list)
    was_cut: bool = False

    @property
    def sent_text(self) -> str:
        """The words that were sent."""
        return "".join(word.text for word in self.sent_words).strip()


@dataclass(frozen=True, slots=True)
class Fragment:
    """Words of a transcript, and their time."""

    text: str
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class LiveVoice:
    """The voice of one session; `silence` is what a byte of silence is."""

    codec: Codec
    silence: bytes
    sentences: list[Sentence] = field(default_factory=list)
    _waiting: deque[Sentence] = field(default_factory=deque)
    _speaking: Sentence | None = None

    @property
    def is_speaking(self) -> bool:
        """Whether a sentence has begun and is not over."""
        return self._speaking is not None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is said or waits to be."""
        return self._speaking is None and not self._waiting

    def say(self, text: str, voiced: Voiced) -> None:
        """Say a sentence after those that wait."""
        self._waiting.append(Sentence(text, voiced))

    def stop(self) -> None:
        """Fall silent, and drop what waits."""
        self._waiting.clear()
        if self._speaking is not None:
            self._speaking.was_cut = True
            self._speaking = None

    def piece(self, at_ms: int) -> tuple[bytes, list[Fragment]]:
        """Return the next piece, which begins at `at_ms`, and the words that begin in it."""
        size = PIECE_MS * self.codec.bytes_per_ms
        sentence = self._next(at_ms)
        if sentence is None:
            return self.silence * (size // len(self.silence)), []
        start = sentence.sent_bytes
        sound = sentence.voiced.payload[start : start + size]
        sentence.sent_bytes += len(sound)
        from_ms, to_ms = self.codec.ms(start), self.codec.ms(start) + PIECE_MS
        words = [word for word in sentence.voiced.words if from_ms <= word.start_ms < to_ms]
        sentence.sent_words += words
        if sentence.sent_bytes >= len(sentence.voiced.payload):
            self._speaking = None
        fragments = [_fragment(words, sentence.began_ms)] if words else []
        return sound + self.silence * ((size - len(sound)) // len(self.silence)), fragments

    def _next(self, at_ms: int) -> Sentence | None:
        if self._speaking is None and self._waiting:
            self._speaking = self._waiting.popleft()
            self._speaking.began_ms = at_ms
            self.sentences.append(self._speaking)
        return self._speaking


def framed(at_ms: float) -> int:
    """Return the beginning of the frame of words for this time."""
    return max(0, int(at_ms) // FRAME_MS * FRAME_MS - FRAME_MS)


def _fragment(words: list[Word], began_ms: int) -> Fragment:
    start_ms = framed(began_ms + words[0].start_ms)
    text = "".join(f" {word.text.strip()}" for word in words)
    return Fragment(text, start_ms, start_ms + FRAME_MS)
