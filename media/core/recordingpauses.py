"""Recording pauses: while recording is paused, what leaves the call for the record leaves without its contents.

A pause is a span of the call's clock.  Audio in it becomes silence of the same length; the caller's turns that touch
it and the agent's that begin in it lose their words, their deltas are dropped, keys lose their digits and tools
their arguments.  Everything that a call emits passes here, so nothing of it reaches a file, a spool or a live
transcript.  The model gets everything.

    begun by            ends
    a tool              with the tool that resumes, when the caller has heard what the agent said before it
    a phrase            with the agent's first response without one, after the caller has said something
    a key               a while after the last key
    one of the tools    when it has finished
    all of them         after the longest pause
"""

from dataclasses import replace
from typing import Final

from media.core.audio import BYTES_PER_MS, SILENCE_BYTE, to_ms
from media.core.carrierclock import CarrierClock
from media.core.modelmessages import Role
from media.core.plans import PauseRules
from media.core.types import (
    Action,
    Delta,
    Digits,
    Emit,
    Event,
    RecordAgent,
    RecordCaller,
    RecordingPaused,
    Report,
    ToolCalled,
    ToolFinished,
    TurnEnded,
    UnderWay,
    Unrecord,
)

#: In place of words, and of the arguments and results of tools.
NOT_RECORDED: Final = "[not recorded]"
NOT_RECORDED_JSON: Final = '{"not_recorded":true}'
NOTHING_JSON: Final = "{}"
BY_TOOL, BY_PHRASE, BY_KEY, BY_RUN = "tool", "phrase", "keys", "run"
CARRIED_OVER = "carried_over"  # the last stream ended in a pause
_NEVER: Final = float("inf")
#: An unknown end, on the call's clock.
_EVER: Final = 1 << 40


class _Phrases:
    """Detector of phrases in the agent's words, as they come."""

    __slots__ = ("_item_id", "_longest", "_phrases", "_tail")

    def __init__(self, phrases: tuple[str, ...]) -> None:
        self._phrases = tuple(" ".join(phrase.lower().split()) for phrase in phrases if phrase.strip())
        self._longest = max((len(phrase) for phrase in self._phrases), default=0)
        self._item_id = self._tail = ""

    def completed_by(self, item_id: str, words: str) -> bool:
        """Return whether these words complete a phrase."""
        if not self._longest:
            return False
        tail = self._tail if item_id == self._item_id else ""
        self._item_id = item_id
        # White space counts as one space, also where two pieces meet.
        text = " ".join((tail + words.lower()).replace("\n", " ").split(" "))
        while "  " in text:
            text = text.replace("  ", " ")
        is_complete = self.occur_in(text)
        self._tail = "" if is_complete else text[-self._longest :]
        return is_complete

    def occur_in(self, text: str) -> bool:
        """Return whether a phrase is in the text."""
        folded = " ".join(text.lower().split())
        return any(phrase in folded for phrase in self._phrases)


