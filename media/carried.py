"""What a call is without its sockets: what another process needs to go on with it (media/takeover/)."""

from dataclasses import dataclass
from typing import NamedTuple

from media.core.talk import Talk
from media.io.openai import ModelSocket
from media.leg import Leg
from media.recorder import MessageRecorder, Recorder
from media.reports import Reports


@dataclass(slots=True)
class CarriedTrace:
    """The call of the carrier's, where the stream began, in ns since 1970, and where the last answer began, in ms of the stream."""

    carrier_call_id: str
    began_ns: int
    answer_ms: int


@dataclass(slots=True)
class CarriedRecord:
    """The files themselves travel as descriptors."""

    call_id: str
    organization: str
    reports: Reports
    recorder: Recorder | None
    message: MessageRecorder | None
    trace: CarriedTrace

    @property
    def files(self) -> "list[Recorder | MessageRecorder]":
        """Those that are being written."""
        return [each for each in (self.recorder, self.message) if each is not None and each.path is not None]


@dataclass(slots=True)
class Carried:
    """`since_ms` and `heard_ms` are on the machine's monotonic clock, as all times in the talk are."""

    talk: Talk
    record: CarriedRecord
    since_ms: float
    heard_ms: float


class Leaving(NamedTuple):
    """A call that can leave, and the sockets that it leaves with."""

    carried: Carried
    leg: Leg
    socket: ModelSocket | None
