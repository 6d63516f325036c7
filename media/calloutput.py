"""One call's output: reports for control, observations for the metrics, the recording, and sound for listeners."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from hum.clock import now
from hum.observe.logs import log
from hum.recordings import names as recordings_of
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.callfiles import CallFiles, RecordingPlace
from media.callstate import RecordState
from media.core.runningtools import CALL_ENDED, error_json
from media.core.types import (
    BargedIn,
    CallEnded,
    CommandReply,
    Delta,
    Event,
    LatencyMeasured,
    MessageTaken,
    ModelLost,
    RecordAgent,
    RecordCaller,
    StartMessage,
    ToolFinished,
    UnderWay,
    Unrecord,
)
from media.io.control import ControlLink
from media.io.filework import FileWork
from media.io.listenerstreams import ListenerQueue, OverhearStreams
from media.recorder import Names
from media.reports import Reports
from media.tap import SoundListener, Tap
from media.trace import CallTrace

LOG = log(__name__)


class CallOutput:
    """One call's output; empty until `open` says which call it is."""

    def __init__(
        self, link: ControlLink, recordings: Path, files: FileWork, delay_ms: float, names: Names = recordings_of
    ) -> None:
        self.call_id = ""
        self._organization = ""
        self._link = link
        self._files = CallFiles(RecordingPlace(recordings, names, files), link)
        self._reports = Reports("")
        self._tap: Tap | None = None  # while there are listeners
        self._delay_ms = delay_ms
        self.trace = CallTrace()

    def open(self, session: pb.OpenSessionResponse) -> None:
        """Begin the output of the call that the session names."""
        self.call_id, self._organization = session.call_id, session.organization_id
        self._reports = Reports(session.call_id, session.stream_number)
        self.trace.open(session)

    def report(self, event: Event) -> None:
        """Publish an event of the core: as a report, a metric, a span or a log line."""
        if isinstance(event, UnderWay):  # the most frequent; neither a span nor a stored report
            self._link.under_way(self._reports.under_way(event))
            return
        at = now()
        self.trace.record(event)
        match event:
            case Delta():
                self._link.delta(self._reports.delta(event, at))
            case CommandReply(id, outcome):
                self._link.answer(id, outcome)
            case BargedIn():
                metrics.CLEAR_SECONDS.observe(event.clear_reaction_ms / 1000)
            case LatencyMeasured():
                metrics.OURS_SECONDS.observe(event.ours_ms / 1000)
                metrics.MODEL_SECONDS.observe(event.model_ms / 1000)
            case ToolFinished(tool_call_id):
                self._link.cancel_tool(self.call_id, tool_call_id)
            case ModelLost(reason):
                metrics.MODEL_LOSSES.labels(reason.partition(" ")[0]).inc()
                LOG.warning("model lost", call=self.call_id, reason=reason)
            case MessageTaken(kept):
                self._files.store_message(self._reports, at, kept=kept)
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
        self._files.close(self._reports, at)
        metrics.ENDINGS.labels(event.reason).inc()
        LOG.info("call ended", call=self.call_id, reason=event.reason, detail=event.detail, at_ms=event.at_ms)

        def report() -> None:
            ended = self._reports.of(event, at)
            assert ended is not None, "each end of a call is a report"
            self._link.outbox.report(ended)

        self._files.when_closed(report)

    def when_ended(self, then: Callable[[], None]) -> None:
        """Call `then` once the call's files are closed, and everything up to the call's end is reported."""
        self._files.when_closed(then)

    def end_by_fault(self, detail: str) -> None:
        """Report that a fault ended the call, at an unknown position; report its running tools as failed."""
        for tool_call_id in self._reports.running_tools():
            self.report(ToolFinished(tool_call_id, error_json(CALL_ENDED), "failed"))
        self.report(CallEnded("carrier_lost", detail, 0))

    # Listeners.

    def add_listener(
        self, streams: OverhearStreams, open_ear: pb.OpenEar, on_closed: Callable[[ListenerQueue], None]
    ) -> bool:
        """Send the call's sound to one more listener; return False if there are too many."""
        listener = streams.begin(open_ear, self.call_id, self._organization, on_closed)
        if listener is None:
            return False
        self._tap = self._tap or Tap(self._delay_ms)
        self._tap.listeners.append(listener)
        return True

    def remove_listener(self, listener: SoundListener) -> bool:
        """Remove a listener; return whether it was the last one."""
        if self._tap is None or listener not in self._tap.listeners:
            return False
        self._tap.listeners.remove(listener)
        if self._tap.listeners:
            return False
        self._tap = None
        return True

    # From one process to another.

    def state(self) -> RecordState | None:
        """Return the state for another process, or None if the call can't move now.

        It can't while it has listeners, since their streams do not move, or while the disk hangs.
        """
        if self._tap is not None or not self._files.is_flushed():
            return None
        trace, files = self.trace.state(), self._files
        return RecordState(self.call_id, self._organization, self._reports, files.recorder, files.message, trace)

    def resume(self, state: RecordState) -> None:
        """Continue the output of a call that another process began."""
        self.call_id, self._organization = state.call_id, state.organization
        self._reports, self._files.recorder, self._files.message = state.reports, state.recorder, state.message
        self.trace.resume(state.trace, state.call_id)

    def detach(self) -> None:
        """Stop without closing or reporting anything: another process continues this output."""
        self._files.detach()
        self.trace.end()

    # The recording.

    def start_recording(self, announced: Sequence[RecordAgent]) -> None:
        """Start the recording, beginning with `announced`, the announcement as it was heard."""
        self._files.start_recording(self._organization, self._reports, announced)

    def start_message(self, start: StartMessage, failed: Callable[[], None]) -> None:
        """Record the caller's audio as a message; `failed` is called if it can't be stored."""
        self._files.start_message(self._organization, self._reports, start, failed)

    def sound(self, sound: RecordCaller | RecordAgent | Unrecord) -> None:
        """Pass sound to the recorders and the listeners; `Unrecord` changes the recording only."""
        if self._tap is not None and not isinstance(sound, Unrecord):
            self._tap.sound(sound)
        recorder, message = self._files.recorder, self._files.message
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
