"""The wire of the Live API, both ways; what HUM sends in calls is held against the published types in their tests."""

import base64
import json
from typing import Any

import pytest

from media.core.modelmessages import (
    BeginSession,
    CallerAudio,
    CommandRefused,
    DuplexModel,
    EndSession,
    ItemHeard,
    MalformedEvent,
    ModelCommand,
    ModelEvent,
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
from media.models.live import LiveWire
from tests.sandbox.openai.live.room import CLIENT, conforms

WIRE = LiveWire(DuplexModel("gpt-live-1.1", "marin"))


def event(type: str, **fields: Any) -> bytes:
    return json.dumps({"type": f"session.{type}", "event_id": "e", **fields}).encode()


def error(**body: Any) -> bytes:
    return json.dumps({"type": "error", "error": {"type": "invalid_request_error", **body}}).encode()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (event("started", session={"id": "s", "expires_at": 9}), SessionBegun()),
        (event("output_audio.delta", delta=base64.b64encode(b"\x01\x02").decode()), StreamAudio(b"\x01\x02")),
        (event("output_transcript.delta", delta=" a", start_ms=0, end_ms=200), StreamWords("agent", " a", 0, 200)),
        (event("input_transcript.delta", delta=" b", start_ms=200, end_ms=400), StreamWords("caller", " b", 200, 400)),
        (event("delegation.created", offset_ms=7, delegation={"id": "d", "target": "client"}), TaskDelegated("d", 7)),
        (event("usage.updated", usage={"seconds": 1.5}), SessionUsed(1_500)),
        (event("closed", reason="expired", usage={"seconds": 2}), SessionOver("expired", 2_000)),
        (event("closed", reason="content"), SessionOver("content")),
        (event("input_audio.muted"), Unused()),
        (error(client_event_id="start", message="No such voice."), SessionRejected("No such voice.")),
        (error(code="insufficient_quota", message="Pay first."), SessionRejected("Pay first.")),
        (error(client_event_id="x", code="invalid_value"), CommandRefused("x")),
        (event("output_audio.delta", delta="not base64!"), MalformedEvent()),
        (event("output_transcript.delta", delta=" a", start_ms=-1, end_ms=0), MalformedEvent()),
        (event("usage.updated", usage={"seconds": 1e300}), MalformedEvent()),
        (event("delegation.created", offset_ms=7, delegation={"id": "d" * 201}), MalformedEvent()),
        (b"[]", MalformedEvent()),
        (b"\xff", MalformedEvent()),
        (b'{"type":' * 5_000, MalformedEvent()),
    ],
)
def test_what_the_server_says(payload: bytes, expected: ModelEvent) -> None:
    assert WIRE.decode(payload) == expected


def test_the_same_silence_is_read_once() -> None:
    wire, silent = (
        LiveWire(DuplexModel("m", "v")),
        event("output_audio.delta", delta=base64.b64encode(b"\xff" * 800).decode()),
    )
    assert wire.decode(silent) == StreamAudio(b"\xff" * 800)
    assert wire.decode(silent) is wire.decode(bytes(silent))
    assert wire.decode(event("output_audio.delta", delta="AQI=")) == StreamAudio(b"\x01\x02")


@pytest.mark.parametrize(
    ("command", "type"),
    [
        (BeginSession("Be kind.", history=(("caller", "a"), ("agent", "b"), ("system", "c"))), "session.start"),
        (CallerAudio(b"\xff"), "session.input_audio.append"),
        (Tell("rule", "a"), "session.instructions.append"),
        (Tell("fact", "a"), "session.thinking.append"),
        (Tell("say", "a", "d"), "session.commentary.append"),
        (EndSession(), "session.close"),
    ],
)
def test_what_it_is_told(command: ModelCommand, type: str) -> None:
    sent = json.loads(WIRE.encode(command))
    assert sent["type"] == type and conforms(sent, CLIENT)


def test_a_command_for_a_model_that_takes_turns_is_none_for_this_one() -> None:
    with pytest.raises(TypeError, match="takes no ItemHeard"):
        WIRE.encode(ItemHeard("i", 0))


def test_the_socket_is_beside_the_api() -> None:
    assert WIRE.url("https://api.openai.com/v1") == "wss://api.openai.com/v1/live/sessions"
    assert WIRE.headers("https://api.openai.com/v1", "k") == {"Authorization": "Bearer k"}


def test_a_deployment_at_azure_gets_its_key_as_a_key() -> None:
    azure = "https://clinic.openai.azure.com/openai/v1"
    assert WIRE.url(azure) == "wss://clinic.openai.azure.com/openai/v1/live/sessions"
    assert WIRE.headers(azure, "k") == {"api-key": "k"}
    for other in ("https://azure.com.evil.example/v1", "https://notazure.com/v1"):
        assert WIRE.headers(other, "k") == {"Authorization": "Bearer k"}
