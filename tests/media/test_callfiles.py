"""A call's files, when the call moves to another process."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hum import recordings
from media.callfiles import CallFiles, RecordingPlace
from media.io.filework import FileThread
from media.reports import Reports
from tests.support.waits import until


async def test_a_call_does_not_move_before_the_opening_of_its_recording_is_reported(tmp_path: Path) -> None:
    """Else the report and the successor's first one have the same number, and control stores one of them."""
    files, sent = FileThread("files"), list[Any]()
    link: Any = SimpleNamespace(outbox=SimpleNamespace(report=sent.append))
    call = CallFiles(RecordingPlace(tmp_path, recordings.names, files), link)
    call.start_recording("org_1", Reports("call_1"), [])
    assert files.drain(60), "the file is open; the loop has not heard of it"
    assert not sent and not call.is_flushed()
    await until(lambda: sent)
    assert call.is_flushed() and [report.seq for report in sent] == [1]
    assert files.close(60)
