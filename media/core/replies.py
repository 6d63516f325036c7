"""The model's speech: first prompts without audio, then the responses that are owed; one response at a time."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from media.core.modelmessages import (
    MAX_ANSWER_AUDIO_BYTES,
    MAX_TEXT_CHARS,
    CancelResponse,
    RequestResponse,
    ResponseEnded,
)
from media.core.plans import PromptKind
from media.core.prompts import OPENINGS, instruction
from media.core.responses import ResponseSchedule
from media.core.session import BROKE_OFF
from media.core.speechrequests import SpeechRequests
from media.core.turngate import TurnGate
from media.core.turnsession import TurnSession
from media.core.types import Emit, Moment, Stamp
from media.core.voice import Voice

#: Attempts to have the model say a prompt that must be heard, if nothing of it was.
DICTATIONS: Final = 3
#: Prompts that must be heard.
_RETRIED: Final = (PromptKind.DICTATED, *OPENINGS)


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A prompt that the model says word for word."""

    kind: PromptKind
    text: str
    failed: int = 0  # how often nothing of it was heard


class PromptQueue:
    """The prompts that the model is to say, the one that it is saying, and the one that it began last."""

    __slots__ = ("_latest", "_waiting", "saying")

    def __init__(self) -> None:
        self.saying: PromptKind | None = None  # the one that the model is speaking
        self._waiting: deque[_Prompt] = deque()
        self._latest = _Prompt(PromptKind.GREETING, "")

    def add(self, kind: PromptKind, text: str | None) -> None:
        """Queue a prompt, or another text in its place; an opening only once."""
        if kind not in OPENINGS or all(prompt.kind is not kind for prompt in self._waiting):
            self._waiting.append(_Prompt(kind, text or ""))

    @property
    def waiting(self) -> bool:
        """Whether prompts are queued."""
        return bool(self._waiting)

    @property
    def dictated(self) -> int:
        """The number of dictated texts in the queue."""
        return sum([prompt.kind is PromptKind.DICTATED for prompt in self._waiting])

    def clear(self) -> None:
        """Clear the queue."""
        self._waiting.clear()

    def begin(self) -> str:
        """Begin the next prompt; return the model's instructions."""
        self._latest = self._waiting.popleft()
        self.saying = self._latest.kind
        return instruction(self._latest.kind, self._latest.text or None)

    def put_back(self) -> None:
        """Queue the latest prompt again: its session was lost."""
        self._waiting.appendleft(self._latest)
        self.saying = None

    def retry(self) -> bool:
        """Queue the latest prompt again if it must be heard, since nothing of it was; return whether it is queued."""
        latest = self._latest
        if latest.kind not in _RETRIED or latest.failed + 1 >= DICTATIONS:
            return False
        if latest not in self._waiting:
            self._waiting.appendleft(_Prompt(latest.kind, latest.text, latest.failed + 1))
        return True


class ResponseProgress:
    """The amount and age of what has arrived of the latest response."""

    __slots__ = ("_alive_ms", "_chars", "_patience_ms", "audio_bytes")

    def __init__(self, patience_ms: int) -> None:
        self._patience_ms = patience_ms
        self.restart(0.0)

    def restart(self, now_ms: float) -> None:
        self._alive_ms = now_ms  # of its last event
        self.audio_bytes = self._chars = 0

    def count(self, now_ms: float, *, audio_bytes: int = 0, chars: int = 0) -> bool:
        """Count what came with an event of a response; return False once the response is longer than allowed."""
        self._alive_ms = now_ms
        self.audio_bytes += audio_bytes
        self._chars += chars
        return self.audio_bytes <= MAX_ANSWER_AUDIO_BYTES and self._chars <= MAX_TEXT_CHARS

    def stalled(self, now_ms: float) -> bool:
        return now_ms - self._alive_ms >= self._patience_ms


