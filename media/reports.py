"""The reports that control stores, made from a conversation's events.  Pure, except for counters and the running tools."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from media.core.modelmessages import ModelUsed, Role, StageUsed
from media.core.types import (
    AnnouncementPlayed,
    BargedIn,
    CallEnded,
    CallStarted,
    CommandReply,
    Delta,
    Digits,
    Event,
    FlowSwitched,
    Intervened,
    LatencyMeasured,
    MessageTaken,
    ModelLost,
    OnsetsRefused,
    RecordingPaused,
    RefusedOnset,
    ToolCalled,
    ToolFinished,
    TurnEnded,
    UnderWay,
)

MAX_MS = 2**31 - 1
_SPEAKERS: Mapping[Role, "calls_pb2.Speaker.ValueType"] = {
    "caller": calls_pb2.SPEAKER_CALLER,
    "agent": calls_pb2.SPEAKER_AGENT,
}


@dataclass(frozen=True, slots=True)
class Recording:
    """A stored recording; `path` is relative to the recordings' root, and empty if nothing was stored."""

    path: str
    duration_ms: int
    size_bytes: int
    fault: str = ""  # why it is cut short or missing


class Reports:
    """The reports of one stream of a call, numbered from 1 without gaps."""

    def __init__(self, call_id: str, stream_number: int = 1) -> None:
        self.call_id = call_id
        self._stream_number = stream_number
        self._seq = 0
        self._tools: dict[str, tuple[ToolCalled, datetime]] = {}

    def of(self, event: Event, at: datetime) -> pb.Report | None:
        """Return the report of an event that happened at `at`; None for events that control does not store."""
        match event:
            case CallStarted(stream_id):
                return self._numbered(at, started=pb.StreamStarted(stream_sid=stream_id))
            case TurnEnded():
                return self._numbered(at, turn=self._turn(event))
            case BargedIn() | RefusedOnset() | OnsetsRefused():
                return self._numbered(at, **_over_the_agent(event))
            case LatencyMeasured():
                return self._numbered(at, latency=_latency(event))
            case ModelUsed():
                return self._numbered(at, model_used=_used(event))
            case StageUsed(stage, took_ms, used, error):
                request = pb.StageUsed(stage=stage, took_ms=took_ms, used=_used(used), error=error)
                return self._numbered(at, stage_used=request)
            case ToolCalled():
                return self._numbered(at, tool_started=self._tool_started(event, at))
            case ToolFinished():
                return self._numbered(at, tool_finished=self._tool_finished(event, at))
            case AnnouncementPlayed() | Digits() | FlowSwitched() | RecordingPaused() | Intervened():
                return self._numbered(at, **_spot(event, at))
            case Delta() | UnderWay() | ModelLost() | CommandReply() | MessageTaken():
                return None
            case CallEnded(reason, detail, at_ms, untranscribed_ms):
                ended = pb.StreamEnded(
                    reason=reason, at_ms=_ms(at_ms), detail=detail or None, untranscribed_ms=_ms(untranscribed_ms)
                )
                return self._numbered(at, ended=ended)

    def delta(self, delta: Delta, at: datetime) -> pb.CallDelta:
        """Return a transcript delta for live watchers."""
        text = calls_pb2.TranscriptDelta(
            role=_SPEAKERS[delta.role],
            item_id=self._item(delta.item_id),
            text=delta.text,
            start_ms=_ms(delta.start_ms),
        )
        return pb.CallDelta(call_id=self.call_id, at=_stamp(at), delta=text, stream_number=self._stream_number)

    def under_way(self, event: UnderWay) -> pb.CallUnderWay:
        """Return the call's unfinished turns."""
        call = pb.CallUnderWay(call_id=self.call_id, stream_number=self._stream_number)
        for turn in event.turns:
            self._fill(call.turns.add(), turn)  # in place: a message in another's constructor is copied
        return call

    def running_tools(self) -> list[str]:
        """Return the tool call ids that were reported as started and not as finished."""
        return list(self._tools)

    def recording_started(self, path: str, at: datetime) -> pb.Report:
        """Return the report that the recording is being written."""
        return self._numbered(at, recording_started=pb.RecordingStarted(path=path))

    def recorded(self, stored: Recording, at: datetime) -> pb.Report:
        """Return the report of the closed recording."""
        facts = pb.RecordingStored(
            path=stored.path,
            duration_ms=_ms(stored.duration_ms),
            size_bytes=stored.size_bytes,
            fault=stored.fault or None,
        )
        return self._numbered(at, recording=facts)

    def message_started(self, path: str, at: datetime) -> pb.Report:
        """Return the report that the message is being written."""
        return self._numbered(at, message_started=pb.MessageStarted(path=path))

    def message_stored(self, stored: Recording, at: datetime) -> pb.Report:
        """Return the report of the closed message; its path is empty if none was kept."""
        facts = pb.MessageStored(path=stored.path, duration_ms=_ms(stored.duration_ms), fault=stored.fault or None)
        return self._numbered(at, message_stored=facts)

    def _item(self, item_id: str) -> str:
        """Make an item id unique in the whole call: the model's ids are unique only within a session."""
        return f"{self._stream_number}-{item_id}"

    def _turn(self, turn: TurnEnded) -> calls_pb2.Turn:
        filled = calls_pb2.Turn()
        self._fill(filled, turn)
        return filled

    def _fill(self, message: calls_pb2.Turn, turn: TurnEnded) -> None:
        message.seq, message.role, message.text = turn.seq, _SPEAKERS[turn.role], turn.text
        message.start_ms, message.end_ms = _ms(turn.start_ms), _ms(turn.end_ms)
        message.interrupted = turn.interrupted
        if turn.role == "agent":
            message.heard_text = turn.heard_text
        message.item_id = self._item(turn.item_id)

    def _numbered(self, at: datetime, **fact: object) -> pb.Report:
        self._seq += 1
        own = {"call_id": self.call_id, "stream_number": self._stream_number, "seq": self._seq, "at": _stamp(at)}
        return pb.Report(**own, **fact)  # type: ignore[arg-type]  # one of the oneof

    def _tool_started(self, called: ToolCalled, at: datetime) -> calls_pb2.ToolActivity:
        self._tools[called.tool_call_id] = called, at
        return _activity(called, at, "running")

    def _tool_finished(self, finished: ToolFinished, at: datetime) -> calls_pb2.ToolActivity:
        called, began = self._tools.pop(finished.tool_call_id)
        activity = _activity(called, began, finished.status)
        activity.result = _json(finished.output_json)
        activity.duration_ms = _ms((at - began) // timedelta(milliseconds=1))
        return activity


def _activity(called: ToolCalled, began: datetime, status: str) -> calls_pb2.ToolActivity:
    activity = calls_pb2.ToolActivity(
        id=called.tool_call_id, name=called.name, arguments=_json(called.arguments_json), status=status
    )
    activity.started_at.FromDatetime(began)
    return activity


def _over_the_agent(event: BargedIn | RefusedOnset | OnsetsRefused) -> dict[str, object]:
    """Return the report field of a sound over the agent, or of the number of further ones."""
    match event:
        case BargedIn():
            return {"interruption": _interruption(event)}
        case RefusedOnset(at_ms, until_ms, onset, reason):
            refused = calls_pb2.RefusedOnset(at_ms=_ms(at_ms), until_ms=_ms(until_ms), onset=onset, reason=reason)
            return {"refused_onset": refused}
        case OnsetsRefused(more):
            return {"onsets_refused": pb.OnsetsRefused(more=more)}


def _interruption(overlap: BargedIn) -> calls_pb2.Interruption:
    return calls_pb2.Interruption(
        at_ms=_ms(overlap.at_ms),
        heard_ms=_ms(overlap.heard_ms),
        reaction_ms=_ms(overlap.clear_reaction_ms),
        verdict=overlap.verdict,
        turn_seq=overlap.turn_seq,
        onset=overlap.onset,
        reason=overlap.reason,
        decided_ms=_ms(overlap.decided_ms),
        spoken_ms=_ms(overlap.spoken_ms),
    )


def _intervention(event: Intervened, at: datetime) -> calls_pb2.Intervention:
    return calls_pb2.Intervention(
        id=event.id, kind=event.kind, text=event.text, by=event.by, at=_stamp(at), at_ms=_ms(event.at_ms)
    )


def _latency(measured: LatencyMeasured) -> calls_pb2.TurnLatency:
    return calls_pb2.TurnLatency(
        turn_seq=measured.turn_seq,
        first_sound_ms=_ms(measured.first_sound_ms),
        first_answer_ms=_ms(measured.total_ms),
        ours_ms=_ms(measured.ours_ms),
        model_ms=_ms(measured.model_ms),
    )


def _used(used: ModelUsed) -> pb.ModelUsed:
    return pb.ModelUsed(
        model=used.model,
        audio_tokens_in=used.audio_in,
        text_tokens_in=used.text_in,
        cached_audio_tokens_in=used.cached_audio_in,
        cached_text_tokens_in=used.cached_text_in,
        audio_tokens_out=used.audio_out,
        text_tokens_out=used.text_out,
        transcription_ms=used.transcribed_ms,
        session_ms=used.session_ms,
        speech_ms=used.spoken_ms,
    )


def _spot(
    event: AnnouncementPlayed | Digits | FlowSwitched | RecordingPaused | Intervened, at: datetime
) -> dict[str, object]:
    """Return the report field of an event at a position in the call."""
    match event:
        case AnnouncementPlayed(at_ms):
            return {"announcement_played": pb.AnnouncementPlayed(at_ms=_ms(at_ms))}
        case Intervened():
            return {"intervention": _intervention(event, at)}
        case Digits(digits, at_ms):
            return {"digits": pb.DigitsPressed(digits=digits, at_ms=_ms(at_ms))}
        case FlowSwitched(flow_id, version, at_ms, model):
            took_over = pb.FlowTookOver(flow_id=flow_id, flow_version=version, at_ms=_ms(at_ms), model=model)
            return {"flow_took_over": took_over}
        case RecordingPaused(start_ms, end_ms, cause):
            over_ms = None if end_ms is None else _ms(end_ms)
            return {"recording_pause": calls_pb2.RecordingPause(start_ms=_ms(start_ms), end_ms=over_ms, cause=cause)}


def _stamp(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def _ms(value: int) -> int:
    """Clamp to the 31 bits of a report's field: the carrier's timestamps are not under our control."""
    return max(0, min(value, MAX_MS))


def _json(text: str) -> str:
    """Return the text itself if it is valid JSON, else as a JSON string: the model's JSON may be malformed."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return msgspec.json.encode(text).decode()
    return text
