"""The ground truth of a call: for assertions in process, as JSON, and as a WAV to listen to."""

import base64
from dataclasses import asdict
from typing import Any, Protocol

from sandbox import audio
from sandbox.twilio.heardaudio import HeardAudio
from sandbox.twilio.stream import Stream
from sandbox.twilio.twiml import Verb
from sandbox.twilio.webhooks import Webhook


class CallRecord(Protocol):
    """The part of a call that `Truth` reads."""

    @property
    def sid(self) -> str: ...
    @property
    def parent_sid(self) -> str | None: ...
    @property
    def direction(self) -> str: ...
    @property
    def from_(self) -> str: ...
    @property
    def to(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def duration_s(self) -> int: ...
    @property
    def hung_up_by(self) -> str | None: ...
    @property
    def sentences(self) -> list[str]: ...
    @property
    def verbs(self) -> list[Verb]: ...
    @property
    def errors(self) -> list[tuple[int, str]]: ...
    @property
    def webhooks(self) -> list[Webhook]: ...
    @property
    def late_frames(self) -> int: ...
    @property
    def worst_lateness_ms(self) -> float: ...
    @property
    def streams(self) -> list[Stream]: ...
    @property
    def heard_audio(self) -> HeardAudio: ...
    @property
    def began(self) -> float: ...
    @property
    def answered_by(self) -> str | None: ...


def _b64(payload: bytes | bytearray) -> str:
    return base64.b64encode(payload).decode()


class Truth:
    """A view of the call's record; times are ms on the clock of their stream."""

    def __init__(self, call: CallRecord) -> None:
        self._call = call

    def as_json(self) -> dict[str, Any]:
        """Return the call, and under `streams` one object per Media Stream, oldest first."""
        call = self._call
        return {
            "call_sid": call.sid,
            "parent_call_sid": call.parent_sid,
            "direction": call.direction,
            "from": call.from_,
            "to": call.to,
            "status": call.status,
            "duration_s": call.duration_s,
            "hung_up_by": call.hung_up_by,
            "answered_by": call.answered_by,
            "said": call.sentences,
            "verbs": [{"verb": verb.name, "attributes": verb.attributes, "text": verb.text} for verb in call.verbs],
            "errors": [{"code": code, "message": message} for code, message in call.errors],
            "webhooks": [webhook.as_json() for webhook in call.webhooks],
            "late_frames": call.late_frames,
            "worst_lateness_ms": call.worst_lateness_ms,
            "streams": [stream_truth(stream) for stream in call.streams],
            "heard": self.heard(),
        }

    def heard(self) -> list[dict[str, Any]]:
        """Return what the party heard, in order: `ringing`, `say`, `play`, `stream`, `bridge` or `silence`, in ms of the call."""
        began = self._call.began
        return [
            {
                "what": span.what,
                "from_ms": round((span.start - began) * 1000),
                "to_ms": None if span.end is None else round((span.end - began) * 1000),
            }
            for span in self._call.heard_audio.spans
        ]

    def heard_wav(self) -> bytes:
        """Return a WAV of the party's audio outside streams on the right channel, from the beginning of the call on."""
        began = self._call.began
        pieces = [
            ((span.start - began) * 1000, bytes(span.audio)) for span in self._call.heard_audio.spans if span.audio
        ]
        end_ms = max((at_ms + len(payload) / audio.BYTES_PER_MS for at_ms, payload in pieces), default=0.0)
        return audio.two_channel_wav(b"", audio.lay(pieces, end_ms))

    def wav(self) -> bytes:
        """Return a WAV with the caller on the left and the agent's heard audio on the right, from the first stream on."""
        began = [streamed.started_at for streamed in self._call.streams if streamed.started_at is not None]
        left: list[tuple[float, bytes]] = []
        right: list[tuple[float, bytes]] = []
        end_ms = 0.0
        for stream in self._call.streams:
            if stream.started_at is None:
                continue
            offset_ms = (stream.started_at - began[0]) * 1000
            left.append((offset_ms + max(0.0, stream.spoken.start_ms), bytes(stream.spoken.track)))
            right += [(offset_ms + segment.start_ms, bytes(segment.payload)) for segment in stream.playout.segments]
            end_ms = offset_ms + (stream.clock_ms() if stream.ended_ms is None else stream.ended_ms)
        return audio.two_channel_wav(audio.lay(left, end_ms), audio.lay(right, end_ms))


def stream_truth(stream: Stream) -> dict[str, Any]:
    playout, spoken = stream.playout, stream.spoken
    return {
        "stream_sid": stream.sid,
        "url": stream.url,
        "parameters": stream.parameters,
        "started_monotonic": stream.started_at,
        "ended_ms": stream.ended_ms,
        "closed_by": stream.closed_by,
        "segments": [
            {
                "start_ms": segment.start_ms,
                "end_ms": segment.end_ms,
                "offset_bytes": segment.offset_bytes,
                "payload": _b64(segment.payload),
            }
            for segment in playout.segments
        ],
        "clears": [asdict(clear) for clear in playout.clears],
        "marks": [asdict(echo) for echo in playout.echoes],
        "gaps": [asdict(gap) for gap in playout.gaps()],
        "received_bytes": playout.received_bytes,
        "played_bytes": playout.played_bytes,
        "unplayed_bytes": playout.queued_bytes,
        "caller": {
            "start_ms": spoken.start_ms,
            "payload": _b64(spoken.track),
            "spans": [asdict(span) for span in spoken.spans],
            "digits": [{"at_ms": at_ms, "digit": digit} for at_ms, digit in spoken.digits],
            "dropped_frames": spoken.dropped_frames,
        },
        "errors": [{"code": code, "message": message} for code, message in stream.errors],
        "invalid_messages": stream.invalid_messages,
    }
