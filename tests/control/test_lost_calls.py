"""Calls that nobody has are closed by the sweep, by the carrier's word where it gives one, and in time where it gives none."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from control.calls import lost
from control.clients.twilio import CarrierCall
from hum import ids
from hum.clock import now
from hum.errors import CarrierError
from hum.ids import Kind
from hum.v1 import calls_pb2, calls_pb2_grpc, numbers_pb2, numbers_pb2_grpc
from storage import call_records, media_links
from storage.call_records import CallRow
from tests.control.conftest import Plane

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

    async def call_of(self, node: str | None) -> None:
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
                SID,
                node,
            )

    async def link(self, node: str) -> UUID:
        link = uuid4()
        async with self.db.system() as tx:
            await media_links.open(tx, node, link, "")
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
        return await lost.sweep(self.db, self.carrier, self.settings)

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
    assert await desk.sweep() == 1
    call = await desk.record()
    assert (call.status, call.end_reason, call.ended_at) == ("completed", "stream_lost", over_at)

    live = calls_pb2_grpc.CallsServiceStub(desk.plane.channel)
    id = ids.show(Kind.CALL, desk.call)
    events = [
        event.WhichOneof("event")
        async for event in live.StreamCall(calls_pb2.StreamCallRequest(id=id), metadata=desk.who, timeout=10)
    ]
    assert events == ["ended"], "its stream ends"
    with pytest.raises(Exception, match="The call is completed"):
        await live.HangUpCall(calls_pb2.HangUpCallRequest(id=id), metadata=desk.who)
    await desk.numbers.ReleaseNumber(numbers_pb2.ReleaseNumberRequest(id=desk.number), metadata=desk.who)


async def test_a_carrier_that_knows_no_such_call_has_none(desk: Desk) -> None:
    await desk.call_of("media-1")
    assert await desk.sweep() == 1
    call = await desk.record()
    assert (call.status, call.end_reason) == ("failed", "stream_lost")


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

    async def meanwhile(_: str) -> None:
        async with desk.db.system() as tx:
            await tx.execute("UPDATE calls SET status = 'completed', ended_at = now(), end_reason = 'agent'")

    monkeypatch.setattr(desk.carrier, "find_call", meanwhile)
    assert await desk.sweep() == 0
    assert (await desk.record()).end_reason == "agent"


async def test_a_sweep_that_fails_leaves_nothing_running(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, ended = asyncio.Event(), list[str]()

    async def found(*_: object) -> list[str]:
        return ["away", "slow"]

    async def close(_db: object, _carrier: object, row: str) -> bool:
        if row == "away":
            await asked.wait()
            raise ConnectionRefusedError
        asked.set()
        await asyncio.sleep(0.1)
        ended.append(row)
        return True

    monkeypatch.setattr("storage.calls.lost", found)
    monkeypatch.setattr(lost, "_close", close)
    with pytest.raises(ConnectionRefusedError):
        await desk.sweep()
    assert ended == ["slow"]
