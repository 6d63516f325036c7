"""A media process dies under a call: control keeps what was being said, and the next stream's agent goes on with it."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from control.calls import ending
from control.retention import files
from hum.objects.files import Files
from hum.v1 import calls_pb2, runtime_pb2
from hum.wave import BLOCK, BYTES_PER_MS, HEADER, header
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, post
from tests.contract.test_live_stream import Media, in_progress, turn

AGENT, CALLER = calls_pb2.SPEAKER_AGENT, calls_pb2.SPEAKER_CALLER
FLOW = {"greeting": "Hello and welcome.", "language": "de-DE", "announce_recording": True}


def said(seq: int, role: int, text: str, heard: str, end_ms: int) -> calls_pb2.Turn:
    made = turn(seq, role, text)
    made.heard_text, made.end_ms, made.interrupted = heard, end_ms, True
    return made


def under_way(media: Media, *turns: calls_pb2.Turn) -> None:
    call = runtime_pb2.CallUnderWay(call_id=media.call_id, stream_number=1, turns=turns)
    media.ups.put_nowait(runtime_pb2.LinkUp(under_way=runtime_pb2.CallsUnderWay(calls=[call])))


async def half_a_sentence(edge: Edge) -> tuple[httpx.AsyncClient, Media, str]:
    """A call whose media process was last heard of in the middle of an answer."""
    http, media, call_id = await in_progress(edge, **FLOW)
    media.report(announcement_played=runtime_pb2.AnnouncementPlayed(at_ms=900))
    media.report(turn=turn(1, AGENT, "Hello and welcome."))
    await media.acknowledged(media.report(turn=turn(2, CALLER, "When do you open?")))
    under_way(media, said(3, AGENT, "We open", "We", 3_500))
    under_way(media, said(3, AGENT, "We open at nine and close", "We open at", 4_500))
    await media.acknowledged(media.report(latency=calls_pb2.TurnLatency(turn_seq=3)))
    return http, media, call_id


async def joined_again(edge: Edge, media: Media, call_id: str) -> runtime_pb2.OpenSessionResponse:
    """The media process died, and another has the call."""
    return await opened(edge, media, await offered_again(edge, media, call_id))


async def offered_again(edge: Edge, media: Media, call_id: str) -> str:
    """The media process died, and the carrier is offered another stream: its token."""
    media.link.cancel()
    text = (await post(edge, f"/twilio/voice/next/{call_id}", CALL)).text
    return text.partition('name="token" value="')[2].partition('"')[0]


async def opened(edge: Edge, media: Media, token: str) -> runtime_pb2.OpenSessionResponse:
    opening = runtime_pb2.OpenSessionRequest(token=token, call_sid="CA1", stream_sid="MZ2", node="m2")
    return await media.stub.OpenSession(opening, metadata=edge.plane.node())


async def change(edge: Edge, statement: str) -> None:
    async with edge.plane.control.db.system() as tx:
        await tx.execute(statement)


async def transcript(http: httpx.AsyncClient, call_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await http.get(f"/api/calls/{call_id}")).json()["transcript"]
    return found


async def test_the_next_stream_knows_what_was_heard(edge: Edge) -> None:
    http, media, call_id = await half_a_sentence(edge)
    assert not media.session.so_far
    assert media.session.announce_recording
    assert "resumed" not in [clip.kind for clip in media.session.clips]
    await change(edge, "UPDATE call_streams SET under_way_at = now() - interval '2 seconds'")
    session = await joined_again(edge, media, call_id)
    assert session.stream_number == 2
    assert [(each.role, each.text) for each in session.so_far] == [
        (AGENT, "Hello and welcome."),
        (CALLER, "When do you open?"),
        (AGENT, "We open at"),
    ]
    clips = {clip.kind: clip.text for clip in session.clips}
    assert "greeting" not in clips
    assert clips["resumed"] == "Entschuldigung, da bin ich wieder."
    assert (session.announce_recording, session.recording_enabled) == (False, True)

    heard = (await transcript(http, call_id))[-1]
    assert (heard["text"], heard["heard_text"]) == ("We open at nine and close", "We open at")
    assert (heard["role"], heard["interrupted"], heard["end_ms"]) == ("agent", True, 4_500)


async def test_a_gap_that_nobody_noticed_needs_no_apology(edge: Edge) -> None:
    _, media, call_id = await half_a_sentence(edge)
    await change(edge, "UPDATE call_streams SET under_way_at = now() + interval '1 hour'")
    session = await joined_again(edge, media, call_id)
    assert session.so_far, "the agent goes on by itself"
    assert not {"greeting", "resumed"} & {clip.kind for clip in session.clips}


@pytest.mark.parametrize(
    ("before", "apologizes"),
    [
        ("UPDATE calls SET offered_at = offered_at + interval '1 hour'", False),
        ("UPDATE calls SET offered_at = offered_at - interval '2 seconds'", True),
        ("UPDATE calls SET lost_at = now()", True),
    ],
    ids=["at once", "a moment later", "the carrier noticed late"],
)
async def test_a_gap_in_which_nobody_spoke_is_counted_from_the_offer(edge: Edge, before: str, apologizes: bool) -> None:
    _, media, call_id = await in_progress(edge, **FLOW)
    await media.acknowledged(media.report(turn=turn(1, AGENT, "Hello and welcome.")))
    token = await offered_again(edge, media, call_id)
    await change(edge, before)
    session = await opened(edge, media, token)
    assert ("resumed" in {clip.kind for clip in session.clips}) is apologizes


async def test_the_longest_call_is_counted_from_its_answer(edge: Edge) -> None:
    """A stream that is lost gives nobody more time."""
    _, media, call_id = await half_a_sentence(edge)
    assert media.session.max_call_seconds == 1800
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET answered_at = answered_at - interval '10 minutes'")
    session = await joined_again(edge, media, call_id)
    assert 1100 <= session.max_call_seconds <= 1200


async def test_a_last_report_that_comes_late_is_the_turn(edge: Edge) -> None:
    http, media, call_id = await half_a_sentence(edge)
    await joined_again(edge, media, call_id)
    late = Media(edge)  # another process, which sends what lay on the dead one's disk
    late.call_id, late.seqs = call_id, dict(media.seqs)
    late.seqs["batch"] = media.seqs["batch"]
    await late.acknowledged(late.report(turn=said(3, AGENT, "We open at nine and close", "We open at nine", 4_900)))
    turns = await transcript(http, call_id)
    assert [(each["seq"], each["heard_text"]) for each in turns if each["role"] == "agent"][-1] == (
        3,
        "We open at nine",
    )
    assert len(turns) == 3


async def test_a_call_that_nobody_takes_up_again_keeps_its_last_sentence(edge: Edge) -> None:
    http, media, call_id = await half_a_sentence(edge)
    media.link.cancel()
    await post(edge, "/twilio/voice/status", {**CALL, "CallStatus": "completed"})
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET carrier_ended_at = now() - interval '1 hour'")
    assert await ending.close_stale_calls(edge.plane.control.db, 30) == 1
    assert (await transcript(http, call_id))[-1]["heard_text"] == "We open at"


async def test_a_call_that_ends_in_order_has_its_final_turns_alone(edge: Edge) -> None:
    http, media, call_id = await half_a_sentence(edge)
    media.report(turn=turn(3, AGENT, "We open at nine and close at six."))
    under_way(media, said(4, AGENT, "stale", "stale", 9_000))
    await media.acknowledged(media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=9_000)))
    assert [each["text"] for each in await transcript(http, call_id)][2:] == ["We open at nine and close at six."]


async def test_a_stream_that_said_nothing_is_followed_by_a_greeting(edge: Edge) -> None:
    _, media, call_id = await in_progress(edge, **FLOW)
    session = await joined_again(edge, media, call_id)
    assert session.stream_number == 2
    assert not session.so_far
    assert "greeting" in [clip.kind for clip in session.clips]
    assert session.announce_recording


async def test_nonsense_under_way_breaks_no_link(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    for call in ("", "call_nonsense", "call_01HVN000000000000000000000"):
        unknown = runtime_pb2.CallUnderWay(call_id=call, stream_number=7, turns=[turn(1, AGENT, "?")])
        media.ups.put_nowait(runtime_pb2.LinkUp(under_way=runtime_pb2.CallsUnderWay(calls=[unknown])))
    under_way(media, turn(1, AGENT, "a" * 100_000))
    under_way(media, turn(1, AGENT, "with a \0"))
    await asyncio.wait_for(media.acknowledged(media.report(latency=calls_pb2.TurnLatency(turn_seq=1))), 60)
    session = await joined_again(edge, media, call_id)
    assert [each.text for each in session.so_far] == ["with a \ufffd"]
    assert len(await transcript(http, call_id)) == 1


async def test_a_stream_that_is_lost_in_a_pause_of_the_recording_is_followed_by_one_that_begins_in_it(
    edge: Edge,
) -> None:
    rules = {"pause_on": {"keys": True, "phrases": ["card number"]}, "longest_pause_seconds": 60}
    http, media, call_id = await in_progress(edge, **FLOW, recording_rules_json=rules)
    assert (json.loads(media.session.recording_rules_json), media.session.recording_paused) == (rules, False)
    switches = {tool.name: tool.recording for tool in media.session.tools if tool.recording}
    assert switches == {
        "pause_recording": runtime_pb2.RECORDING_SWITCH_PAUSE,
        "resume_recording": runtime_pb2.RECORDING_SWITCH_RESUME,
    }
    assert not any(tool.HasField("outcome") for tool in media.session.tools if tool.recording)
    for pause in (
        calls_pb2.RecordingPause(start_ms=100, cause="keys"),
        calls_pb2.RecordingPause(start_ms=100, end_ms=500),
        calls_pb2.RecordingPause(start_ms=900, cause="tool"),
    ):
        await media.acknowledged(media.report(recording_pause=pause))
    told = (await http.get(f"/api/calls/{call_id}")).json()["recording_pauses"]
    assert [(each["start_ms"], each["end_ms"], each["cause"]) for each in told] == [
        (100, 500, "keys"),
        (900, None, "tool"),
    ]
    assert (await joined_again(edge, media, call_id)).recording_paused


async def test_a_flow_that_keeps_nothing_has_nothing_to_pause(edge: Edge) -> None:
    _, media, _ = await in_progress(edge, recording_enabled=False)
    assert [tool.name for tool in media.session.tools if tool.recording] == []
    bad = {"pause_on": {"keys": "often"}}, {"pause_on": ["keys"]}, {"longest_pause_seconds": 1}, {"phrases": ["x"]}
    http = await edge.client("Other")
    for rules in bad:
        answer = await http.post("/api/flows", json={"name": "F", "recording_rules_json": rules})
        assert answer.status_code == 400, rules


async def test_a_call_of_two_streams_is_one_recording_on_the_clock_of_its_transcript(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge, recording_enabled=True)
    organization = (await http.get("/api/me")).json()["organization"]["id"]
    folder, url = edge.plane.settings.recordings_dir, f"/api/calls/{call_id}/recording"
    (folder / organization).mkdir(parents=True)

    def recorded(name: str, sample: int, ms: int) -> str:
        path = f"{organization}/{name}"
        (folder / path).write_bytes(header(ms * BYTES_PER_MS) + bytes([sample]) * (ms * BYTES_PER_MS))
        return path

    first = recorded(f"{call_id}.wav", 1, 20)
    await media.acknowledged(media.report(recording_started=runtime_pb2.RecordingStarted(path=first)))
    assert (await http.get(url)).status_code == 404, "it is being written"
    await joined_again(edge, media, call_id)
    assert (await http.get(f"/api/calls/{call_id}")).json()["recording_url"] == url
    assert (await http.get(url)).content == (folder / first).read_bytes(), "its process died and never stored it"

    media = Media(edge, "m2")
    media.call_id, media.stream_number = call_id, 2
    second = recorded(f"{call_id}.3.wav", 2, 30)  # a message was removed in between
    said_at = turn(1, CALLER, "Hello?")
    said_at.start_ms, said_at.end_ms = 10, 25
    media.report(turn=said_at)
    media.report(recording=runtime_pb2.RecordingStored(path=second, duration_ms=30, size_bytes=44))
    await media.acknowledged(media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=30)))
    sound, (said_then,) = (await http.get(url)).content, await transcript(http, call_id)
    begins = HEADER.size + (said_then["start_ms"] - 10) * BYTES_PER_MS
    assert said_then["start_ms"] > 30
    assert sound.index(b"\2" * BLOCK) == begins and len(sound) == begins + 30 * BYTES_PER_MS
    assert sound[HEADER.size :].count(b"\1") == 20 * BYTES_PER_MS
    spoken = HEADER.size + said_then["start_ms"] * BYTES_PER_MS
    part = await http.get(url, headers={"Range": f"bytes={spoken - 400}-{spoken - 1}"})
    assert (part.status_code, part.content) == (206, sound[spoken - 400 : spoken])

    assert (await http.delete(f"/api/calls/{call_id}")).status_code == 204
    await files.delete_files_of_calls(edge.plane.control.db, Files(folder), 10)
    assert list(folder.rglob("*.wav")) == []
