"""A realtime session with a cascade behind it.

Example of a turn, with an eagerness of 600 ms: speech ends at 2.0 s; at 2.24 s its recognition begins; at 2.6 s the turn is over, and
its text is there; the model's first clause comes at 3.0 s, and its sound at 3.1 s.  A tool that the model calls waits until the caller
has been silent for 600 ms.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

from hum.cascades import TurnRules
from realtime.answer import ModelAnswer, Steps
from realtime.audio import Samples
from realtime.codec import Codec
from realtime.conversation import RealtimeItem
from realtime.mind import CallPart, Part, Voiced
from realtime.session import Event, RealtimeSession
from realtime.stage import Stage
from realtime.vad import InputBuffer, SpeechPaused, SpeechStopped
from voice.chatwire import NOT_UNDERSTOOD
from voice.senses import CascadeSenses

#: Silence in a turn after which its recognition begins.
PAUSE_MS = 240
#: A tool waits no longer than this for a caller who speaks and is not taken for one who interrupts.
MOST_HOLD_SECONDS = 4.0
HOLD_STEP_SECONDS = 0.05
LOST = {"type": "server_error", "code": None, "message": "The audio could not be transcribed.", "param": None}


@dataclass(frozen=True, slots=True)
class CascadeRules:
    """How a cascade hears turns and sends speech."""

    eagerness_ms: Mapping[str, int]
    speech_dbfs: float = -45.0
    onset_ms: int = 60
    padded_turns: bool = True
    transcription_delay_ms: float = 0.0
    chunk_ms: int = 60
    speed: float = 4.0
    word_lead_ms: int = 0
    session_limit_s: float = 7_200.0

    @classmethod
    def of(cls, turn: TurnRules) -> "CascadeRules":
        silence = turn.silence_ms
        return cls({"low": silence.low, "medium": silence.medium, "high": silence.high, "auto": silence.medium})


class TurnJudge(Protocol):
    """A detector that tells by more than silence whether a turn is over."""

    def judge(self, codec: Codec, audio: bytes, then: Callable[[bool], None]) -> None:
        """Call `then` once, soon, with whether the turn is over."""


class CascadeAnswer(ModelAnswer):
    """An answer whose tools wait until the caller is truly silent, and whose chunks begin where words do.

    So the client knows of each word where its sound begins, and both sides count the same words as heard.
    """

    def __init__(self, is_silent: Callable[[], bool], *rest: Any) -> None:
        super().__init__(*rest)
        self._is_silent = is_silent

    def _usage(self) -> None:
        """Tell of none: the stages tell theirs."""

    def _carry_out(self, part: Part) -> Steps:
        if isinstance(part, CallPart):
            clock = self._stage.clock
            latest = clock.now + MOST_HOLD_SECONDS
            while not self._is_silent() and clock.now < latest:
                yield self._until(clock.now + HOLD_STEP_SECONDS)
        yield from super()._carry_out(part)

    def _chunks(self, sound: Voiced, codec: Codec) -> list[tuple[int, int]]:
        length, words = len(sound.payload), {round(word.start_ms) * codec.bytes_per_ms for word in sound.words}
        regular = range(0, length, self._stage.rules.chunk_ms * codec.bytes_per_ms)
        return list(pairwise([*sorted({at for at in words if at < length} | set(regular)), length]))


class CascadeSession(RealtimeSession):
    """A session whose senses begin in pauses."""

    def __init__(
        self,
        stage: Stage,
        senses: CascadeSenses,
        turn: TurnRules,
        expires_at: int,
        *,
        is_voice: Callable[[Samples, int], bool] | None,
        judge: TurnJudge | None = None,
    ) -> None:
        self._senses, self._rules, self._is_voice, self._judge = senses, turn, is_voice, judge
        self._pauses = 0
        self._heard_at = stage.clock.now
        super().__init__(stage, expires_at)

    def _new_input(self, codec: Codec) -> InputBuffer:
        return InputBuffer(codec, self._stage.new_id, self._is_voice, PAUSE_MS)

    def _update(self, event: Event) -> None:
        """Ignore the voice: it is the cascade's own."""
        session = event.get("session")
        audio = session.get("audio") if isinstance(session, dict) else None
        if isinstance(audio, dict) and isinstance(audio.get("output"), dict):
            audio["output"].pop("voice", None)
        super()._update(event)
        transcription = self.config["audio"]["input"]["transcription"] or {}
        self._senses.language = transcription.get("language", "")

    def hear(self, payload: bytes) -> None:
        self._heard_at = self._stage.clock.now
        super().hear(payload)

    def speech_paused(self, paused: SpeechPaused) -> None:
        self._pauses += 1
        self._senses.presume(self._input.codec, paused.audio)
        if self._judge is not None:
            self._judge.judge(self._input.codec, paused.audio, partial(self._judged, self._pauses))

    def _judged(self, pause: int, is_over: bool) -> None:
        """End the turn at once, unless the caller has gone on or the clock was faster."""
        detection = self._detection()
        if is_over and pause == self._pauses and detection is not None:
            stopped = self._input.end(detection)
            if stopped is not None:
                self.speech_stopped(stopped)

    def speech_stopped(self, stopped: SpeechStopped) -> None:
        self._pauses += 1
        super().speech_stopped(stopped)

    def _commit(self, event: Event) -> None:
        self._senses.forget()
        super()._commit(event)

    def _understood(self, item: RealtimeItem, audio_ms: int, transcribes: bool, text: str | Exception) -> None:
        """Go on without the words of a turn that could not be recognized."""
        if isinstance(text, Exception):
            place = {"item_id": item.id, "content_index": 0}
            self._emit("conversation.item.input_audio_transcription.failed", **place, error=LOST)
            text, transcribes = NOT_UNDERSTOOD, False
        super()._understood(item, audio_ms, transcribes, text)

    def _transcription_usage(self, audio_ms: int, text: str) -> None:
        """Tell of none: the ears tell theirs."""

    def _new_answer(self, options: dict[str, Any]) -> ModelAnswer:
        return CascadeAnswer(self._is_silent, self._stage, self.config, options, lambda: self._prepare(options))

    def _is_silent(self) -> bool:
        if self._detection() is None:
            return True
        unheard_ms = (self._stage.clock.now - self._heard_at) * 1000
        return self._input.quiet_ms + unheard_ms >= self._rules.tool_ms
