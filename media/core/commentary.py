"""What a duplex model is asked to say: it is told so once it is silent, and says it when it sees fit.

queued ── the session is confirmed, the caller hears nobody ──▶ asked ── an utterance begins, or BEGINS_MS ──▶ over
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from media.core.duplexsession import DuplexSession
from media.core.plans import PromptKind
from media.core.prompts import OPENINGS, instruction
from media.core.session import BROKE_OFF
from media.core.speechrequests import SpeechRequests
from media.core.utterances import Utterances
from media.core.voice import Voice

#: Within which the model begins to say what it was asked to.
BEGINS_MS: Final = 3_000.0
SPEAK: Final = "Speak to the caller now, as your instructions and what you were told last ask of you."
_NEVER: Final = float("inf")


class Commentary(SpeechRequests):
    """The requests for speech of one call with a duplex model."""

    __slots__ = ("_closed", "_given_up_ms", "_queue", "_session", "_utterances", "_voice", "awaits_words")

    def __init__(self, session: DuplexSession, voice: Voice, utterances: Utterances) -> None:
        self._session, self._voice, self._utterances = session, voice, utterances
        self._closed = False
        # Whether the caller has spoken over the farewell, and it is not known yet what.
        self.awaits_words = False
        # None: whatever the model has to say, as this text explains.
        self._queue: deque[tuple[PromptKind | None, str]] = deque()
        self._given_up_ms = _NEVER  # when the model does not begin to say what it was asked to

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def pending(self) -> bool:
        return self._session.ready and (
            self.is_asked or bool(self._queue) or bool(self._utterances.id) or self.awaits_words
        )

    @property
    def prompted(self) -> bool:
        return any(kind is not None for kind, _ in self._queue)

    @property
    def dictated(self) -> int:
        return sum([kind is PromptKind.DICTATED for kind, _ in self._queue])

    @property
    def is_asked(self) -> bool:
        """Whether the model was asked to say something and has not begun to."""
        return self._session.is_asked

    def say(self, kind: PromptKind, text: str | None) -> None:
        if kind not in OPENINGS or all(queued is not kind for queued, _ in self._queue):
            self._queue.append((kind, instruction(kind, text)))

    def speak(self, kinds: Iterable[PromptKind]) -> None:
        for kind in kinds:
            if self.prompted or not self._voice.play(kind):
                self.say(kind, self._voice.prompts.text(kind))

    def owe_response(self) -> None:
        self.continue_with(SPEAK)

    def owe_answer(self) -> None:
        """Do nothing: a result is told as what to say."""

    def continue_with(self, note: str = BROKE_OFF) -> None:
        if not self._closed and all(text != note for _, text in self._queue):
            self._queue.append((None, note))

    def close(self) -> None:
        self._closed = True
        self._queue = deque([each for each in self._queue if each[0] is not None])
        self._voice.playout.turn_gate.ignored = True

    def clear(self) -> None:
        self._queue.clear()

    def began(self) -> None:
        """Note that an utterance has begun, or that none is expected any more."""
        self._session.is_asked, self._given_up_ms = False, _NEVER

    def proceed(self, now_ms: float) -> None:
        """Ask for what is next, if the caller hears nobody."""
        if self.is_asked:
            self._given_up_ms = min(self._given_up_ms, now_ms + BEGINS_MS)
            if now_ms >= self._given_up_ms:
                self.began()
        if not self._queue or not self._session.confirmed or self.is_asked or self._utterances.id:
            return
        playout = self._voice.playout
        if not playout.audible(now_ms) and not playout.turn_gate.speaks(now_ms):
            self._session.tell("say", self._queue.popleft()[1])
