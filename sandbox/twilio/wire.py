"""Media Streams messages, both ways.  Pure.

Sequence numbers, chunks and timestamps are strings, as on Twilio's wire; `connected` carries no sequence number.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

CONNECTED = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})


class BadMessage(Exception):  # noqa: N818  (it says what is bad)
    """A message that the carrier cannot parse (31950)."""


@dataclass(frozen=True, slots=True)
class Media:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    name: str


@dataclass(frozen=True, slots=True)
class ClearQueue:
    pass


def read(message: str | bytes, stream_sid: str) -> Media | Mark | ClearQueue:
    """Parse one message from the agent's side.  Raises BadMessage."""
    if isinstance(message, bytes):
        raise BadMessage("binary message")
    try:
        parsed = json.loads(message)
        if parsed["streamSid"] != stream_sid:
            raise BadMessage(f"streamSid is not {stream_sid}")
        match parsed["event"]:
            case "media":
                return Media(base64.b64decode(parsed["media"]["payload"], validate=True))
            case "mark":
                return Mark(str(parsed["mark"]["name"]))
            case "clear":
                return ClearQueue()
            case other:
                raise BadMessage(f"unknown event {other!r}")
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise BadMessage(f"undecodable message: {error!r}") from error


class MessageWriter:
    """Writer of one stream's messages from the carrier, with sequence numbers."""

    def __init__(self, account_sid: str, call_sid: str, stream_sid: str) -> None:
        self._account_sid = account_sid
        self._call_sid = call_sid
        self._stream_sid = stream_sid
        self._sequence = 0
        self._chunk = 0
        self._template = self._media("%d", "%d", "%d", "%b").encode()

    def start(self, parameters: dict[str, str]) -> str:
        facts = {
            "accountSid": self._account_sid,
            "streamSid": self._stream_sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }
        return self._write("start", {"start": facts})

    def media(self, timestamp_ms: float, payload: bytes) -> str:
        return self.encoded_media(timestamp_ms, base64.b64encode(payload)).decode()

    def encoded_media(self, timestamp_ms: float, payload_b64: bytes) -> bytes:
        """Return a media message with audio that is already base64, for senders of thousands per second."""
        self._sequence += 1
        self._chunk += 1
        return self._template % (self._sequence, self._chunk, int(timestamp_ms), payload_b64)

    def dtmf(self, digit: str) -> str:
        return self._write("dtmf", {"dtmf": {"track": "inbound_track", "digit": digit}})

    def mark(self, name: str) -> str:
        return self._write("mark", {"mark": {"name": name}})

    def stop(self) -> str:
        return self._write("stop", {"stop": {"accountSid": self._account_sid, "callSid": self._call_sid}})

    def _write(self, event: str, facts: dict[str, Any]) -> str:
        self._sequence += 1
        return self._message(event, str(self._sequence), facts)

    def _media(self, sequence: str, chunk: str, timestamp: str, payload: str) -> str:
        facts = {"track": "inbound", "chunk": chunk, "timestamp": timestamp, "payload": payload}
        return self._message("media", sequence, {"media": facts})

    def _message(self, event: str, sequence: str, facts: dict[str, Any]) -> str:
        head = {"event": event, "sequenceNumber": sequence, "streamSid": self._stream_sid}
        return json.dumps(head | facts)
