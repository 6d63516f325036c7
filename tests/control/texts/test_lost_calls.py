"""The text after a missed call, and calls that are given up as lost before their media process reports what was said."""

from control import jobs, readers
from control.calls.reports import apply_batch
from control.feature import Reader
from control.texts import missedcalls, textingback
from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2, runtime_pb2
from storage.events import ReaderStart
from tests.control.test_orphans import Desk, desk

__all__ = ["desk"]


async def texts_after(desk: Desk, *reports: runtime_pb2.Report) -> list[str]:
    """Return the texts to the caller of a call that was given up, before its media process reports these and after."""
    db, countries = desk.db, frozenset[str]()
    reader = Reader(textingback.READER, ReaderStart.BEGINNING, textingback.EVENTS, textingback.enqueue, 1.0)
    async with db.system() as tx:
        await tx.execute("UPDATE numbers SET sms_enabled = true, missed_call_text = 'Sorry we missed you.'")
    await desk.call_of("media-1")
    await desk.stream("media-1")
    for swept in (0, 1):
        assert await desk.sweep() == swept
        await desk.later(desk.settings.link_lost_seconds + 1)
    assert (await desk.record()).end_reason == "stream_lost"
    found = []
    for batch in ((), reports):
        if batch:
            await apply_batch(db, "media-1", runtime_pb2.ReportBatch(seq=1, reports=batch))
        await readers.read(db, reader)
        async with db.system() as tx:
            rows = await tx.fetch(
                "DELETE FROM pgqueuer WHERE entrypoint = $1 RETURNING payload", missedcalls.TEXT_BACK.name
            )
        for row in rows:
            await textingback.text_back(db, countries, *jobs.read_payload(row["payload"]))
        async with db.system() as tx:
            found.append(", ".join(row["body"] for row in await tx.fetch("SELECT body FROM messages")))
    return found


def report_of(desk: Desk, seq: int) -> runtime_pb2.Report:
    report = runtime_pb2.Report(call_id=ids.show(Kind.CALL, desk.call), stream_number=1, seq=seq)
    report.at.GetCurrentTime()
    return report


async def test_who_spoke_in_a_call_that_was_given_up_is_not_told_that_they_were_missed(desk: Desk) -> None:
    said, over = report_of(desk, 1), report_of(desk, 2)
    said.turn.CopyFrom(calls_pb2.Turn(seq=1, role=calls_pb2.SPEAKER_CALLER, text="I need a dentist."))
    over.ended.reason = "caller"
    await desk.link("media-1")
    await desk.is_silent("media-1", 60)
    assert await texts_after(desk, said, over) == ["", ""]


async def test_who_said_nothing_in_a_call_that_was_given_up_is_told_once_that_is_known(desk: Desk) -> None:
    over = report_of(desk, 1)
    over.ended.reason = "caller"
    await desk.link("media-1")
    await desk.is_silent("media-1", 60)
    assert await texts_after(desk, over) == ["", "Sorry we missed you."]
