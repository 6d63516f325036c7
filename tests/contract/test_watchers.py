"""Watchers of a call, who come when they like and reconnect when they must, are shown its final transcript."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from control.calls import orphans
from control.clients.twilio import CarrierCall
from hum.clock import now
from hum.v1 import calls_pb2, runtime_pb2
from tests.contract.conftest import Edge
from tests.contract.test_live_stream import Media, Sent, event, events, in_progress
from tests.contract.test_resumed import joined_again, transcript, under_way
from tests.support.examples import sample
from tests.support.transcript import Transcript
from tests.support.waits import patience

AGENT, CALLER = calls_pb2.SPEAKER_AGENT, calls_pb2.SPEAKER_CALLER


def turn(seq: int, text: str, stream: int = 1) -> calls_pb2.Turn:
    role = AGENT if seq % 2 else CALLER
    item = f"{stream}-item{seq}"
    return calls_pb2.Turn(seq=seq, role=role, text=text, start_ms=seq * 1000, end_ms=seq * 1000 + 500, item_id=item)


def delta(turn: calls_pb2.Turn, text: str) -> calls_pb2.TranscriptDelta:
    return calls_pb2.TranscriptDelta(role=turn.role, item_id=turn.item_id, text=text, start_ms=turn.start_ms)


@asynccontextmanager
async def talking(say: Callable[[], None]) -> AsyncIterator[None]:
    """Say it again and again: deltas are for those who watch, and may be lost."""

    async def again() -> None:
        while True:
            say()
            await asyncio.sleep(0.2)

    saying = asyncio.create_task(again())
    yield
    saying.cancel()


async def watched(http: httpx.AsyncClient, call_id: str, leave_after: int) -> Transcript:
    """The transcript of a client that reconnects after so many events, until the call is over."""
    client, last = Transcript(), 0
    while not client.is_over:
        stream: AsyncIterator[Sent | str] = events(http, call_id, last=last)
        seen = 0
        async for each in stream:
            if not isinstance(each, Sent):
                continue
            client.feed(each.event, each.data)
            last, seen = each.id or last, seen + 1
            if seen == leave_after:
                break
        await stream.aclose()  # type: ignore[attr-defined]  # a generator
    return client


@pytest.mark.sampled
@pytest.mark.parametrize("seed", sample(range(6), 3))
async def test_what_watchers_are_shown_in_the_end_is_the_transcript(edge: Edge, seed: int) -> None:
    chance = random.Random(seed)
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    watchers = [asyncio.create_task(watched(http, call_id, chance.choice([3, 5, 1000]))) for _ in range(3)]
    for seq in range(1, 9):
        words = [f"{seq}.{n} " for n in range(chance.randrange(5))]
        said = turn(seq, "".join(words))
        late = chance.randrange(len(words) + 1)  # so many come with the turn or behind it
        media.speak(delta(said, ""), *(delta(said, word) for word in words[: len(words) - late]))
        if chance.random() < 0.5:
            await asyncio.sleep(chance.random() * 0.05)
        number = media.report(turn=said)
        media.speak(*(delta(said, word) for word in words[len(words) - late :]))
        if chance.random() < 0.3:
            await media.acknowledged(number)
    media.speak(delta(turn(9, ""), "never said"))
    media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=9000))
    async with patience():
        clients = await asyncio.gather(*watchers)
    final = [(each["item_id"], each["role"], each["text"]) for each in await transcript(http, call_id)]
    assert len(final) == 8
    for client in clients:
        assert [(line.item_id, line.role, line.text) for line in client.shown()] == final


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "one by one"])
async def test_what_was_said_while_control_was_away_is_shown_before_the_end(edge: Edge, *, at_once: bool) -> None:
    """The media process reports late, after a sweep that found the call over; one watcher stays, one comes back."""
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(media.report(turn=turn(1, "one")))
    staying = events(http, call_id)
    seen = [await event(staying) for _ in range(3)]
    assert [each.event for each in seen] == ["call.state", "call.state", "transcript.turn"]
    media.link.cancel()
    db = edge.plane.control.db
    async with db.system() as tx:
        await tx.execute("UPDATE media_links SET seen_at = now() - interval '20 seconds'")
        await tx.execute("UPDATE calls SET created_at = now() - interval '1 minute'")
    edge.plane.carrier.calls["CA1"] = CarrierCall("completed", now())
    assert await orphans.close_orphaned_calls(db, edge.plane.carrier, edge.plane.settings) == 0
    assert edge.plane.carrier.asked == ["CA1"]
    async with patience():
        back = events(http, call_id, last=seen[-1].id)
        watchers = [asyncio.create_task(rest(stream)) for stream in (staying, back)]
        again = Media(edge)
        again.call_id, again.seqs = call_id, media.seqs
        again.report(turn=turn(2, "two"))
        again.report(turn=turn(3, "three"))
        again.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=4000))
        if at_once:
            batches = [again.ups.get_nowait().batch for _ in range(3)]
            batch = runtime_pb2.ReportBatch(seq=batches[0].seq, reports=[each.reports[0] for each in batches])
            again.ups.put_nowait(runtime_pb2.LinkUp(batch=batch))
        shown = [*await asyncio.gather(*watchers), await rest(events(http, call_id, last=seen[-1].id))]
    last = [("transcript.turn", "two"), ("transcript.turn", "three"), ("call.ended", "caller")]
    assert shown == [last] * 3


async def rest(stream: AsyncIterator[Sent | str]) -> list[tuple[str, str]]:
    """What is still told, and its words or the reason, until the call is over."""
    return [
        (each.event, each.data.get("text") or each.data.get("reason"))
        async for each in stream
        if isinstance(each, Sent)
    ]


async def test_a_delta_never_comes_after_its_turn(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    first, second = turn(1, "one"), turn(2, "two")
    await media.acknowledged(media.report(turn=first))
    reconnected = events(http, call_id, last=3)
    stream = events(http, call_id)
    assert [(await event(stream)).event for _ in range(3)] == ["call.state", "call.state", "transcript.turn"]
    async with talking(lambda: media.speak(delta(first, "late"), delta(second, "two"))):
        watchers = await asyncio.gather(event(stream), event(reconnected))
    for seen in watchers:
        assert (seen.data["item_id"], seen.data["text"], seen.data["start_ms"]) == (second.item_id, "two", 2000)


async def test_utterances_of_a_later_stream_count_from_the_calls_beginning(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    tool = calls_pb2.ToolActivity(id="t", name="look_up", arguments="{}", status="running")
    tool.started_at.GetCurrentTime()
    media.report(tool_started=tool)
    await media.acknowledged(media.report(turn=turn(1, "Hi")))
    under_way(media, turn(2, "When do"))
    await media.acknowledged(media.report(latency=calls_pb2.TurnLatency(turn_seq=1)))
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE call_streams SET opened_at = opened_at - interval '1 minute'")
    session = await joined_again(edge, media, call_id)
    again = Media(edge)
    again.call_id, again.session = call_id, session
    stream = events(http, call_id)
    seen: list[Any] = [await event(stream) for _ in range(6)]
    assert [each.event for each in seen[2:]] == [
        "tool.started",
        "transcript.turn",
        "transcript.turn",
        "tool.finished",
    ], "who died finished neither its turn nor its tool"
    assert (seen[4].data["item_id"], seen[4].data["text"]) == ("1-item2", "When do")
    assert (seen[5].data["id"], seen[5].data["status"], seen[5].data["name"]) == ("t", "lost", "look_up")
    assert seen[5].data["duration_ms"] >= 0
    spoken = delta(turn(1, "Sorry", stream=2), "Sorry")
    call = runtime_pb2.CallDelta(call_id=call_id, delta=spoken, stream_number=2)
    up = runtime_pb2.LinkUp(deltas=runtime_pb2.CallDeltas(deltas=[call]))
    async with talking(lambda: again.ups.put_nowait(up)):
        live = await event(stream)
    assert live.data["item_id"] == "2-item1" and 61_000 <= live.data["start_ms"] < 120_000
