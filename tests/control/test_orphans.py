"""Calls that nobody has are closed by the sweep, by the carrier's word where it gives one, and in time where it gives none."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from control.calls import handover, orphans
from control.calls.ending import end_call
from control.calls.link import _Link
from control.calls.reports import LostReports, apply_batch
from control.clients.twilio import CarrierCall
from hum import ids
from hum.clock import now
from hum.contract.errors import CarrierError
from hum.ids import Kind
from hum.v1 import calls_pb2, calls_pb2_grpc, numbers_pb2, numbers_pb2_grpc, runtime_pb2
from storage import call_records, calls, media_links
from storage.call_records import CallRow
from storage.media_links import NodeState
from storage.orphaned_calls import OrphanedCallRow
from tests.control.conftest import Plane
from tests.support.endings import ends_are_told
from tests.support.present import present
from tests.support.waits import until

__all__ = ["ends_are_told"]
pytestmark = pytest.mark.usefixtures("ends_are_told")

SID = "CA1"


class Desk:
    """One organization with one number, and a call on it that began long ago."""

    def __init__(self, plane: Plane) -> None:
        self.plane, self.db, self.carrier = plane, plane.control.db, plane.carrier
        self.settings = plane.settings
        self.call = ids.new()

    async def set_up(self) -> None:
        self.who = await self.plane.tenant()
        number = numbers_pb2.Number(e164="+13175550100")
        self.numbers = numbers_pb2_grpc.NumbersServiceStub(self.plane.channel)
        made = await self.numbers.RegisterNumber(numbers_pb2.RegisterNumberRequest(number=number), metadata=self.who)
        self.number = made.number.id

    async def call_of(self, node: str | None, sid: str = SID) -> None:
        """A call that a media process had, or (None) that was never joined."""
        async with self.db.system() as tx:
            await tx.execute(
                """INSERT INTO calls (id, org_id, call_sid, direction, status, from_e164, to_e164, number_id, created_at,
                                      node, streams_opened, answered_at)
                   SELECT $1, org_id, $2, 'inbound', CASE WHEN $3::text IS NULL THEN 'ringing' ELSE 'in_progress' END,
                          '+13175550199', e164, id, now() - interval '2 hours', $3, ($3::text IS NOT NULL)::int,
                          CASE WHEN $3::text IS NOT NULL THEN now() - interval '2 hours' END
                     FROM numbers""",
                self.call,
                sid,
                node,
            )

    async def stream(self, node: str, seconds: float = 0) -> None:
        """The call's stream, as its reports need it; opened so many seconds ago."""
        async with self.db.system() as tx:
            await tx.execute(
                "INSERT INTO call_streams (org_id, call_id, number, stream_sid, node, opened_at)"
                " SELECT org_id, id, 1, 'MZ1', $1, now() - $2::interval FROM calls",
                node,
                timedelta(seconds=seconds),
            )

    async def link(self, node: str) -> UUID:
        link = uuid4()
        async with self.db.system() as tx:
            await media_links.open(tx, node, link, NodeState())
        return link

    async def is_silent(self, node: str, seconds: float) -> None:
        """The process was killed with everything else: nobody noted that its link is lost."""
        async with self.db.system() as tx:
            await tx.execute(
                "UPDATE media_links SET seen_at = now() - $2::interval WHERE node = $1",
                node,
                timedelta(seconds=seconds),
            )

    async def sweep(self) -> int:
        return await orphans.close_orphaned_calls(self.db, self.carrier, self.settings)

    async def later(self, seconds: float) -> None:
        """Let time pass for what the sweep has noted."""
        async with self.db.system() as tx:
            await tx.execute(
                "UPDATE calls SET lost_at = lost_at - $1::interval, looked_at = looked_at - $1::interval",
                timedelta(seconds=seconds),
            )

    async def record(self) -> CallRow:
        async with self.db.system() as tx:
            return (await call_records.detail(tx, self.call)).call


@pytest.fixture
async def desk(plane: Plane) -> AsyncIterator[Desk]:
    made = Desk(plane)
    await made.set_up()
    yield made


