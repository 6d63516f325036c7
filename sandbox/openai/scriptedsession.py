"""A realtime session of the stand-in: answers by its script, rules and receptionist, with faults.  Pure."""

from typing import Any

from realtime.answer import ModelAnswer
from realtime.conversation import RealtimeItem
from realtime.session import Event, RealtimeSession
from sandbox.openai.settings import Faults
from sandbox.openai.stage import StandInStage

LOST = {"type": "server_error", "code": None, "message": "The audio could not be transcribed.", "param": None}


class ScriptedAnswer(ModelAnswer):
    """An answer whose audio may stall."""

    def __init__(self, faults: Faults, *rest: Any) -> None:
        super().__init__(*rest)
        self._faults = faults

    def _stall_seconds(self, chunk: int) -> float:
        return self._faults.stall_ms / 1000 if chunk == self._faults.stall_after_chunks else 0.0


class ScriptedSession(RealtimeSession):
    """A session with the faults of its stage."""

    def __init__(self, stage: StandInStage, expires_at: int) -> None:
        super().__init__(stage, expires_at)
        self._faults = stage.faults

    def _create_response(self, event: Event) -> None:
        if not self._faults.never_respond:
            super()._create_response(event)

    def _new_answer(self, options: dict[str, Any]) -> ModelAnswer:
        return ScriptedAnswer(self._faults, self._stage, self.config, options, lambda: self._prepare(options))

    def _transcribe(self, item: RealtimeItem, text: str, audio_ms: int) -> None:
        if self._faults.fail_transcription:
            place = {"item_id": item.id, "content_index": 0}
            self._emit("conversation.item.input_audio_transcription.failed", **place, error=LOST)
        elif not self._faults.never_transcribe:
            super()._transcribe(item, text, audio_ms)
