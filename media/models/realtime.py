"""The wire of OpenAI's Realtime API, and of servers that speak it: its events and commands in the terms of `modelmessages`.

Only this module and its two helpers, `realtimewire` and `realtimeusage`, know this API.
"""

from collections.abc import Mapping
from typing import Final, Literal, assert_never
from urllib.parse import quote, urlsplit, urlunsplit

from hum import cascades
from media.core.modelmessages import (
    AddMessage,
    AgentAudio,
    AgentText,
    AgentWords,
    BeginSession,
    CallerAudio,
    CallerBegan,
    CallerPaused,
    CallerText,
    CallerWords,
    CancelResponse,
    CommandRefused,
    EndSession,
    FunctionCalled,
    FunctionNamed,
    FunctionResult,
    ItemBegan,
    ItemEnded,
    ItemHeard,
    MalformedEvent,
    ModelCommand,
    ModelEvent,
    ReplaceInstructions,
    RequestResponse,
    ResponseBegan,
    ResponseEnded,
    ResponseGoesOn,
    SessionBegun,
    SessionRejected,
    StageUsed,
    Tell,
    TurnCommitted,
    TurnModel,
    Unused,
)
from media.models import realtimeusage as usage
from media.models import realtimewire as rt
from media.modelwire import ModelWire

BEGUN, GOES_ON, UNUSED = SessionBegun(), ResponseGoesOn(), Unused()
MALFORMED = MalformedEvent()
_ENDS: Final[Mapping[str, Literal["complete", "failed"]]] = {"completed": "complete", "failed": "failed"}


class RealtimeWire(ModelWire):
    """The wire of one session with this model."""

    def __init__(self, model: TurnModel) -> None:
        self._model = model

    @property
    def is_cascade(self) -> bool:
        return cascades.name_of(self._model.name) is not None

    def url(self, base_url: str) -> str:
        parts = urlsplit(base_url)
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        path = f"{parts.path.rstrip('/')}/realtime"
        return urlunsplit((scheme, parts.netloc, path, f"model={quote(self._model.name, safe='')}", ""))

    def headers(self, base_url: str, api_key: str) -> Mapping[str, str]:  # noqa: ARG002
        return {"Authorization": f"Bearer {api_key}"}

    # What the server says.

    def decode(self, payload: bytes) -> ModelEvent:
        try:
            event = rt.decode(payload)
        except rt.WireError:
            return MALFORMED
        if isinstance(event, rt.AudioDelta):  # the most frequent
            return AgentAudio(event.response_id, event.item_id, event.delta)
        match event:
            case rt.TranscriptDelta(item_id, text):
                return AgentWords(item_id, text)
            case rt.TranscriptDone(item_id, text):
                return AgentText(item_id, text)
            case rt.InputTranscriptDelta(item_id, text):
                return CallerWords(item_id, text)
            case rt.InputTranscriptCompleted(item_id, text):
                return CallerText(item_id, text, usage.of_transcription(self._model.transcription, event.usage))
            case rt.InputTranscriptFailed(item_id):
                return CallerText(item_id, failed=True)
            case rt.SpeechStarted(item_id, session_ms):
                return CallerBegan(item_id, session_ms)
            case rt.SpeechStopped(item_id, session_ms):
                return CallerPaused(item_id, session_ms)
            case rt.Committed(item_id):
                return TurnCommitted(item_id)
            case rt.Unknown(kind):
                return GOES_ON if kind.startswith("response.") else UNUSED
            case _:
                return self._rarer(event)

    def _rarer(
        self,
        event: rt.SessionCreated
        | rt.SessionUpdated
        | rt.ResponseCreated
        | rt.ResponseDone
        | rt.OutputItemAdded
        | rt.OutputItemDone
        | rt.FunctionArgumentsDone
        | rt.StageRequest
        | rt.Error,
    ) -> ModelEvent:
        match event:
            case rt.SessionCreated() | rt.SessionUpdated():
                return BEGUN
            case rt.ResponseCreated(response):
                return ResponseBegan(response.id)
            case rt.ResponseDone(response):
                used = usage.of_response(self._model.name, response.usage)
                return ResponseEnded(response.id, _ENDS.get(response.status, "broken"), used)
            case rt.OutputItemAdded(response_id, item):
                if item.type == "function_call":
                    return FunctionNamed(item.id, item.name)
                return ItemBegan(response_id, item.id) if item.type == "message" else GOES_ON
            case rt.OutputItemDone(item):
                return ItemEnded(item.id)
            case rt.FunctionArgumentsDone():
                return FunctionCalled(event.response_id, event.item_id, event.call_id, event.arguments, event.name)
            case rt.StageRequest():
                return StageUsed(event.stage, event.took_ms, usage.of_stage(event), event.error)
            case rt.Error(error):
                if error.event_id == rt.SESSION_UPDATE:
                    return SessionRejected(error.message or "")
                return CommandRefused(error.event_id)
            case _:
                assert_never(event)

    # What it is told.

    def encode(self, command: ModelCommand) -> bytes:
        if isinstance(command, CallerAudio):  # the most frequent
            return rt.append(command.ulaw)
        match command:
            case BeginSession(instructions, tools):
                return rt.session_update(self._model, instructions, tools)
            case ReplaceInstructions(instructions):
                return rt.instructions_update(instructions)
            case AddMessage(author, text, after):
                return rt.message_create(author, text, after)
            case RequestResponse(request_id, instructions):
                return rt.response_create(request_id, instructions)
            case CancelResponse(response_id):
                return rt.response_cancel(response_id)
            case ItemHeard(item_id, heard_ms):
                # The server refuses 0 ms, and anything beyond the item's length.
                return rt.item_truncate(item_id, heard_ms) if heard_ms else rt.item_delete(item_id)
            case FunctionResult(tool_call_id, output_json):
                return rt.function_output(tool_call_id, output_json)
            case Tell() | EndSession():
                raise TypeError(f"a model that takes turns takes no {type(command).__name__}")
            case _:
                assert_never(command)