class Replies(SpeechRequests):
    """The requests for speech of one call."""

    __slots__ = (
        "_before",
        "_cancelled",
        "_closed",
        "_emit",
        "_session",
        "_voice",
        "progress",
        "prompts",
        "responses",
        "turn_gate",
    )

    def __init__(self, answer_ms: int, session: TurnSession, voice: Voice, turn_gate: TurnGate, emit: Emit) -> None:
        self.turn_gate = turn_gate
        self.responses = ResponseSchedule()
        self.prompts = PromptQueue()
        self.progress = ResponseProgress(answer_ms)
        self._closed = False
        self._session, self._voice, self._emit = session, voice, emit
        # Sent to the model before the next response: that it continues something.
        self._before: str | None = None
        self._cancelled: set[str | None] = set()  # None: a response without an id yet

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = self.turn_gate.ignored = True

    def clear(self) -> None:
        self.prompts.clear()

    @property
    def prompted(self) -> bool:
        return self.prompts.waiting

    @property
    def dictated(self) -> int:
        return self.prompts.dictated

    def say(self, kind: PromptKind, text: str | None) -> None:
        self.prompts.add(kind, text)

    def owe_response(self) -> None:
        self.responses.owe_response()

    def owe_answer(self) -> None:
        self.responses.owe_response()

    @property
    def pending(self) -> bool:
        return self._session.ready and (self.responses.active or self.prompts.waiting)

    @property
    def awaited(self) -> bool:
        """Whether a response may still come, and none of it has been said yet."""
        prompts = self.prompts
        if not self._session.ready or self._closed or prompts.waiting or prompts.saying is not None:
            return False
        return not self._voice.answering

    def speak(self, kinds: Iterable[PromptKind]) -> None:
        for kind in kinds:
            if self.prompts.waiting or not self._voice.play(kind):
                self.prompts.add(kind, self._voice.prompts.text(kind))

    def continue_with(self, note: str = BROKE_OFF) -> None:
        self._before = note
        self.responses.owe_response()

    def proceed(self, now_ms: float, *, catching_up: bool = False) -> None:
        """Create the response that is due, if any.

        None while the caller speaks, and only prompts while the model is `catching_up` with the caller.
        """
        responses, prompts, voice = self.responses, self.prompts, self._voice
        if not self._session.ready or responses.active or self.turn_gate.speaks(now_ms):
            return
        self.progress.restart(now_ms)
        self._cancelled.discard(None)
        if prompts.waiting and not voice.playout.audible(now_ms) and (event_id := responses.begin()):
            self._session.send(RequestResponse(event_id, prompts.begin()))
        elif self._closed or catching_up or not responses.owed:
            return
        elif event_id := responses.create(voice.speaks(now_ms)):
            prompts.saying = None
            if self._before is not None:
                self._session.add_message("system", self._before)
                self._before = None
            self._session.send(RequestResponse(event_id))
            self._emit(Stamp(Moment.REQUESTED))

    def cancel(self) -> str | None:
        """Cancel the active response, as the caller took the floor; return its id, if it is known."""
        self._before = None
        if not self.responses.active:
            return None
        response_id = self.responses.response_id
        self._cancelled.add(response_id)
        if not self.progress.audio_bytes:
            if self.prompts.saying is None:
                self.responses.owe_response()
            else:
                self.prompts.retry()
        self._session.send(CancelResponse(response_id))
        return response_id

    def cancelled(self, response_id: str) -> bool:
        """Return whether this response was cancelled."""
        return response_id in self._cancelled

    # Life cycle of a response.

    def stalled(self, now_ms: float) -> bool:
        """Return whether the active response has had no event for too long, whatever the caller does."""
        return self.responses.active and self.progress.stalled(now_ms)

    def created(self, response_id: str) -> None:
        self.responses.response_created(response_id)
        if None in self._cancelled:
            self._cancelled.remove(None)
            self._cancelled.add(response_id)

    def done(self, response: ResponseEnded) -> bool:
        """End a response; return whether it was a complete spoken one."""
        complete = response.how == "complete" and self.prompts.saying is None and self.progress.audio_bytes > 0
        failed, retried = response.how == "failed", False
        if response.response_id == self.responses.response_id:
            self._voice.close_all()
            if failed and not self.progress.audio_bytes:
                retried = self._retry_prompt()
            elif failed and self.prompts.saying is None and response.response_id not in self._cancelled:
                self._before = BROKE_OFF
            self.prompts.saying = None
        self._cancelled.discard(response.response_id)
        self.responses.response_done(response.response_id, failed=failed, retried=retried)
        return complete

    def refused(self, event_id: str | None) -> None:
        """Retry the latest response if it is what the server refused."""
        was_active, is_prompt = self.responses.active, self.prompts.saying is not None
        self.responses.refused(event_id, retried=is_prompt)
        if was_active and not self.responses.active and is_prompt:
            if not self._retry_prompt():
                self.responses.owe_response()
            self.prompts.saying = None

    def _retry_prompt(self) -> bool:
        """Queue the prompt that the model was to say again; return whether no response takes its place."""
        saying = self.prompts.saying
        return saying is not None and (self.prompts.retry() or saying is PromptKind.DICTATED)

    def session_opened(self) -> None:
        self._cancelled.clear()

    def session_lost(self) -> None:
        if self.prompts.saying is None and self.responses.active and self.progress.audio_bytes:
            self._before = BROKE_OFF
        if self.prompts.saying is not None and self.responses.active:
            self.prompts.put_back()
            self.responses.response_done(self.responses.response_id or "")  # a prompt is owed no response
        self.responses.session_lost()
