"""What the model is asked to say: first clips without audio, then the answers that are owed; one response at a time."""

from collections import deque

from media.core import realtime as rt
from media.core.answers import Answers
from media.core.caller import Caller
from media.core.clips import instruction
from media.core.session import BROKE_OFF, Session
from media.core.types import CallPlan, ClipKind, Emit, Moment, Stamp
from media.core.voice import Voice


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
        "_broke_off",
        "_cancelled",
        "_clips",
        "_coming",
        "_emit",
        "_session",
        "_voice",
        "answers",
        "closed",
        "saying",
    )

    def __init__(self, plan: CallPlan, session: Session, voice: Voice, caller: Caller, emit: Emit) -> None:
        self.answers = Answers(caller)
        self.saying: ClipKind | None = None  # the clip that the model is speaking
        self.closed = False  # nothing is answered any more
        self._session, self._voice, self._emit = session, voice, emit
        self._coming = _Coming(plan.answer_ms)
        self._clips: deque[ClipKind] = deque()  # for the model to say
        self._broke_off = False  # the next answer continues one that a fault cut off
        self._cancelled: set[str | None] = set()  # None: one whose id is not known yet

    def say(self, kind: ClipKind) -> None:
        self._clips.append(kind)

    def close(self) -> None:
        """Nothing is answered any more; clips are still said."""
        self.closed = self.answers.caller.ignored = True

    @property
    def waiting(self) -> bool:
        """Whether clips wait to be said."""
        return bool(self._clips)

    @property
    def pending(self) -> bool:
        """Whether something is being said or is still to be said."""
        return self._session.ready and (self.answers.active or bool(self._clips))

    @property
    def awaited(self) -> bool:
        """Whether an answer may still come, and none of it has been said yet."""
        if not self._session.ready or self.closed or self._clips or self.saying is not None:
            return False
        return not self._voice.answering

    def go_on(self) -> None:
        """Continue what a fault cut off, without waiting for the caller."""
        self._broke_off = True
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
        if self._clips and not self._voice.audible(now_ms) and (event_id := answers.begin()):
            self.saying = self._clips.popleft()
            self._session.send(rt.response_create(event_id, instruction(self._voice.text(self.saying) or "")))
        elif self.closed or catching_up or not answers.owed:
            return
        elif event_id := answers.create(self._voice.speaks(now_ms)):
            self.saying = None
            if self._broke_off:
                self._broke_off = False
                self._session.note("system", BROKE_OFF)
            self._session.send(rt.response_create(event_id))
            self._emit(Stamp(Moment.ASKED))

    def cancel(self) -> str | None:
        """The caller took the floor: cancel the active response; return its id, if it is known."""
        self._broke_off = False
        if not self.answers.active:
            return None
        response_id = self.answers.response_id
        self._cancelled.add(response_id)
        if self.saying is None and not self._coming.audio_bytes:
            self.answers.owe()
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
            self.saying = None
        self._cancelled.discard(response.id)
        self.answers.response_done(response.id, failed=response.status == "failed")
        return complete

    def session_opened(self) -> None:
        self._cancelled.clear()

    def session_lost(self) -> None:
        if self.saying is None and self.answers.active and self._coming.audio_bytes:
            self._broke_off = True
        if self.saying is not None and self.answers.active:
            self._clips.appendleft(self.saying)
            self.saying = None
            self.answers.response_done("")
        self.answers.model_lost()
