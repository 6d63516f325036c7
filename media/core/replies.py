"""What the model is asked to say: first clips without audio, then the answers that are owed; one response at a time."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from media.core import realtime as rt
from media.core.answers import Answers
from media.core.caller import Caller
from media.core.clips import instruction
from media.core.session import BROKE_OFF, Session
from media.core.types import CallPlan, ClipKind, Emit, Moment, Stamp
from media.core.voice import Voice

DICTATIONS: Final = 3  # how often the model is asked to say the same, if nothing of it was heard


@dataclass(frozen=True, slots=True)
class _Sentence:
    """Something that the model says word for word."""

    kind: ClipKind
    text: str
    failed: int = 0  # how often nothing of it was heard


class _Sentences:
    """Those that wait to be said, and the one that was begun last."""

    __slots__ = ("_latest", "saying", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Sentence] = deque()
        self.saying: ClipKind | None = None  # the one that the model is speaking
        self._latest = _Sentence(ClipKind.GREETING, "")

    def begin(self) -> str:
        """Begin the next one; return what the model is told."""
        self._latest = self.waiting.popleft()
        self.saying = self._latest.kind
        return instruction(self._latest.kind, self._latest.text or None)

    def put_back(self) -> None:
        """The session that was speaking it is gone."""
        self.waiting.appendleft(self._latest)
        self.saying = None

    def again(self) -> None:
        """Nothing was heard of the latest one: what a person wants said is tried again."""
        latest = self._latest
        if latest.kind is ClipKind.DICTATED and latest.failed + 1 < DICTATIONS and latest not in self.waiting:
            self.waiting.appendleft(_Sentence(latest.kind, latest.text, latest.failed + 1))


class _Coming:
    """What has arrived of the response that was requested last."""

    __slots__ = ("_alive_ms", "_chars", "_patience_ms", "audio_bytes")

    def __init__(self, patience_ms: int) -> None:
        self._patience_ms = patience_ms
        self.asked(0.0)

    def asked(self, now_ms: float) -> None:
        self._alive_ms = now_ms  # when its last event came
        self.audio_bytes = self._chars = 0

    def more(self, audio_bytes: int, chars: int, now_ms: float) -> bool:
        """Count what came.  Returns False once that is more than a response may have."""
        self._alive_ms = now_ms
        self.audio_bytes += audio_bytes
        self._chars += chars
        return self.audio_bytes <= rt.MAX_ANSWER_AUDIO_BYTES and self._chars <= rt.MAX_TEXT_CHARS

    def stalled(self, now_ms: float) -> bool:
        return now_ms - self._alive_ms >= self._patience_ms


class Replies:
    __slots__ = (
        "_before",
        "_cancelled",
        "_coming",
        "_emit",
        "_sentences",
        "_session",
        "_voice",
        "answers",
        "closed",
    )

    def __init__(self, plan: CallPlan, session: Session, voice: Voice, caller: Caller, emit: Emit) -> None:
        self.answers = Answers(caller)
        self.closed = False  # nothing is answered any more
        self._session, self._voice, self._emit = session, voice, emit
        self._coming = _Coming(plan.answer_ms)
        self._sentences = _Sentences()
        self._before: str | None = None  # what the model is told before the next answer: that it goes on with something
        self._cancelled: set[str | None] = set()  # None: one whose id is not known yet

    @property
    def saying(self) -> ClipKind | None:
        """The clip that the model is speaking."""
        return self._sentences.saying

    def say(self, kind: ClipKind, text: str = "") -> None:
        """Have the model say a clip, or another text in its place."""
        self._sentences.waiting.append(_Sentence(kind, text or self._voice.text(kind) or ""))

    def say_again(self) -> None:
        """Nothing was heard of what a person wanted said."""
        self._sentences.again()

    @property
    def dictated(self) -> int:
        """How many texts of people wait to be said."""
        return sum([sentence.kind is ClipKind.DICTATED for sentence in self._sentences.waiting])

    def close(self) -> None:
        """Nothing is answered any more; clips are still said."""
        self.closed = self.answers.caller.ignored = True

    def forget(self) -> None:
        """Clips that wait to be said are not."""
        self._sentences.waiting.clear()

    @property
    def waiting(self) -> bool:
        """Whether clips wait to be said."""
        return bool(self._sentences.waiting)

    @property
    def pending(self) -> bool:
        """Whether something is being said or is still to be said."""
        return self._session.ready and (self.answers.active or self.waiting)

    @property
    def awaited(self) -> bool:
        """Whether an answer may still come, and none of it has been said yet."""
        if not self._session.ready or self.closed or self.waiting or self.saying is not None:
            return False
        return not self._voice.answering

    def go_on(self, note: str = BROKE_OFF) -> None:
        """Continue what a fault cut off, or as the note says, without waiting for the caller."""
        self._before = note
        self.answers.owe()

    def proceed(self, now_ms: float, *, catching_up: bool = False) -> None:
        """Create the response that is due, if one is; none while the caller speaks, no answer while the model is
        `catching_up` with them.
        """
        answers = self.answers
        if not self._session.ready or answers.active or answers.caller.speaks(now_ms):
            return
        self._coming.asked(now_ms)
        self._cancelled.discard(None)
        if self.waiting and not self._voice.audible(now_ms) and (event_id := answers.begin()):
            self._session.send(rt.response_create(event_id, self._sentences.begin()))
        elif self.closed or catching_up or not answers.owed:
            return
        elif event_id := answers.create(self._voice.speaks(now_ms)):
            self._sentences.saying = None
            if self._before is not None:
                self._session.tell("system", self._before)
                self._before = None
            self._session.send(rt.response_create(event_id))
            self._emit(Stamp(Moment.ASKED))

    def cancel(self) -> str | None:
        """The caller took the floor: cancel the active response; return its id, if it is known."""
        self._before = None
        if not self.answers.active:
            return None
        response_id = self.answers.response_id
        self._cancelled.add(response_id)
        if not self._coming.audio_bytes:
            if self.saying is None:
                self.answers.owe()
            else:
                self._sentences.again()
        self._session.send(rt.response_cancel(response_id))
        return response_id

    def cancelled(self, response_id: str) -> bool:
        return response_id in self._cancelled

    # The life of a response.

    def more(self, now_ms: float, *, audio_bytes: int = 0, chars: int = 0) -> bool:
        """An event of a response came.  Returns False once it is longer than allowed."""
        return self._coming.more(audio_bytes, chars, now_ms)

    def stalled(self, now_ms: float) -> bool:
        """Whether the active response has had no event for too long; what the caller does makes no difference."""
        return self.answers.active and self._coming.stalled(now_ms)

    def created(self, response_id: str) -> None:
        self.answers.response_created(response_id)
        if None in self._cancelled:
            self._cancelled.remove(None)
            self._cancelled.add(response_id)

    def done(self, response: rt.Response) -> bool:
        """A response is over.  Returns whether it was a complete spoken answer."""
        complete = response.status == "completed" and self.saying is None and self._coming.audio_bytes > 0
        if response.id == self.answers.response_id:
            self._voice.close_all()
            if response.status == "failed" and not self._coming.audio_bytes:
                self._sentences.again()
            self._sentences.saying = None
        self._cancelled.discard(response.id)
        self.answers.response_done(response.id, failed=response.status == "failed")
        return complete

    def refused(self, event_id: str | None) -> None:
        """The server refused something; if it was the response that was created last, it is tried again."""
        was_active = self.answers.active
        self.answers.refused(event_id)
        if was_active and not self.answers.active and self.saying is not None:
            self._sentences.again()
            self._sentences.saying = None

    def session_opened(self) -> None:
        self._cancelled.clear()

    def session_lost(self) -> None:
        if self.saying is None and self.answers.active and self._coming.audio_bytes:
            self._before = BROKE_OFF
        if self.saying is not None and self.answers.active:
            self._sentences.put_back()
            self.answers.response_done(self.answers.response_id or "")  # no answer is owed for it
        self.answers.model_lost()
