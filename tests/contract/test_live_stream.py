"""`/api/calls/{id}/stream`: what was stored, then what happens, resumed where it was left, until the call is over."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from control.calls.reports import apply_batch
from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2, runtime_pb2, runtime_pb2_grpc
from storage.db import UNAVAILABLE
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.support.endings import ends_are_told
from tests.support.present import present
from tests.support.waits import patience

__all__ = ["ends_are_told"]
pytestmark = pytest.mark.usefixtures("ends_are_told")


@dataclass
class Sent:
    event: str
    data: Any
    id: int | None


async def events(http: httpx.AsyncClient, call_id: str, last: int | None = None) -> AsyncGenerator[Sent | str, None]:
    """The events of a stream; comments come as text."""
    headers = {"Last-Event-ID": str(last)} if last is not None else {}
    async with http.stream("GET", f"/api/calls/{call_id}/stream", headers=headers, timeout=60) as answer:
        if answer.is_error:
            raise httpx.HTTPStatusError(str(await answer.aread()), request=answer.request, response=answer)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        found: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line.startswith(":"):
                yield line
            elif line:
                name, _, value = line.partition(": ")
                found[name] = value
            elif "event" in found:
                yield Sent(found["event"], json.loads(found["data"]), int(found["id"]) if "id" in found else None)
                found = {}


async def event(stream: AsyncIterator[Sent | str]) -> Sent:
    """The next event, past the comments."""
    async for each in stream:
        if isinstance(each, Sent):
            return each
    raise AssertionError("the stream ended")


class Media:
    """A media process, as control sees one."""

    def __init__(self, edge: Edge, node: str = "m1") -> None:
        self.stub = runtime_pb2_grpc.MediaServiceStub(edge.plane.channel)
        self.ups: asyncio.Queue[runtime_pb2.LinkUp] = asyncio.Queue()
        self.link = self.stub.Link(self._sending(), metadata=edge.plane.node("media", node))
        self.seqs = {"batch": 0, "report": 0}
        self.call_id, self.stream_number = "", 1
        self.session = runtime_pb2.OpenSessionResponse()

    async def _sending(self) -> AsyncIterator[runtime_pb2.LinkUp]:
        yield runtime_pb2.LinkUp(hello=runtime_pb2.LinkHello())
        while True:
            yield await self.ups.get()

    def report(self, *, batch_seq: int | None = None, seq: int | None = None, **what: Any) -> int:
        self.seqs["batch"] += batch_seq is None
        self.seqs["report"] += seq is None
        report = runtime_pb2.Report(
            stream_number=self.stream_number,
            call_id=self.call_id,
            seq=self.seqs["report"] if seq is None else seq,
            **what,
        )
        report.at.FromDatetime(datetime.now(UTC))
        number = self.seqs["batch"] if batch_seq is None else batch_seq
        self.ups.put_nowait(runtime_pb2.LinkUp(batch=runtime_pb2.ReportBatch(seq=number, reports=[report])))
        return number

    def speak(self, *deltas: calls_pb2.TranscriptDelta) -> None:
        batch = runtime_pb2.CallDeltas()
        for delta in deltas:
            batch.deltas.add(call_id=self.call_id, delta=delta).at.FromDatetime(datetime.now(UTC))
        self.ups.put_nowait(runtime_pb2.LinkUp(deltas=batch))

    def answer(self, command: runtime_pb2.CallCommand, outcome: str = "done") -> None:
        answer = runtime_pb2.CommandAnswer(command_id=command.command_id, outcome=outcome)
        self.ups.put_nowait(runtime_pb2.LinkUp(answer=answer))

    async def acknowledged(self, seq: int) -> None:
        async for down in self.link:
            if down.WhichOneof("down") == "acknowledged_seq" and down.acknowledged_seq >= seq:
                return

    async def tool_result(self) -> runtime_pb2.ToolResult:
        async for down in self.link:
            if down.WhichOneof("down") == "tool_result":
                return down.tool_result
        raise AssertionError("the link ended")

    async def command(self) -> runtime_pb2.CallCommand:
        async for down in self.link:
            if down.WhichOneof("down") == "command":
                return down.command
        raise AssertionError("the link ended")


async def in_progress(edge: Edge, **flow: Any) -> tuple[httpx.AsyncClient, Media, str]:
    http = await flow_with_number(edge, **flow)
    media = await answered(edge)
    return http, media, media.call_id


async def answered(edge: Edge, path: str = "/twilio/voice", form: dict[str, str] = CALL) -> Media:
    """A call whose webhook is this one, as the media process that has its stream sees it."""
    text = (await post(edge, path, form)).text
    token = text.partition('name="token" value="')[2].partition('"')[0]
    media = Media(edge)
    opening = runtime_pb2.OpenSessionRequest(token=token, call_sid="CA1", stream_sid="MZ1", node="m1")
    media.session = await media.stub.OpenSession(opening, metadata=edge.plane.node())
    media.call_id = media.session.call_id
    media.report(started=runtime_pb2.StreamStarted(stream_sid="MZ1"))
    async with patience(), edge.plane.control.db.system() as tx:
        while await tx.fetchval("SELECT status FROM calls WHERE call_sid = 'CA1'") != "in_progress":
            await asyncio.sleep(0.01)
    return media


def turn(seq: int, role: int, text: str) -> calls_pb2.Turn:
    return calls_pb2.Turn(seq=seq, role=role, text=text, start_ms=seq * 1000, end_ms=seq * 1000 + 500)  # type: ignore[arg-type]


async def test_replay_then_live_then_over(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(media.report(turn=turn(1, calls_pb2.SPEAKER_AGENT, "Hi")))
    stream = events(http, call_id)
    seen = [await event(stream) for _ in range(3)]
    assert [(each.event, each.id) for each in seen] == [("call.state", 1), ("call.state", 2), ("transcript.turn", 3)]
    assert seen[2].data["role"] == "agent"
    watch = await media.command()
    assert (watch.call_id, watch.watch.for_ms) == (call_id, 30_000)
    delta = calls_pb2.TranscriptDelta(role=calls_pb2.SPEAKER_CALLER, item_id="i", text="Hel")
    media.speak(delta)
    live = await event(stream)
    assert (live.event, live.data["text"], live.id) == ("transcript.delta", "Hel", None)
    media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=9000))
    rest = [each async for each in stream if isinstance(each, Sent)]
    assert [(each.event, each.data.get("reason"), each.id) for each in rest] == [("call.ended", "caller", 4)]
    again = [each async for each in events(http, call_id, last=2) if isinstance(each, Sent)]
    assert [each.id for each in again] == [3, 4]
    done = await http.get(f"/api/calls/{call_id}/stream", headers={"Last-Event-ID": "4"})
    assert done.status_code == 204
    bad = await http.get(f"/api/calls/{call_id}/stream", headers={"Last-Event-ID": "x"})
    assert bad.status_code == 400


async def test_reports_are_stored_once_however_often_they_come(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    first = media.report(turn=turn(1, calls_pb2.SPEAKER_CALLER, "one"))
    await media.acknowledged(first)
    media.report(batch_seq=first, turn=turn(1, calls_pb2.SPEAKER_CALLER, "one"), seq=2)  # the batch again
    await media.acknowledged(media.report(seq=2, turn=turn(1, calls_pb2.SPEAKER_CALLER, "other")))  # the report again
    media.seqs["report"] = 2
    await media.acknowledged(media.report(turn=turn(2, calls_pb2.SPEAKER_AGENT, "two")))
    call = (await http.get(f"/api/calls/{call_id}")).json()
    assert [(each["seq"], each["text"]) for each in call["transcript"]] == [(1, "one"), (2, "two")]


async def test_what_a_call_leaves_behind(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    why: dict[str, Any] = {"onset": "hiss", "reason": "kept_speaking", "decided_ms": 900, "spoken_ms": 360}
    media.report(interruption=calls_pb2.Interruption(at_ms=500, heard_ms=300, reaction_ms=60, verdict="cut", **why))
    for ms in (400, 800):
        media.report(
            latency=calls_pb2.TurnLatency(turn_seq=2, first_sound_ms=ms, first_answer_ms=ms, ours_ms=5, model_ms=ms - 5)
        )
    tool = calls_pb2.ToolActivity(id="t", name="lookup", arguments='{"a": 1}', status="running")
    tool.started_at.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    media.report(tool_started=tool)
    tool.status, tool.result, tool.duration_ms = "ok", "not json", 40
    media.report(tool_finished=tool)
    media.report(announcement_played=runtime_pb2.AnnouncementPlayed(at_ms=100))
    await media.acknowledged(
        media.report(ended=runtime_pb2.StreamEnded(reason="model_lost", at_ms=9000, detail="gone\0"))
    )
    call = (await http.get(f"/api/calls/{call_id}")).json()
    assert (call["status"], call["end_reason"], call["announcement_played_ms"]) == ("failed", "model_lost", 100)
    assert call["latency"]["first_sound_ms"] == {"p50": 400, "p95": 800}
    assert call["interruptions"][0] == {
        "at_ms": 500,
        "heard_ms": 300,
        "reaction_ms": 60,
        "verdict": "cut",
        "turn_seq": None,
        "turn_start_ms": None,
        "turn_end_ms": None,
        "onset": "hiss",
        "reason": "kept_speaking",
        "decided_ms": 900,
        "spoken_ms": 360,
    }
    (activity,) = call["tool_activity"]
    assert (activity["status"], activity["arguments"], activity["result"], activity["duration_ms"]) == (
        "ok",
        {"a": 1},
        "not json",
        40,
    )
    assert call["recording_url"] is None and call["summary"] is None
    assert (await http.get(f"/api/calls/{call_id}/recording")).status_code == 404


async def test_what_did_not_stop_the_agent_is_kept_up_to_a_bound_and_counted_beyond(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    for n in range(52):
        media.report(refused_onset=calls_pb2.RefusedOnset(at_ms=n, until_ms=n + 40, onset="voice", reason="echo"))
    media.report(onsets_refused=runtime_pb2.OnsetsRefused(more=7))
    await media.acknowledged(media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=9000)))
    call = (await http.get(f"/api/calls/{call_id}")).json()
    assert [each["at_ms"] for each in call["refused_onsets"]] == list(range(50)) and call["more_refused_onsets"] == 9
    assert call["refused_onsets"][0] == {"at_ms": 0, "until_ms": 40, "onset": "voice", "reason": "echo"}
    assert call["interruptions"] == []
    told = [each async for each in events(http, call_id, last=0) if isinstance(each, Sent)]
    assert [each.data["at_ms"] for each in told if each.event == "onset.refused"] == list(range(50))


async def test_hang_up_reaches_the_media_process(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(media.report(turn=turn(1, calls_pb2.SPEAKER_AGENT, "Hi")))
    asking = asyncio.create_task(http.post(f"/api/calls/{call_id}/hangup"))
    command = await media.command()
    assert (command.call_id, command.WhichOneof("command")) == (call_id, "hang_up")
    media.answer(command)
    media.report(ended=runtime_pb2.StreamEnded(reason="hang_up", at_ms=10))
    answer = await asking
    assert (answer.status_code, answer.json()["id"]) == (200, call_id)
    assert (answer.json()["status"], answer.json()["end_reason"]) == ("completed", "hang_up")
    assert edge.plane.carrier.ended == [], "the media process has done it"
    over = await http.post(f"/api/calls/{call_id}/hangup")
    assert (over.status_code, over.json()["error"]["code"]) == (409, "invalid_state")


async def test_a_revoked_key_ends_the_stream(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(media.report(turn=turn(1, calls_pb2.SPEAKER_AGENT, "Hi")))
    key = (await http.get("/api/api-keys")).json()["api_keys"][0]
    stream = events(http, call_id)
    await anext(stream)
    assert (await http.delete(f"/api/api-keys/{key['id']}")).status_code == 204
    async with patience():
        async for _ in stream:
            pass
    assert (await http.get("/api/calls")).status_code == 401


async def test_another_tenants_stream_is_not_there(edge: Edge) -> None:
    _, _, call_id = await in_progress(edge)
    other = await edge.client("Other")
    for path in ("", "/stream", "/recording"):
        assert (await other.get(f"/api/calls/{call_id}{path}")).status_code == 404
    assert (await other.get("/api/calls")).json()["calls"] == []


async def test_filters_and_pages(edge: Edge) -> None:
    http = await flow_with_number(edge)
    for n in range(5):
        await post(edge, "/twilio/voice", {**CALL, "CallSid": f"CA{n}", "From": f"+1317555019{n}"})
    await post(edge, "/twilio/voice/status", {**CALL, "CallSid": "CA0", "CallStatus": "busy"})
    async with edge.plane.control.db.system() as tx:
        (org,) = await tx.fetch("SELECT org_id FROM organizations")
        rows = await tx.fetch("SELECT id FROM calls ORDER BY call_sid")
    async with edge.plane.control.db.tenant(org["org_id"]) as tx:
        for row in rows:
            await tx.execute("SELECT hum.index_call($1)", row["id"])
        await tx.execute(
            "INSERT INTO call_tags SELECT org_id, id, 'vip', created_at FROM calls WHERE id = $1", rows[1]["id"]
        )

    async def found(**by: str) -> list[str]:
        answer = await http.get("/api/calls", params=by)
        assert answer.status_code == 200, answer.text
        return [call["from"][-1] for call in answer.json()["calls"]]

    everything = ["4", "3", "2", "1", "0"]
    assert await found() == everything
    assert await found(status="busy") == ["0"]
    assert await found(direction="outbound") == []
    assert await found(q="13175550193") == ["3"]
    assert await found(q="nonsense") == []
    assert await found(contact="+1 317 555 0192") == ["2"]
    assert await found(tag="vip") == ["1"]
    assert await found(flow_id="flow_x") == []
    assert await found(**{"from": "2020-01-01T00:00:00Z"}) == everything
    assert await found(to="2020-01-01T00:00:00Z") == []
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await http.get("/api/calls", params={"limit": "2", **cursor})).json()
        seen += [call["from"][-1] for call in page["calls"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
        await post(edge, "/twilio/voice", {**CALL, "CallSid": f"CAnew{len(seen)}", "From": "+13175550198"})
    assert seen == everything, "pages are stable while calls come in"
    stolen = await http.get("/api/calls", params={**cursor, "status": "busy"})
    assert stolen.json()["error"]["code"] == "invalid_cursor"
    assert ids.parse(Kind.CALL, page["calls"][0]["id"]) is not None


async def test_a_reader_who_leaves_takes_nothing_from_the_others(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    staying, leaving = events(http, call_id), events(http, call_id)
    for stream in (staying, leaving):
        assert [(await event(stream)).event for _ in range(2)] == ["call.state", "call.state"]
        assert (await media.command()).watch.for_ms == 30_000
    await leaving.aclose()
    media.speak(calls_pb2.TranscriptDelta(role=calls_pb2.SPEAKER_CALLER, item_id="i", text="Still here"))
    assert (await event(staying)).data["text"] == "Still here"
    media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=9000))
    assert (await event(staying)).event == "call.ended"
    commands = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.3):  # meant to run out
            commands.append(await media.command())
    assert commands == [], "the media process was not asked to stop"


async def test_a_report_that_can_not_be_stored_stops_none_behind_it(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    media.report(turn=turn(1, calls_pb2.SPEAKER_CALLER, "a\0b"))
    owner = await asyncpg.connect(edge.plane.control.db.url)
    await owner.execute("ALTER TABLE call_turns ADD CONSTRAINT bad CHECK (text <> 'bad')")
    await owner.close()
    media.report(turn=turn(2, calls_pb2.SPEAKER_AGENT, "bad"))
    await media.acknowledged(media.report(turn=turn(3, calls_pb2.SPEAKER_AGENT, "good")))
    call = (await http.get(f"/api/calls/{call_id}")).json()
    assert [each["text"] for each in call["transcript"]] == ["a\ufffdb", "good"]
    async with edge.plane.control.db.system() as tx:
        aside = present(await tx.fetchrow("SELECT node, reason, report FROM reports_set_aside"))
    assert aside["node"] == "m1" and "CheckViolation" in aside["reason"]
    assert runtime_pb2.Report.FromString(aside["report"]).turn.text == "bad"


async def test_a_report_waits_while_the_database_has_no_room(edge: Edge) -> None:
    """It is the database that fails, and not the report: nothing is set aside."""
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    owner = await asyncpg.connect(edge.plane.control.db.url)
    await owner.execute(
        """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql
           AS $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
           CREATE TRIGGER full_disk BEFORE INSERT ON call_turns FOR EACH ROW EXECUTE FUNCTION full_disk()"""
    )
    report = runtime_pb2.Report(
        call_id=call_id, stream_number=1, seq=99, turn=turn(1, calls_pb2.SPEAKER_CALLER, "Hello")
    )
    report.at.FromDatetime(datetime.now(UTC))
    batch = runtime_pb2.ReportBatch(seq=2, reports=[report])
    with pytest.raises(UNAVAILABLE):
        await apply_batch(edge.plane.control.db, "m2", batch)
    async with edge.plane.control.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM reports_set_aside") == 0
    await owner.execute("DROP TRIGGER full_disk ON call_turns")
    await owner.close()
    await apply_batch(edge.plane.control.db, "m2", batch)
    call = (await http.get(f"/api/calls/{call_id}")).json()
    assert [each["text"] for each in call["transcript"]] == ["Hello"]


async def test_words_that_come_at_once_travel_together(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    stream = events(http, call_id)
    assert [(await event(stream)).event for _ in range(2)] == ["call.state", "call.state"]
    await media.command()
    texts = [f"word {n} " + "x" * 50 for n in range(600)]
    media.speak(*(calls_pb2.TranscriptDelta(role=calls_pb2.SPEAKER_AGENT, item_id="i", text=text) for text in texts))
    assert [(await event(stream)).data["text"] for _ in texts] == texts