async def test_a_call_that_was_never_joined_is_closed_by_the_carriers_word(desk: Desk) -> None:
    await desk.call_of(None)
    desk.carrier.calls[SID] = CarrierCall("ringing", None)
    assert await desk.sweep() == 0
    await desk.later(60)
    desk.carrier.calls[SID] = CarrierCall("completed", now())
    assert await desk.sweep() == 1
    call = await desk.record()
    assert (call.status, call.end_reason) == ("canceled", "caller")


async def test_after_a_cold_start_a_call_ends_when_the_carrier_says_it_did(desk: Desk) -> None:
    await desk.call_of("media-1")
    await desk.link("media-1")
    await desk.is_silent("media-1", 3600)
    over_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    desk.carrier.calls[SID] = CarrierCall("completed", over_at)
    with pytest.raises(Exception, match="call in progress"):
        await desk.numbers.ReleaseNumber(numbers_pb2.ReleaseNumberRequest(id=desk.number), metadata=desk.who)
    assert await desk.sweep() == 0, "its media process may come back, too, with what it has to report"
    await desk.later(desk.settings.link_lost_seconds + 1)
    assert await desk.sweep() == 1
    call = await desk.record()
    assert (call.status, call.end_reason, call.ended_at) == ("completed", "stream_lost", over_at)

    live = calls_pb2_grpc.CallsServiceStub(desk.plane.channel)
    id = ids.show(Kind.CALL, desk.call)
    events = [
        event.WhichOneof("event")
        async for event in live.StreamCall(calls_pb2.StreamCallRequest(id=id), metadata=desk.who, timeout=60)
    ]
    assert events == ["ended"], "its stream ends"
    with pytest.raises(Exception, match="The call is completed"):
        await live.HangUpCall(calls_pb2.HangUpCallRequest(id=id), metadata=desk.who)
    await desk.numbers.ReleaseNumber(numbers_pb2.ReleaseNumberRequest(id=desk.number), metadata=desk.who)


async def test_whoever_is_back_after_control_reports_why_a_call_ended(desk: Desk) -> None:
    await desk.call_of("media-1")
    await desk.stream("media-1")
    await desk.link("media-1")
    await desk.is_silent("media-1", 60)
    desk.carrier.calls[SID] = CarrierCall("completed", now())
    assert await desk.sweep() == 0, "nobody has it, and the carrier says that it is over"
    await desk.link("media-1")
    over = runtime_pb2.Report(call_id=ids.show(Kind.CALL, desk.call), stream_number=1, seq=1)
    over.ended.reason = "message_taken"
    over.at.GetCurrentTime()
    await apply_batch(desk.db, "media-1", runtime_pb2.ReportBatch(seq=1, reports=[over]))
    call = await desk.record()
    assert (call.status, call.end_reason) == ("completed", "message_taken")


async def test_a_carrier_that_knows_no_such_call_has_none(desk: Desk) -> None:
    await desk.call_of("media-1")
    assert await desk.sweep() == 0
    await desk.later(desk.settings.link_lost_seconds + 1)
    assert await desk.sweep() == 1
    call = await desk.record()
    assert (call.status, call.end_reason) == ("failed", "stream_lost")


@pytest.mark.parametrize(("reason", "status"), [("caller", "completed"), ("model_lost", "failed")])
async def test_whoever_is_back_after_the_sweep_corrects_why_a_call_ended(desk: Desk, reason: str, status: str) -> None:
    await desk.call_of("media-1")
    await desk.stream("media-1")
    for swept in (0, 1):
        assert await desk.sweep() == swept
        await desk.later(desk.settings.link_lost_seconds + 1)
    lost = await desk.record()
    assert (lost.status, lost.end_reason) == ("failed", "stream_lost")
    await desk.link("media-1")
    over = runtime_pb2.Report(call_id=ids.show(Kind.CALL, desk.call), stream_number=1, seq=1)
    over.ended.reason = reason
    over.at.GetCurrentTime()
    await apply_batch(desk.db, "media-1", runtime_pb2.ReportBatch(seq=1, reports=[over]))
    call = await desk.record()
    assert (call.status, call.end_reason, call.ended_at) == (status, reason, lost.ended_at)
    assert await desk.sweep() == 0


