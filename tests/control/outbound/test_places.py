"""Nobody's telephone rings for a call that no media process has a place for; nor do other calls' places count for it."""

from datetime import timedelta
from uuid import UUID

import pytest

from control.calls import orphans
from hum import ids
from hum.contract.errors import CarrierError
from hum.v1 import outbound_pb2 as pb
from storage import browser_calls, media_links
from storage.media_links import NodeState
from tests.control.conftest import Plane
from tests.control.outbound.desk import Desk, call_id

HERE, ELSEWHERE = "wss://here", "wss://elsewhere"
AN_HOUR = timedelta(hours=1)


@pytest.fixture
async def desk(plane: Plane) -> Desk:
    """One media process, with two places."""
    desk = Desk(plane)
    await desk.set_up()
    await knows(desk, "media-1", NodeState(places=2, url=HERE, beat=AN_HOUR))
    return desk


async def knows(desk: Desk, node: str, state: NodeState, *takes: str) -> None:
    async with desk.db.system() as tx:
        await media_links.open(tx, node, ids.new(), state)
        if takes:
            await media_links.set_takes(tx, node, takes)


async def has(desk: Desk, *, node: str | None = None, url: str | None = None, ended: bool = False) -> None:
    """A call that a process has, or that is on its way to a URL."""
    async with desk.db.system() as tx:
        await tx.execute(
            """INSERT INTO calls (id, org_id, call_sid, direction, status, from_e164, to_e164, node, media_url, token_hash,
                                  token_expires_at, streams_offered, streams_opened, carrier_ended_at)
               SELECT $1::uuid, org_id, $1::uuid::text, 'inbound', 'in_progress', '+13175550177', '+13175550100', $2, $3, $4,
                      now() + interval '1 minute', 1, CASE WHEN $4::bytea IS NULL THEN 1 ELSE 0 END,
                      CASE WHEN $5 THEN now() END
                 FROM numbers LIMIT 1""",
            ids.new(), node, url, ids.new().bytes if url else None, ended,
        )  # fmt: skip


async def placed(desk: Desk, orders: int = 4) -> int:
    """How many of so many orders are placed now."""
    for number in range(orders):
        await desk.order(f"+1317555{2000 + number}")
    await desk.dialler().place_due()
    return len(desk.carrier.placed)


async def test_no_more_telephones_ring_than_there_are_places(desk: Desk) -> None:
    assert await placed(desk) == 2, "each that rings may be answered"
    sid = next(iter(desk.carrier.placed))
    await desk.says(sid, "busy")
    await desk.paces()
    await desk.dialler().place_due()
    assert len(desk.carrier.placed) == 3


async def test_calls_that_this_process_has_or_is_offered_take_its_places(desk: Desk) -> None:
    await has(desk, node="media-1")
    assert await placed(desk) == 1
    await has(desk, url=HERE)
    await desk.says(next(iter(desk.carrier.placed)), "busy")
    await desk.paces()
    await desk.dialler().place_due()
    assert len(desk.carrier.placed) == 1


@pytest.mark.parametrize(
    "held",
    [{"node": "media-9"}, {"url": ELSEWHERE}, {"node": "browsers"}, {"node": "media-1", "ended": True}],
    ids=["gone", "other URL", "browsers", "over"],
)
async def test_calls_elsewhere_take_none(desk: Desk, held: dict[str, str]) -> None:
    """Of a process that is gone or drains, of one for browsers, or that the carrier says are over."""
    await knows(desk, "browsers", NodeState(places=5, url=ELSEWHERE, beat=AN_HOUR), "browser")
    await knows(desk, "media-2", NodeState("draining", 50, "wss://draining", AN_HOUR))
    await has(desk, node="media-2")
    for _ in range(2):
        await has(desk, **held)  # type: ignore[arg-type]
    assert await placed(desk) == 2, "nor are the places of others this one's"


@pytest.mark.parametrize(("count", "swept"), [(40, False), (60, True)], ids=["unknown yet", "asked about"])
async def test_lost_calls_take_no_places(desk: Desk, count: int, swept: bool) -> None:
    """Of processes that died, one of them with its link; while they are asked about, nor in their organization's limit."""
    for node in ("silent", "gone"):
        await knows(desk, node, NodeState(places=count, url=ELSEWHERE, beat=AN_HOUR))
        for _ in range(count // 2):
            await has(desk, node=node)
    async with desk.db.system() as tx:
        await tx.execute("UPDATE media_links SET seen_at = now() - interval '2 minutes' WHERE node = 'silent'")
        await tx.execute("UPDATE media_links SET link = NULL WHERE node = 'gone'")
        await tx.execute("UPDATE calls SET created_at = now() - interval '1 hour'")
    if swept:
        desk.carrier.fail = CarrierError("The carrier did not respond.")
        assert await orphans.close_orphaned_calls(desk.db, desk.carrier, desk.plane.settings) == 0
        desk.carrier.fail = None
    assert await placed(desk) == 2


async def test_a_full_process_places_none_and_one_that_says_nothing_of_places_all(desk: Desk) -> None:
    for _ in range(2):
        await has(desk, node="media-1")
    assert await placed(desk) == 0
    await knows(desk, "media-2", NodeState(url=ELSEWHERE, beat=AN_HOUR))
    await desk.dialler().place_due()
    assert len(desk.carrier.placed) == 4


async def test_orders_that_wait_are_no_live_calls_of_browsers(desk: Desk) -> None:
    """A thousand queued calls leave an organization all its browsers' calls."""
    order = await desk.order()

    async def live() -> int:
        org = await org_of(desk, order)
        async with desk.db.tenant(org) as tx:
            return (await browser_calls.live(tx, org, "key:mine")).calls

    assert await live() == 0
    await desk.dialler().place_due()
    await desk.says(next(iter(desk.carrier.placed)), "ringing")
    assert await live() == 1


async def org_of(desk: Desk, order: pb.OutboundCall) -> UUID:
    async with desk.db.system() as tx:
        org: UUID = await tx.fetchval("SELECT org_id FROM calls WHERE id = $1", call_id(order))
    return org


# --- between two streams ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", [True, False])
async def test_a_placed_call_that_the_carrier_ends_between_two_streams_is_over_at_once(
    desk: Desk, *, between: bool
) -> None:
    """Its stream was left, so that none reports its end; while a process has it, that one does."""
    order = await desk.order()
    await desk.dialler().place_due()
    (sid,) = desk.carrier.placed
    await desk.answers(sid)
    async with desk.db.system() as tx:
        await tx.execute(
            """UPDATE calls SET status = 'in_progress', answered_at = now(), streams_opened = 1, streams_left = $2::integer,
                                token_hash = NULL, node = CASE WHEN $2::integer = 0 THEN 'media-1' END,
                                next_step = '{"type":"voicemail"}', next_step_due = $2::integer = 1 WHERE id = $1""",
            call_id(order),
            int(between),
        )
    await desk.says(sid, "completed")
    status, reason, attempts = await desk.state(order)
    assert attempts == ["completed"]
    assert (status, reason) == (("completed", "caller") if between else ("in_progress", ""))
    async with desk.db.system() as tx:
        assert (
            bool(await tx.fetchval("SELECT carrier_ended_at IS NOT NULL FROM calls WHERE id = $1", call_id(order)))
            is not between
        )
