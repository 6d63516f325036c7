"""A call's files, its recording and its mailbox message: opened, closed and reported without blocking on the disk."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from hum.clock import now
from hum.v1 import runtime_pb2 as pb
from media.core.types import RecordAgent, StartMessage
from media.io.control import ControlLink
from media.io.filework import FileWork
from media.recorder import MessageRecorder, Names, Recorder
from media.reports import Recording, Reports

#: The longest that a call's end is held back for files that a hanging disk does not close; those are reported once closed.
CLOSING_SECONDS = 2.0
#: How long a call that moves to another process waits until its files are written.
FLUSH_SECONDS = 0.02


class RecordingPlace(NamedTuple):
    """The folder of recordings, the naming of its files, and the `FileWork` that writes them."""

    root: Path
    names: Names
    files: FileWork


class CallFiles:
    """A call's recording and message, their reports, and the callbacks that wait until both are closed."""

    def __init__(self, place: RecordingPlace, link: ControlLink) -> None:
        self._place, self._link = place, link
        self.recorder: Recorder | None = None
        self.message: MessageRecorder | None = None
        self._opening = self._closing = 0
        self._callbacks: list[Callable[[], None]] = []
        self._timeout: asyncio.TimerHandle | None = None

    def start_recording(self, organization: str, reports: Reports, announced: Sequence[RecordAgent]) -> None:
        """Open the recording and report its path; it begins with `announced`, the announcement as it was heard."""
        root, names, files = self._place

        def opened(path: str | None) -> None:
            self._opening -= 1
            if path is not None:
                self._link.outbox.report(reports.recording_started(path, now()))

        self._opening += 1
        self.recorder = Recorder.open(root, organization, reports.call_id, names, files, opened)
        for piece in announced:
            self.recorder.agent(piece.payload, piece.at_ms)

    def start_message(
        self, organization: str, reports: Reports, start: StartMessage, failed: Callable[[], None]
    ) -> None:
        """Open the message and report its path; call `failed` if it can't be stored."""
        root, names, files = self._place

        def opened(path: str | None) -> None:
            self._opening -= 1
            if path is not None:
                self._link.outbox.report(reports.message_started(path, now()))
            else:
                # Report the fault.
                self.store_message(reports, now(), kept=True)
                failed()

        self._opening += 1
        self.message = MessageRecorder.open(root, organization, reports.call_id, start.at_ms, names, files, opened)
        for piece in start.spoken:
            self.message.caller(piece.payload, piece.at_ms)

    def store_message(self, reports: Reports, at: datetime, *, kept: bool) -> None:
        """Close the message, or remove it unless `kept`; report what is stored."""
        message, self.message = self.message, None
        if message is not None:

            def closed(stored: Recording) -> None:
                self._closed(reports.message_stored(stored, at))

            self._closing += 1
            message.close(closed, kept=kept)

    def close(self, reports: Reports, at: datetime) -> None:
        """Close and report the open files.  A message cut short by a fault is kept, for a person to judge."""
        recorder, self.recorder = self.recorder, None
        if recorder is not None:

            def closed(stored: Recording) -> None:
                self._closed(reports.recorded(stored, at))

            self._closing += 1
            recorder.close(closed)
        self.store_message(reports, at, kept=True)

    def when_closed(self, callback: Callable[[], None]) -> None:
        """Call `callback` once all files that are being closed are, or after `CLOSING_SECONDS`."""
        if not self._closing:
            callback()
            return
        self._callbacks.append(callback)
        if self._timeout is None:
            self._timeout = asyncio.get_running_loop().call_later(CLOSING_SECONDS, self._run_callbacks)

    def is_flushed(self) -> bool:
        """Return whether all sound so far is in the files; block for at most `FLUSH_SECONDS` until it is.

        False until the opening of a file is reported, which takes the next number of a report.
        """
        if self._closing or self._opening:
            return False
        return (self.recorder is None and self.message is None) or self._place.files.drain(FLUSH_SECONDS)

    def detach(self) -> None:
        """Close this process's descriptors: another process continues the files."""
        for file in (self.recorder, self.message):
            if file is not None:
                file.detach()
        self.recorder = self.message = None

    def _closed(self, report: pb.Report) -> None:
        self._link.outbox.report(report)
        self._closing -= 1
        if not self._closing:
            self._run_callbacks()

    def _run_callbacks(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