async def test_where_the_carrier_can_not_be_asked_a_call_is_given_time(desk: Desk) -> None:
    await desk.call_of("media-1")
    link = await desk.link("media-1")
    async with desk.db.system() as tx:
        await media_links.close(tx, "media-1", link)
    desk.carrier.fail = CarrierError("The carrier did not respond: TimeoutError.")
    assert await desk.sweep() == 0
    assert await desk.sweep() == 0
    assert desk.carrier.asked == [SID], "it is not asked at every sweep"
    await desk.later(desk.settings.link_lost_seconds / 2 + 1)
    assert await desk.sweep() == 0
    await desk.later(desk.settings.link_lost_seconds / 2 + 1)
    assert await desk.sweep() == 1
    assert (await desk.record()).end_reason == "stream_lost"


async def test_a_call_that_goes_on_at_the_carrier_goes_on(desk: Desk) -> None:
    await desk.call_of("media-1")
    desk.carrier.calls[SID] = CarrierCall("in-progress", None)
    for _ in range(5):
        assert await desk.sweep() == 0
        await desk.later(60)
    assert (await desk.record()).status == "in_progress"


async def test_the_carrier_is_not_asked_about_calls_that_a_process_has(desk: Desk) -> None:
    await desk.call_of("media-1")
    await desk.link("media-1")
    assert await desk.sweep() == 0
    assert desk.carrier.asked == []


async def test_a_call_whose_process_links_again_is_lost_no_more(desk: Desk) -> None:
    """As after a control that was away for long: what was counted before counts no more."""
    await desk.call_of("media-1")
    desk.carrier.fail = CarrierError("away")
    await desk.sweep()
    await desk.later(desk.settings.link_lost_seconds + 1)
    await desk.link("media-1")
    assert await desk.sweep() == 0
    await desk.is_silent("media-1", 60)
    assert await desk.sweep() == 0, "its time begins anew"
    assert (await desk.record()).status == "in_progress"


async def test_a_call_that_ends_while_the_carrier_is_asked_keeps_its_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.call_of("media-1")

    async def meanwhile(*_: str) -> None:
        async with desk.db.system() as tx:
            state = await calls.lock(tx, await tx.fetchval("SELECT id FROM calls"))
            await end_call(tx, state, "completed", now(), "agent")

    monkeypatch.setattr(desk.carrier, "find_call", meanwhile)
    assert await desk.sweep() == 0
    assert (await desk.record()).end_reason == "agent"


