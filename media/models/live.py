"""The wire of OpenAI's Live API: its events and commands in the terms of `modelmessages`.

Only this module and its helper, `livewire`, know this API.
"""

from collections.abc import Mapping
from typing import Final, assert_never
from urllib.parse import urlsplit, urlunsplit

from media.core.modelmessages import (
    AddMessage,
    BeginSession,
    CallerAudio,
    CancelResponse,
    CommandRefused,
    DuplexModel,
    EndSession,
    FunctionResult,
    ItemHeard,
    MalformedEvent,
    ModelCommand,
    ModelEvent,
    ReplaceInstructions,
    RequestResponse,
    SessionBegun,
    SessionOver,
    SessionRejected,
    SessionUsed,
    StreamAudio,
    StreamWords,
    TaskDelegated,
    Tell,
    Unused,
)
from media.models import livewire as live
from media.modelwire import ModelWire

BEGUN, UNUSED, MALFORMED = SessionBegun(), Unused(), MalformedEvent()
_APPENDS: Final[Mapping[str, live.Append]] = {"rule": "instructions", "fact": "thinking", "say": "commentary"}
AZURE: Final = ".azure.com"
#: Errors after which no session of ours will be served.
FATAL: Final = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "invalid_api_key",
        "account_deactivated",
        "billing_hard_limit_reached",
        "forbidden",
    }
)


class LiveWire(ModelWire):
    """The wire of one session with this model."""

    def __init__(self, model: DuplexModel) -> None:
        self._model = model
        # Most of what comes is the same silence over and over.
        self._silent_payload, self._silence = b"", StreamAudio(b"")

    def url(self, base_url: str) -> str:
        parts = urlsplit(base_url)
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/live/sessions", "", ""))

    def headers(self, base_url: str, api_key: str) -> Mapping[str, str]:
        # Azure takes a bearer for a token of its directory, and answers a key in its place with a redirect.
        if (urlsplit(base_url).hostname or "").endswith(AZURE):
            return {"api-key": api_key}
        return {"Authorization": f"Bearer {api_key}"}

    def decode(self, payload: bytes) -> ModelEvent:
        if payload == self._silent_payload:
            return self._silence
        try:
            event = live.decode(payload)
        except live.LiveWireError:
            return MALFORMED
        if isinstance(event, live.LiveAudio):
            sound = StreamAudio(event.delta)
            if not event.delta.strip(b"\xff"):
                self._silent_payload, self._silence = payload, sound
            return sound
        return _translated(event)

    def encode(self, command: ModelCommand) -> bytes:
        if isinstance(command, CallerAudio):  # the most frequent
            return live.audio_append(command.ulaw)
        match command:
            case BeginSession(instructions, _, history):
                return live.session_start(self._model, instructions, history)
            case Tell(how, text, delegation_id):
                return live.text_append(_APPENDS[how], text, delegation_id)
            case EndSession():
                return live.session_close()
            case (
                ReplaceInstructions()
                | AddMessage()
                | RequestResponse()
                | CancelResponse()
                | ItemHeard()
                | FunctionResult()
            ):
                raise TypeError(f"a duplex model takes no {type(command).__name__}")
            case _:
                assert_never(command)


def _translated(event: live.Rarer | live.LiveUnknown) -> ModelEvent:
    """Return what an event that is no audio says."""
    match event:
        case live.LiveAgentWords(text, start_ms, end_ms):
            return StreamWords("agent", text, start_ms, end_ms)
        case live.LiveCallerWords(text, start_ms, end_ms):
            return StreamWords("caller", text, start_ms, end_ms)
        case live.LiveTask(session_ms, delegation):
            return TaskDelegated(delegation.id, session_ms)
        case live.LiveStarted():
            return BEGUN
        case live.LiveUsageUpdated(usage):
            return SessionUsed(round(usage.seconds * 1000))
        case live.LiveClosed(reason, usage):
            return SessionOver(reason, None if usage is None else round(usage.seconds * 1000))
        case live.LiveError(error):
            if error.client_event_id == live.START or {error.type, error.code} & FATAL:
                return SessionRejected(error.message or error.code or "")
            return CommandRefused(error.client_event_id)
        case live.LiveUnknown():
            return UNUSED
        case _:
            assert_never(event)
