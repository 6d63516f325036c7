"""The state of a call without its sockets, from which another process resumes it (media/handover/)."""

from dataclasses import dataclass
from typing import NamedTuple

from media.core.talk import Talk
from media.io.modelsocket import ModelSocket
from media.leg import Leg
from media.recorder import MessageRecorder, Recorder
from media.reports import Reports


@dataclass(slots=True)
class TraceState:
    """A trace's state: the carrier's call, the stream's start in ns since 1970, the last answer's start in ms of the stream."""

    carrier_call_id: str
    began_ns: int
    answer_ms: int


@dataclass(slots=True)
class RecordState:
    """The state of a call's output; the files themselves move as descriptors."""

    call_id: str
    organization: str
    reports: Reports
    recorder: Recorder | None
    message: MessageRecorder | None
    trace: TraceState

    @property
    def files(self) -> "list[Recorder | MessageRecorder]":
        """The recorders with an open file."""
        return [
            recorder for recorder in (self.recorder, self.message) if recorder is not None and recorder.path is not None
        ]


@dataclass(slots=True)
class CallState:
    """A call's state; `since_ms` and `heard_ms` are on the machine's monotonic clock, as all times in the talk are."""

    talk: Talk
    record: RecordState
    since_ms: float
    heard_ms: float


class MovableCall(NamedTuple):
    """A call that can move, and its sockets."""

    state: CallState
    leg: Leg
    socket: ModelSocket | None
