"""One call's output: reports for control, observations for the metrics, a recording."""

from datetime import datetime
from pathlib import Path

from hum.clock import now
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.core.tools import CALL_ENDED, error_json
from media.core.types import (
    BargedIn,
    CallEnded,
    Delta,
    Event,
    LatencyMeasured,
    ModelLost,
    RecordAgent,
    RecordCaller,
    ToolFinished,
    UnderWay,
)
from media.io.control import ControlLink
from media.recorder import Recorder
from media.reports import Reports
from media.trace import CallTrace

LOG = log(__name__)


class Record:
    def __init__(self, link: ControlLink, recordings: Path) -> None:
        self.call_id = ""
        self._organization = ""
        self._link, self._recordings = link, recordings
        self._reports = Reports("")
        self._recorder: Recorder | None = None
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
            case CallEnded(reason, detail, at_ms):
                self._store_recording(at)
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

    # The recording.

    def start_recording(self) -> None:
        self._recorder = Recorder(self._recordings, self._organization, self.call_id)

    def sound(self, sound: RecordCaller | RecordAgent) -> None:
        recorder = self._recorder
        if recorder is None:
            return
        if isinstance(sound, RecordCaller):
            recorder.caller(sound.payload, sound.at_ms)
        else:
            recorder.agent(sound.payload, sound.at_ms)

    def _store_recording(self, at: datetime) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self._link.outbox.report(self._reports.recorded(recorder.close(), at))
