"""A long transcript, page by page, and the stream from where a record ends."""

from typing import Any

import httpx

from hum.v1 import calls_pb2, runtime_pb2
from tests.contract.conftest import Edge
from tests.contract.test_live_stream import in_progress, turn

TURNS = 12


async def spoken(edge: Edge) -> tuple[httpx.AsyncClient, Any, str]:
    http, media, call_id = await in_progress(edge)
    for seq in range(1, TURNS + 1):
        acknowledged = media.report(turn=turn(seq, 1 + seq % 2, f"sentence {seq}"))
    await media.acknowledged(acknowledged)
    return http, media, call_id


async def test_a_call_begins_with_its_latest_turns_and_the_rest_follows(edge: Edge) -> None:
    http, _, call_id = await spoken(edge)
    whole = (await http.get(f"/api/calls/{call_id}")).json()
    assert len(whole["transcript"]) == TURNS and whole["earlier_turns_cursor"] is None
    call = (await http.get(f"/api/calls/{call_id}", params={"turns": 5})).json()
    assert call["transcript"] == whole["transcript"][-5:], "in the order of speech"
    read, cursor = call["transcript"], call["earlier_turns_cursor"]
    while cursor:
        params = {"limit": 3, "cursor": cursor}
        page = (await http.get(f"/api/calls/{call_id}/turns", params=params)).json()
        assert 1 <= len(page["turns"]) <= 3
        read, cursor = page["turns"][::-1] + read, page["next_cursor"]
    assert read == whole["transcript"], "each once"
    all_of_it = (await http.get(f"/api/calls/{call_id}", params={"turns": TURNS})).json()
    assert (all_of_it["transcript"], all_of_it["earlier_turns_cursor"]) == (whole["transcript"], None)
    latest = (await http.get(f"/api/calls/{call_id}/turns", params={"limit": 2})).json()
    assert [each["seq"] for each in latest["turns"]] == [12, 11], "the latest first"


async def test_what_is_asked_wrongly(edge: Edge) -> None:
    http, _, call_id = await spoken(edge)
    for turns in (0, 201):
        refused = await http.get(f"/api/calls/{call_id}", params={"turns": turns})
        assert [each["field"] for each in refused.json()["error"]["details"]] == ["turns"]
    assert (await http.get(f"/api/calls/call_{'0' * 26}/turns")).status_code == 404
    cursor = (await http.get(f"/api/calls/{call_id}", params={"turns": 5})).json()["earlier_turns_cursor"]
    async with await edge.client("Other") as other:
        path = f"/api/calls/{call_id}/turns"
        assert (await other.get(path, params={"cursor": cursor})).status_code == 404, "a cursor grants no access"


async def test_the_stream_goes_on_where_the_record_ends(edge: Edge) -> None:
    http, media, call_id = await spoken(edge)
    record = (await http.get(f"/api/calls/{call_id}", params={"turns": 2})).json()
    media.report(turn=turn(TURNS + 1, calls_pb2.SPEAKER_CALLER, "one more"))
    await media.acknowledged(media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=99_000)))
    path, last = f"/api/calls/{call_id}/stream", record["last_event_id"]
    text = (await http.get(path, params={"last_event_id": last})).text
    assert (text.count("event: transcript.turn"), text.count("event: call.ended")) == (1, 1)
    assert '"text":"one more"' in text and f"id: {last + 1}\n" in text
    headers = {"Last-Event-ID": str(last + 1)}
    reconnected = (await http.get(path, params={"last_event_id": last}, headers=headers)).text
    assert (reconnected.count("event: "), reconnected.count("event: call.ended")) == (1, 1), "the header holds"
    assert (await http.get(path, params={"last_event_id": last + 2})).status_code == 204
    for bad in ("-1", "x"):
        assert (await http.get(path, params={"last_event_id": bad})).status_code == 400


async def test_an_interruption_says_where_its_turn_is(edge: Edge) -> None:
    http, media, call_id = await spoken(edge)
    for seq in (3, 99):
        cut = calls_pb2.Interruption(at_ms=3200, heard_ms=200, reaction_ms=60, verdict="cut", turn_seq=seq)
        media.report(interruption=cut)
    await media.acknowledged(media.report(announcement_played=runtime_pb2.AnnouncementPlayed(at_ms=100)))
    call = (await http.get(f"/api/calls/{call_id}", params={"turns": 1})).json()
    spans = [(each["turn_start_ms"], each["turn_end_ms"]) for each in call["interruptions"]]
    assert spans == [(3000, 3500), (None, None)], "though its turn is on an earlier page"