async def test_a_carrier_that_hangs_is_asked_about_all_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty lost calls are closed after one time-out of its API, not after five."""
    for number in range(50):
        desk.call = ids.new()
        await desk.call_of("media-1", sid=f"CA{number}")
    asked, hangs = set[str](), asyncio.Event()

    async def hang(call_sid: str, _account: str) -> CarrierCall | None:
        asked.add(call_sid)
        await hangs.wait()
        raise CarrierError("The carrier did not respond.")

    monkeypatch.setattr(desk.carrier, "find_call", hang)
    for closed in (0, 50):
        sweeping = asyncio.create_task(desk.sweep())
        await until(lambda: len(asked) == 50)
        hangs.set()
        assert await sweeping == closed
        asked.clear()
        hangs.clear()
        await desk.later(desk.settings.link_lost_seconds + 1)


async def test_a_sweep_that_fails_leaves_nothing_running(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, ended = asyncio.Event(), list[str]()

    async def found(*_: object) -> list[OrphanedCallRow]:
        return [
            OrphanedCallRow(ids.new(), sid, "", 1, now(), False, False, "in_progress", None) for sid in ("away", "slow")
        ]

    async def close(_db: object, _carrier: object, row: OrphanedCallRow) -> bool:
        if row.call_sid == "away":
            await asked.wait()
            raise ConnectionRefusedError
        asked.set()
        await asyncio.sleep(0.1)
        ended.append(str(row.call_sid))
        return True

    monkeypatch.setattr("storage.orphaned_calls.claim", found)
    monkeypatch.setattr(orphans, "_close", close)
    with pytest.raises(ConnectionRefusedError):
        await desk.sweep()
    assert ended == ["slow"]


async def test_a_call_that_was_never_joined_and_that_nobody_knows_has_failed(desk: Desk) -> None:
    await desk.call_of(None)
    assert await desk.sweep() == 1
    call = await desk.record()
    assert (call.status, call.end_reason) == ("failed", "no_stream")


async def test_a_link_ends_whose_reports_the_database_has_lost(desk: Desk) -> None:
    links = list[_Link]()
    for _ in range(2):
        link = _Link(desk.db, None, None, "media-1", None)  # type: ignore[arg-type]
        links.append(link)
        await link._begin_link(runtime_pb2.NodeState(beat_ms=2_000))
        down = link.downs.get_nowait()
        assert down is not None and down.acknowledged_seq == len(links) - 1
        for seq in range(1, 4):
            await link._store(runtime_pb2.ReportBatch(seq=seq))
        await link._store_state(runtime_pb2.NodeState(beat_ms=2_000))
        async with desk.db.system() as tx:  # a standby takes over that had one of them
            await tx.execute("UPDATE media_links SET batch_seq = 1")
        with pytest.raises(LostReports):
            await link._store(runtime_pb2.ReportBatch(seq=4))
        with pytest.raises(LostReports):  # also when nothing is reported any more
            await link._store_state(runtime_pb2.NodeState(beat_ms=2_000))
    async with desk.db.system() as tx:  # or one that had not even the link
        await tx.execute("DELETE FROM media_links")
    with pytest.raises(LostReports):
        await links[1]._store_state(runtime_pb2.NodeState(beat_ms=2_000))


async def test_reports_that_come_again_are_stored_once(desk: Desk) -> None:
    await desk.call_of("media-1")
    await desk.stream("media-1")
    turns = [
        runtime_pb2.Report(
            call_id=ids.show(Kind.CALL, desk.call),
            stream_number=1,
            seq=seq,
            interruption=calls_pb2.Interruption(at_ms=seq),
        )
        for seq in range(1, 5)
    ]
    for seq, report in enumerate(turns, 1):
        await apply_batch(desk.db, "media-1", runtime_pb2.ReportBatch(seq=seq, reports=[report]), seq - 1)
    async with desk.db.system() as tx:  # the standby had two of them, and what they had done
        await tx.execute("UPDATE media_links SET batch_seq = 2")
        await tx.execute("UPDATE call_streams SET report_seq = 2")
        await tx.execute("DELETE FROM call_interruptions WHERE report_seq > 2")
    for seq, report in enumerate(turns, 1):  # all that is kept, over a link of another name too
        await apply_batch(desk.db, "media-1", runtime_pb2.ReportBatch(seq=seq, reports=[report]))
        await apply_batch(desk.db, "media-2", runtime_pb2.ReportBatch(seq=seq, reports=[report]))
    async with desk.db.system() as tx:
        stored = await tx.fetch("SELECT at_ms FROM call_interruptions ORDER BY report_seq")
    assert [row["at_ms"] for row in stored] == [1, 2, 3, 4]


async def test_a_call_that_was_handed_over_to_another_process_is_that_ones(desk: Desk) -> None:
    await desk.call_of("media-1")
    calls = [ids.show(Kind.CALL, desk.call), ids.show(Kind.CALL, ids.new()), "nonsense"]
    desk.carrier.calls[SID] = CarrierCall("in-progress", None)
    assert await desk.sweep() == 0  # and notes that nobody has it
    for _ in range(2):  # whoever asks again changes nothing
        await handover.reassign(desk.db, "media-1", "media-2", calls)
        async with desk.db.system() as tx:
            row = present(await tx.fetchrow("SELECT node, lost_at, looked_at FROM calls WHERE id = $1", desk.call))
        assert dict(row) == {"node": "media-2", "lost_at": None, "looked_at": None}
    await handover.reassign(desk.db, "media-1", "media-3", calls)  # which is not where it is any more
    async with desk.db.system() as tx:
        assert await tx.fetchval("SELECT node FROM calls WHERE id = $1", desk.call) == "media-2"
        await tx.execute("UPDATE calls SET status = 'completed'")
    await handover.reassign(desk.db, "media-2", "media-3", calls)
    async with desk.db.system() as tx:
        assert await tx.fetchval("SELECT node FROM calls WHERE id = $1", desk.call) == "media-2"


async def test_while_the_carrier_hangs_many_are_closed_in_the_time_of_a_few(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def hanging(call_sid: str, account: str = "") -> CarrierCall | None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.05)
        raise CarrierError("The carrier did not respond: TimeoutError.")

    desk.carrier.find_call = hanging  # type: ignore[method-assign]
    monkeypatch.setattr(orphans, "MAX_CONCURRENT", 20)
    many = 3 * orphans.MAX_CONCURRENT
    for n in range(many):
        desk.call = ids.new()
        await desk.call_of(None, f"CA{n}")
    assert await desk.sweep() == 0, "it may be away for a moment only"
    assert asked <= orphans.MAX_CONCURRENT + orphans.MAX_UNANSWERED
    await desk.later(desk.settings.link_lost_seconds + 1)
    assert await desk.sweep() == many
    assert asked <= 2 * (orphans.MAX_CONCURRENT + orphans.MAX_UNANSWERED)


async def eight_calls(desk: Desk, node: str) -> list[UUID]:
    made = []
    for number in range(8):
        desk.call = ids.new()
        await desk.call_of(node, f"CA{number}")
        made.append(desk.call)
    async with desk.db.system() as tx:
        await tx.execute(
            "INSERT INTO call_streams (org_id, call_id, number, stream_sid, node)"
            " SELECT org_id, id, 1, 'MZ' || call_sid, $1 FROM calls",
            node,
        )
    return made


async def standings(desk: Desk, made: list[UUID]) -> list[tuple[str, str | None]]:
    async with desk.db.system() as tx:
        found = [(await call_records.detail(tx, id)).call for id in made]
    return [(call.status, call.end_reason) for call in found]


async def test_control_or_its_database_away_for_20_s_closes_no_call(desk: Desk) -> None:
    """Nobody could write that the media process lives; half of the callers have hung up meanwhile."""
    made = await eight_calls(desk, "media-1")
    await desk.link("media-1")
    for number in range(8):
        over = number % 2
        desk.carrier.calls[f"CA{number}"] = CarrierCall("completed" if over else "in-progress", now() if over else None)
    await desk.is_silent("media-1", 20)
    for _ in range(5):  # the worker is back before the media process has said anything
        assert await desk.sweep() == 0
        await desk.later(5)
    await desk.link("media-1")
    reports = []
    for id in made[1::2]:
        turn = runtime_pb2.Report(call_id=ids.show(Kind.CALL, id), stream_number=1, seq=1)
        turn.turn.CopyFrom(calls_pb2.Turn(seq=1, role=calls_pb2.SPEAKER_CALLER, text="Goodbye."))
        end = runtime_pb2.Report(call_id=ids.show(Kind.CALL, id), stream_number=1, seq=2)
        end.ended.reason = "caller"
        for each in (turn, end):
            each.at.GetCurrentTime()
        reports += [turn, end]
    await apply_batch(desk.db, "media-1", runtime_pb2.ReportBatch(seq=1, reports=reports))
    assert await standings(desk, made) == [("in_progress", None), ("completed", "caller")] * 4
    async with desk.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM call_turns") == 4
    await desk.later(desk.settings.link_lost_seconds + 1)
    assert await desk.sweep() == 0


async def test_a_carriers_api_that_fails_for_60_s_ends_no_call_that_is_talked_in(desk: Desk) -> None:
    """Also when control was away just before, so that each call was taken for lost for a moment."""
    made = await eight_calls(desk, "media-1")
    await desk.link("media-1")
    desk.carrier.fail = CarrierError("The carrier did not respond: TimeoutError.")
    await desk.is_silent("media-1", 20)
    assert await desk.sweep() == 0
    asked = len(desk.carrier.asked)
    await desk.link("media-1")
    for _ in range(12):
        await desk.later(5)
        assert await desk.sweep() == 0
    assert len(desk.carrier.asked) == asked, "nobody asks about calls that a process has"
    assert await standings(desk, made) == [("in_progress", None)] * 8
    async with desk.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM calls WHERE lost_at IS NOT NULL") == 0