class RecordingPauses:
    """The pauses of one call's recording."""

    __slots__ = (
        "_causes",
        "_emit",
        "_has_answered",
        "_over_ms",
        "_phrases",
        "_rules",
        "_secret",
        "_since_ms",
        "_spans",
        "clock",
    )

    def __init__(self, rules: PauseRules, clock: CarrierClock, emit: Emit) -> None:
        self._rules, self.clock, self._emit = rules, clock, emit
        self._phrases = _Phrases(rules.phrases)
        # On the call's clock; the open pause is not among them.
        self._spans: list[tuple[int, int]] = []
        self._since_ms = -1  # where the open one begins
        # When the pause ends in any case, on the local clock, as the causes' ends are.
        self._over_ms = _NEVER
        self._causes: dict[str, float] = {}
        # The caller has answered since the last phrase.
        self._has_answered = False
        # Tool calls whose results are not for the record; "" stands for the keypad entry.
        self._secret: set[str] = set()

    def follow(self, rules: PauseRules) -> None:
        """Follow another flow's rules from now on; a pause continues."""
        self._rules, self._phrases = rules, _Phrases(rules.phrases)

    @property
    def paused(self) -> bool:
        return self._since_ms >= 0

    # Beginnings and ends of pauses.

    def pause(self, cause: str, now_ms: float, until_ms: float = _NEVER, back_ms: int = 0) -> None:
        """Pause from `back_ms` ago, for this cause, until then; extend a cause that exists."""
        self._causes[cause] = until_ms
        if self.paused:
            return
        last_ms = self._spans[-1][1] if self._spans else 0
        self._since_ms = max(last_ms, self.clock.call_ms(now_ms) - back_ms)
        self._over_ms = now_ms + self._rules.longest_ms
        self._emit(Unrecord(self._since_ms))
        self._emit(Report(RecordingPaused(self._since_ms, None, BY_RUN if cause.startswith(BY_RUN) else cause)))

    def resume(self, now_ms: float, said_ms: float) -> None:
        """Resume at `said_ms`, when the caller has heard what the agent was saying before it asked for this."""
        for cause in self._causes:
            self._causes[cause] = min(self._causes[cause], max(now_ms, said_ms))

    def key(self, now_ms: float) -> None:
        """Pause for a key of the caller's; its tone came with the audio before."""
        if self._rules.on_keys:
            self.pause(BY_KEY, now_ms, now_ms + self._rules.keys_ms, self._rules.tone_ms)
        if self.paused:
            self._secret.add("")

    def entry_finished(self) -> None:
        """End a keypad entry: the next key begins another."""
        self._secret.discard("")

    def agent_words(self, item_id: str, words: str, now_ms: float) -> None:
        """Pause if these words of the agent complete a phrase.  They are not spoken yet."""
        if self._phrases.completed_by(item_id, words):
            self._has_answered = False
            self.pause(BY_PHRASE, now_ms)

    def tool_called(self, tool_call_id: str, name: str, now_ms: float) -> None:
        """Pause for a tool call of the agent's that is not reported yet."""
        if name in self._rules.tools:
            self.pause(BY_RUN + tool_call_id, now_ms)
        if self.paused:
            self._secret.add(tool_call_id)

    def is_secret(self, tool_call_id: str) -> bool:
        """Return whether nothing of this tool call may be kept."""
        return tool_call_id in self._secret

    def tool_finished(self, tool_call_id: str) -> None:
        """End a tool call, after its result was reported."""
        self._secret.discard(tool_call_id)
        if BY_RUN + tool_call_id in self._causes:
            self._causes[BY_RUN + tool_call_id] = 0.0

    def watch(self, now_ms: float) -> None:
        """End the pause once it has no cause, or is too long."""
        if not self.paused:
            return
        if now_ms >= self._over_ms:
            self._causes.clear()
        elif any(now_ms >= until_ms for until_ms in self._causes.values()):
            self._causes = {cause: until_ms for cause, until_ms in self._causes.items() if now_ms < until_ms}
        if not self._causes:
            self._end(self.clock.call_ms(now_ms))

    def _end(self, at_ms: int) -> None:
        start_ms, end_ms = self._since_ms, max(at_ms, self._since_ms)
        self._spans.append((start_ms, end_ms))
        self._since_ms = -1
        self._emit(Report(RecordingPaused(start_ms, end_ms, "")))

    # Outputs of the call.

    def emit(self, action: Action) -> None:
        """Pass on an action without what must not be recorded."""
        if not self._spans and self._since_ms < 0:
            self._emit(action)
        elif isinstance(action, RecordCaller):
            self._emit(RecordCaller(self._silenced(action.payload, action.at_ms), action.at_ms))
        elif isinstance(action, RecordAgent):
            self._emit(RecordAgent(self._silenced(action.payload, action.at_ms), action.at_ms))
        elif isinstance(action, Report):
            event = self._filtered(action.event)
            if event is not None:
                self._emit(Report(event))
        else:
            self._emit(action)

    def _silenced(self, payload: bytes, at_ms: int) -> bytes:
        end_ms = at_ms + to_ms(len(payload))
        if not self._touches(at_ms, end_ms):
            return payload
        audio = bytearray(payload)
        for start_ms, over_ms in self._all():
            first = max(0, start_ms - at_ms) * BYTES_PER_MS
            last = min(len(audio), max(0, over_ms - at_ms) * BYTES_PER_MS)
            if first < last:
                audio[first:last] = SILENCE_BYTE * (last - first)
        return bytes(audio)

    def _all(self) -> list[tuple[int, int]]:
        return [*self._spans, (self._since_ms, _EVER)] if self.paused else self._spans

    def _touches(self, start_ms: int, end_ms: int) -> bool:
        """Return whether any of this span is in a pause.  The latest pauses are compared first."""
        if self._since_ms >= 0 and end_ms > self._since_ms:
            return True
        for first_ms, over_ms in reversed(self._spans):
            if start_ms >= over_ms:
                return False
            if end_ms > first_ms:
                return True
        return False

    def _filtered(self, event: Event) -> Event | None:
        """Return the event without what must not be recorded; None if nothing is left."""
        if isinstance(event, TurnEnded):
            self._end_phrase_pause(event)
            return self._masked(event)
        if isinstance(event, UnderWay):
            return UnderWay(tuple([self._masked(turn, open_ended=True) for turn in event.turns]))
        if isinstance(event, Delta):
            return None if event.text and self._hides_delta(event) else event
        if isinstance(event, Digits):
            return Digits("", event.at_ms) if "" in self._secret else event
        if (
            isinstance(event, ToolCalled)
            and event.tool_call_id in self._secret
            and event.arguments_json != NOTHING_JSON
        ):
            return ToolCalled(event.tool_call_id, event.name, NOT_RECORDED_JSON)
        if isinstance(event, ToolFinished) and (self.paused or event.tool_call_id in self._secret):
            output_json = event.output_json if event.output_json == NOTHING_JSON else NOT_RECORDED_JSON
            return ToolFinished(event.tool_call_id, output_json, event.status)
        return event

    def _masked(self, turn: TurnEnded, *, open_ended: bool = False) -> TurnEnded:
        if not turn.text or not self._hides_turn(turn.role, turn.start_ms, turn.end_ms, open_ended=open_ended):
            return turn
        return replace(turn, text=NOT_RECORDED, heard_text=NOT_RECORDED if turn.heard_text else "")

    def _hides_turn(self, role: Role, start_ms: int, end_ms: int, *, open_ended: bool) -> bool:
        # A turn that began before the pause asks for what is not recorded.
        if role == "agent":
            return self._touches(start_ms, start_ms + 1)
        # The end of a turn that is not final is unknown.
        return self._touches(start_ms, _EVER if open_ended else max(start_ms + 1, end_ms))

    def _hides_delta(self, delta: Delta) -> bool:
        if self.paused:
            return True
        # Words come late, and of the caller's utterance only the beginning is known.
        end_ms = delta.start_ms + 1 if delta.role == "agent" else _EVER
        return self._touches(delta.start_ms, end_ms)

    def _end_phrase_pause(self, turn: TurnEnded) -> None:
        """End a phrase's pause if the agent has answered the caller without asking again."""
        if BY_PHRASE not in self._causes or turn.end_ms <= self._since_ms:
            return
        if turn.role == "caller":
            self._has_answered = True
        elif self._has_answered and not self._phrases.occur_in(turn.text):
            self._causes[BY_PHRASE] = 0.0
