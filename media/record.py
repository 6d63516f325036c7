"""One call's output: reports for control, observations for the metrics, a recording."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from hum.clock import now
from hum.recordings import names as recordings_of
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.carried import CarriedRecord
from media.core.tools import CALL_ENDED, error_json
from media.core.types import (
    Answered,
    BargedIn,
    CallEnded,
    Delta,
    Event,
    LatencyMeasured,
    MessageTaken,
    ModelLost,
    RecordAgent,
    RecordCaller,
    ToolFinished,
    UnderWay,
    Unrecord,
)
from media.io.control import ControlLink
from media.recorder import MessageRecorder, Names, Recorder
from media.reports import Reports
from media.tap import Listener, Tap
from media.trace import CallTrace

LOG = log(__name__)


class Record:
    def __init__(self, link: ControlLink, recordings: Path, hold_ms: float, names: Names = recordings_of) -> None:
        self.call_id = ""
        self._organization = ""
        self._link, self._place = link, (recordings, names)
        self._reports = Reports("")
        self._recorder: Recorder | None = None
        self._tap: Tap | None = None  # while somebody listens
        self._hold_ms = hold_ms
        self._message: MessageRecorder | None = None
        self.trace = CallTrace()

    def open(self, session: pb.OpenSessionResponse) -> None:
        """The session is open: it says which call this is."""
        self.call_id, self._organization = session.call_id, session.organization_id
        self._reports = Reports(session.call_id, session.stream_number)
        self.trace.open(session)

    def report(self, event: Event) -> None:
        at = now()
        self.trace.note(event)
        match event:
            case Delta():
                self._link.delta(self._reports.delta(event, at))
            case UnderWay():
                self._link.under_way(self._reports.under_way(event))
            case Answered(id, outcome):
                self._link.answer(id, outcome)
            case BargedIn():
                metrics.CLEAR_SECONDS.observe(event.clear_reaction_ms / 1000)
            case LatencyMeasured():
                metrics.OURS_SECONDS.observe(event.ours_ms / 1000)
                metrics.MODEL_SECONDS.observe(event.model_ms / 1000)
            case ToolFinished(call_id):
                self._link.give_up(self.call_id, call_id)
            case ModelLost(reason):
                metrics.MODEL_LOSSES.labels(reason.partition(" ")[0]).inc()
                LOG.warning("model lost", call=self.call_id, reason=reason)
            case MessageTaken(kept):
                self._store_message(at, kept=kept)
            case CallEnded(reason, detail, at_ms):
                if self._tap is not None:
                    self._tap.finish()
                self._store_recording(at)
                self._store_message(at, kept=True)  # ended by a fault: whoever listens will judge
                metrics.ENDINGS.labels(reason).inc()
                LOG.info("call ended", call=self.call_id, reason=reason, detail=detail, at_ms=at_ms)
            case _:
                pass
        report = self._reports.of(event, at)
        if report is not None:
            self._link.outbox.report(report)

    def end_by_fault(self, detail: str) -> None:
        """The call was ended by a fault, at an unknown position."""
        for call_id in self._reports.running_tools():
            self.report(ToolFinished(call_id, error_json(CALL_ENDED), "failed"))
        self.report(CallEnded("carrier_lost", detail, 0))

    # Listeners.

    def listen(self, listener: Listener) -> None:
        """Send the sound to one more listener."""
        self._tap = self._tap or Tap(self._hold_ms)
        self._tap.listeners.append(listener)

    def unlisten(self, listener: Listener) -> bool:
        """A listener is gone; returns whether there is none any more."""
        if self._tap is None or listener not in self._tap.listeners:
            return False
        self._tap.listeners.remove(listener)
        if self._tap.listeners:
            return False
        self._tap = None
        return True

    # From one process to another.

    def carried(self) -> CarriedRecord | None:
        """None while somebody listens: their stream does not move."""
        if self._tap is not None:
            return None
        trace = self.trace.carried()
        return CarriedRecord(self.call_id, self._organization, self._reports, self._recorder, self._message, trace)

    def resume(self, carried: CarriedRecord) -> None:
        self.call_id, self._organization = carried.call_id, carried.organization
        self._reports, self._recorder, self._message = carried.reports, carried.recorder, carried.message
        self.trace.resume(carried.trace, carried.call_id)

    def let_go(self) -> None:
        """Another process writes the files, and reports."""
        for file in (self._recorder, self._message):
            if file is not None:
                file.let_go()
        self._recorder = self._message = None
        self.trace.end()

    # The recording.

    def start_recording(self, announced: Sequence[RecordAgent]) -> None:
        """`announced`: what was heard before it."""
        root, names = self._place
        self._recorder = Recorder(root, self._organization, self.call_id, names)
        if (path := self._recorder.path) is not None:
            self._link.outbox.report(self._reports.recording_started(path, now()))
        for each in announced:
            self._recorder.agent(each.payload, each.at_ms)

    def start_message(self, start_ms: int) -> bool:
        """The caller's audio from then on is a message; False if it can't be stored."""
        root, names = self._place
        message = MessageRecorder(root, self._organization, self.call_id, start_ms, names)
        if (path := message.path) is None:
            self._link.outbox.report(self._reports.message_stored(message.close(kept=True), now()))  # says why
            return False
        self._message = message
        self._link.outbox.report(self._reports.message_started(path, now()))
        return True

    def sound(self, sound: RecordCaller | RecordAgent | Unrecord) -> None:
        if self._tap is not None and not isinstance(sound, Unrecord):
            self._tap.sound(sound)
        recorder, message = self._recorder, self._message
        if message is not None and isinstance(sound, RecordCaller):
            message.caller(sound.payload, sound.at_ms)
        if recorder is None:
            return
        if isinstance(sound, RecordCaller):
            recorder.caller(sound.payload, sound.at_ms)
        elif isinstance(sound, Unrecord):
            recorder.unrecord(sound.from_ms)
        else:
            recorder.agent(sound.payload, sound.at_ms)

    def _store_recording(self, at: datetime) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self._link.outbox.report(self._reports.recorded(recorder.close(), at))

    def _store_message(self, at: datetime, *, kept: bool) -> None:
        message, self._message = self._message, None
        if message is not None:
            self._link.outbox.report(self._reports.message_stored(message.close(kept=kept), at))
