"""One call's output: reports for control, observations for the metrics, a recording."""

import asyncio
from collections.abc import Callable, Sequence
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
from media.io.filework import FileWork
from media.recorder import MessageRecorder, Names, Recorder
from media.reports import Recording, Reports
from media.tap import Listener, Tap
from media.trace import CallTrace

LOG = log(__name__)
#: The end of a call is told no later for files that a hanging disk does not close; theirs is told when they are closed.
CLOSING_SECONDS = 2.0
#: For which a call that moves to another process waits until its files are written.
SETTLE_SECONDS = 0.02


class Record:
    def __init__(
        self, link: ControlLink, recordings: Path, files: FileWork, hold_ms: float, names: Names = recordings_of
    ) -> None:
        self.call_id = ""
        self._organization = ""
        self._link, self._place, self._files = link, (recordings, names), files
        self._reports = Reports("")
        self._recorder: Recorder | None = None
        self._tap: Tap | None = None  # while somebody listens
        self._hold_ms = hold_ms
        self._message: MessageRecorder | None = None
        self._closing = 0  # files that are not closed yet
        self._end: tuple[CallEnded, datetime] | None = None  # is reported once they are, or the disk takes too long
        self._when_ended: list[Callable[[], None]] = []
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
            case CallEnded():
                self._ended(event, at)
                return
            case _:
                pass
        report = self._reports.of(event, at)
        if report is not None:
            self._link.outbox.report(report)

    def _ended(self, event: CallEnded, at: datetime) -> None:
        if self._tap is not None:
            self._tap.finish()
        self._store_recording(at)
        self._store_message(at, kept=True)  # ended by a fault: whoever listens will judge
        metrics.ENDINGS.labels(event.reason).inc()
        LOG.info("call ended", call=self.call_id, reason=event.reason, detail=event.detail, at_ms=event.at_ms)
        self._end = event, at
        if self._closing:
            asyncio.get_running_loop().call_later(CLOSING_SECONDS, self._report_end)
        else:
            self._report_end()

    def when_ended(self, then: Callable[[], None]) -> None:
        """Call `then` once all is reported that is to come before the call's end, and that; at once if there is no end."""
        if self._end is None:
            then()
        else:
            self._when_ended.append(then)

    def _report_end(self) -> None:
        end, self._end = self._end, None
        if end is None:
            return
        report = self._reports.of(*end)
        if report is not None:
            self._link.outbox.report(report)
        told, self._when_ended = self._when_ended, []
        for then in told:
            then()

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
        """None while somebody listens, whose stream does not move; or while the disk hangs."""
        if self._tap is not None or self._closing or not self._files.settle(SETTLE_SECONDS):
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

        def opened(path: str | None) -> None:
            if path is not None:
                self._link.outbox.report(self._reports.recording_started(path, now()))

        self._recorder = Recorder(root, self._organization, self.call_id, names, self._files, opened)
        for each in announced:
            self._recorder.agent(each.payload, each.at_ms)

    def start_message(self, start_ms: int, failed: Callable[[], None]) -> None:
        """The caller's audio from then on is a message; `failed` is called if it can't be stored."""
        root, names = self._place

        def opened(path: str | None) -> None:
            if path is not None:
                self._link.outbox.report(self._reports.message_started(path, now()))
            else:
                self._store_message(now(), kept=True)  # says why
                failed()

        self._message = MessageRecorder(root, self._organization, self.call_id, start_ms, names, self._files, opened)

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

            def closed(stored: Recording) -> None:
                self._closed(self._reports.recorded(stored, at))

            self._closing += 1
            recorder.close(closed)

    def _store_message(self, at: datetime, *, kept: bool) -> None:
        message, self._message = self._message, None
        if message is not None:

            def closed(stored: Recording) -> None:
                self._closed(self._reports.message_stored(stored, at))

            self._closing += 1
            message.close(closed, kept=kept)

    def _closed(self, report: pb.Report) -> None:
        self._link.outbox.report(report)
        self._closing -= 1
        if not self._closing:
            self._report_end()
