"""Calls whose media process is alive and can't have them: the session, or the report of the end, was lost on its way."""

from datetime import timedelta

import pytest

from control.calls import orphans
from control.clients.twilio import CarrierCall
from hum.clock import now
from storage import calls, media_links
from tests.control.test_orphans import SID, Desk, desk
from tests.support.endings import ends_are_told

__all__ = ["desk", "ends_are_told"]
pytestmark = pytest.mark.usefixtures("ends_are_told")


@pytest.mark.parametrize("has_started", [False, True], ids=["session lost", "end lost"])
async def test_a_stream_that_its_process_can_not_have_is_not_open_for_ever(desk: Desk, *, has_started: bool) -> None:
    """The process is alive, and neither it nor the carrier ever says that the call is over."""
    await desk.call_of("media-1")
    longest = orphans.LONGEST_STREAM.total_seconds() if has_started else desk.settings.link_lost_seconds
    async with desk.db.system() as tx:
        status, answered_at = ("in_progress", now() - timedelta(days=1)) if has_started else ("ringing", None)
        await tx.execute("UPDATE calls SET status = $1, answered_at = $2", status, answered_at)
    await desk.stream("media-1", longest - 5)
    await desk.link("media-1")
    desk.carrier.calls[SID] = CarrierCall("completed", now())
    assert await desk.sweep() == 0 and desk.carrier.asked == [], "it may be in a conversation"
    async with desk.db.system() as tx:
        await tx.execute("UPDATE call_streams SET opened_at = opened_at - interval '10 s'")
    assert await desk.sweep() == 0 and desk.carrier.asked == [SID]
    await desk.later(desk.settings.link_lost_seconds + 1)
    assert await desk.sweep() == 1
    call = await desk.record()
    assert (call.status, call.end_reason) == ("completed", "stream_lost")


async def test_a_browsers_call_whose_end_was_lost_ends_with_its_last_event(desk: Desk) -> None:
    """A later time would be billed."""
    await desk.call_of("media-1")
    said_at = now() - timedelta(days=1)
    async with desk.db.system() as tx:
        await tx.execute(
            "UPDATE calls SET origin = 'browser', call_sid = NULL, answered_at = $1, event_seq = 1", said_at
        )
        await tx.execute(
            "INSERT INTO call_events (org_id, call_id, seq, type, data, created_at)"
            " SELECT org_id, id, 1, 'call.answered', '{}', $1 FROM calls",
            said_at + timedelta(minutes=2),
        )
    await desk.stream("media-1", orphans.LONGEST_STREAM.total_seconds() + 5)
    await desk.link("media-1")
    assert await desk.sweep() == 0
    await desk.later(desk.settings.link_lost_seconds + 1)
    assert await desk.sweep() == 1
    assert (await desk.record()).ended_at == said_at + timedelta(minutes=2)


async def test_a_call_whose_start_is_reported_late_is_not_lost(desk: Desk) -> None:
    """As after an outage.  When its process dies later, it is given as long as any other."""
    await desk.call_of("media-1")
    async with desk.db.system() as tx:
        await tx.execute("UPDATE calls SET status = 'ringing', answered_at = NULL, origin = 'browser', call_sid = NULL")
    await desk.stream("media-1", desk.settings.link_lost_seconds + 1)
    link = await desk.link("media-1")
    assert await desk.sweep() == 0
    await desk.later(desk.settings.link_lost_seconds + 1)
    async with desk.db.system() as tx:
        await calls.answer(tx, desk.call, now())
        await media_links.close(tx, "media-1", link)
    assert await desk.sweep() == 0
    assert (await desk.record()).status == "in_progress"


async def test_a_call_whose_start_is_reported_while_the_carrier_is_asked_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.call_of("media-1")
    async with desk.db.system() as tx:
        await tx.execute("UPDATE calls SET status = 'ringing', answered_at = NULL")
    await desk.stream("media-1", desk.settings.link_lost_seconds + 1)
    await desk.link("media-1")

    async def find_call(*_: object) -> CarrierCall | None:
        async with desk.db.system() as tx:
            await calls.answer(tx, desk.call, now())
        return None

    assert await desk.sweep() == 0
    await desk.later(desk.settings.link_lost_seconds + 1)
    monkeypatch.setattr(desk.carrier, "find_call", find_call)
    assert await desk.sweep() == 0
    assert (await desk.record()).status == "in_progress"


async def test_a_browsers_call_whose_session_was_lost_is_closed(desk: Desk) -> None:
    """No carrier knows it, and its process has refused its stream."""
    await desk.call_of("media-1")
    async with desk.db.system() as tx:
        await tx.execute("UPDATE calls SET status = 'ringing', answered_at = NULL, origin = 'browser', call_sid = NULL")
    await desk.stream("media-1", desk.settings.link_lost_seconds + 1)
    await desk.link("media-1")
    assert await desk.sweep() == 0
    await desk.later(desk.settings.link_lost_seconds + 1)
    assert await desk.sweep() == 1
    call = await desk.record()
    assert (call.status, call.end_reason, desk.carrier.asked) == ("failed", "stream_lost", [])
