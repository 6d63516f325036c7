"""A call's files: its recording and the message in its mailbox, opened, closed and reported without waiting for the disk."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from hum.clock import now
from hum.v1 import runtime_pb2 as pb
from media.core.types import RecordAgent
from media.io.control import ControlLink
from media.io.filework import FileWork
from media.recorder import MessageRecorder, Names, Recorder
from media.reports import Recording, Reports

#: The end of a call is told no later for files that a hanging disk does not close; theirs is told when they are closed.
CLOSING_SECONDS = 2.0
#: For which a call that moves to another process waits until its files are written.
FLUSH_SECONDS = 0.02


class RecordingPlace(NamedTuple):
    """Where recordings are, what they are called there, and who writes them."""

    root: Path
    names: Names
    files: FileWork


class CallFiles:
    """A call's recording and message, which are reported; and what waits until both are closed."""

    def __init__(self, place: RecordingPlace, link: ControlLink) -> None:
        self._place, self._link = place, link
        self.recorder: Recorder | None = None
        self.message: MessageRecorder | None = None
        self._closing = 0
        self._callbacks: list[Callable[[], None]] = []
        self._timeout: asyncio.TimerHandle | None = None

    def start_recording(self, organization: str, reports: Reports, announced: Sequence[RecordAgent]) -> None:
        """`announced`: what was heard before it."""
        root, names, files = self._place

        def opened(path: str | None) -> None:
            if path is not None:
                self._link.outbox.report(reports.recording_started(path, now()))

        self.recorder = Recorder(root, organization, reports.call_id, names, files, opened)
        for piece in announced:
            self.recorder.agent(piece.payload, piece.at_ms)

    def start_message(self, organization: str, reports: Reports, start_ms: int, failed: Callable[[], None]) -> None:
        """`failed` is called if it can't be stored."""
        root, names, files = self._place

        def opened(path: str | None) -> None:
            if path is not None:
                self._link.outbox.report(reports.message_started(path, now()))
            else:
                self.store_message(reports, now(), kept=True)  # says why
                failed()

        self.message = MessageRecorder(root, organization, reports.call_id, start_ms, names, files, opened)

    def store_message(self, reports: Reports, at: datetime, *, kept: bool) -> None:
        """Close the message, or remove it."""
        message, self.message = self.message, None
        if message is not None:

            def closed(stored: Recording) -> None:
                self._closed(reports.message_stored(stored, at))

            self._closing += 1
            message.close(closed, kept=kept)

    def close(self, reports: Reports, at: datetime) -> None:
        """Close what is open.  A message that a fault has ended is kept: whoever listens will judge."""
        recorder, self.recorder = self.recorder, None
        if recorder is not None:

            def closed(stored: Recording) -> None:
                self._closed(reports.recorded(stored, at))

            self._closing += 1
            recorder.close(closed)
        self.store_message(reports, at, kept=True)

    def when_closed(self, callback: Callable[[], None]) -> None:
        """Call `then` once everything is closed that is to be closed, or the disk takes too long."""
        if not self._closing:
            callback()
            return
        self._callbacks.append(callback)
        if self._timeout is None:
            self._timeout = asyncio.get_running_loop().call_later(CLOSING_SECONDS, self._run_callbacks)

    def is_flushed(self) -> bool:
        """Whether all that there is so far is in the files; waits for that, but not for long."""
        if self.recorder is None and self.message is None:
            return not self._closing
        return not self._closing and self._place.files.drain(FLUSH_SECONDS)

    def detach(self) -> None:
        """Another process writes them."""
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
