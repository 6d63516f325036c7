"""What the model is asked to say: first clips without audio, then the answers that are owed; one response at a time."""

from collections import deque

from media.core import realtime as rt
from media.core.answers import Answers
from media.core.clips import instruction
from media.core.session import Session
from media.core.types import ClipKind, Emit, Moment, Stamp
from media.core.voice import Voice


class Replies:
    __slots__ = (
        "_cancel_next",
        "_cancelled",
        "_clips",
        "_closed",
        "_emit",
        "_session",
        "_voice",
        "answers",
        "saying",
    )

    def __init__(self, session: Session, voice: Voice, emit: Emit) -> None:
        self.answers = Answers()
        self.saying: ClipKind | None = None  # the clip that the model is speaking
        self._session, self._voice, self._emit = session, voice, emit
        self._clips: deque[ClipKind] = deque()  # for the model to say
        self._closed = False  # nothing is answered any more
        self._cancel_next = False  # the response was cancelled before its id was known
        self._cancelled: set[str] = set()

    def say(self, kind: ClipKind) -> None:
        self._clips.append(kind)

    def close(self) -> None:
        """Nothing is answered any more; clips are still said."""
        self._closed = True

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
        if not self._session.ready or self._closed or self._clips or self.saying is not None:
            return False
        return not self._voice.answering

    def proceed(self, now_ms: float) -> None:
        """Create the response that is due, if one is."""
        answers = self.answers
        if not self._session.ready or answers.active:
            return
        self._session.expect(now_ms)
        if self._clips and not self._voice.audible(now_ms) and (event_id := answers.begin()):
            self.saying = self._clips.popleft()
            self._session.send(rt.response_create(event_id, instruction(self._voice.text(self.saying) or "")))
        elif self._closed or not answers.owed:
            return
        elif event_id := answers.create(self._voice.speaks(now_ms)):
            self.saying = None
            self._session.send(rt.response_create(event_id))
            self._emit(Stamp(Moment.ASKED))

    def cancel(self) -> str | None:
        """The caller took the floor: cancel the active response; return its id, if it is known."""
        if not self.answers.active:
            return None
        response_id = self.answers.response_id
        self._cancel_next = response_id is None
        if response_id is not None:
            self._cancelled.add(response_id)
        self._session.send(rt.response_cancel(response_id))
        return response_id

    def cancelled(self, response_id: str) -> bool:
        return response_id in self._cancelled

    # The life of a response.

    def created(self, response_id: str) -> None:
        self.answers.response_created(response_id)
        if self._cancel_next:
            self._cancelled.add(response_id)
            self._cancel_next = False

    def done(self, response: rt.Response) -> None:
        if response.id == self.answers.response_id:
            self._voice.close_all()
            self.saying = None
        self._cancelled.discard(response.id)
        self.answers.response_done(response.id, failed=response.status == "failed")

    def session_opened(self) -> None:
        self._cancelled.clear()
        self._cancel_next = False

    def session_lost(self) -> None:
        if self.saying is not None and self.answers.active:
            self._clips.appendleft(self.saying)
            self.saying = None
            self.answers.response_done("")
        self.answers.model_lost()
