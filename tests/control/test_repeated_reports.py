"""A report that comes again, or late, changes nothing: each fact of a call is a row of its own."""

import json
from datetime import UTC, datetime
from typing import Any

from control.calls.reports import apply_batch
from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2, runtime_pb2
from storage import call_records, flow_switches, pauses
from storage.flow_switches import SwitchRow
from storage.pauses import PauseRow
from tests.control.test_orphans import Desk, desk
from tests.support import callfacts

__all__ = ["desk"]
AT = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)


async def test_a_report_that_is_stored_changes_nothing(desk: Desk) -> None:
    """Whatever its stream and its link have counted, as for a report that was quarantined."""
    await desk.call_of("media-1")
    await desk.stream("media-1")
    async with desk.db.system() as tx:
        flow = await callfacts.new_flow(tx, await tx.fetchval("SELECT org_id FROM calls"))
    took_over = runtime_pb2.FlowTookOver(flow_id=ids.show(Kind.FLOW, flow), flow_version=1, at_ms=4_000)
    told = calls_pb2.Intervention(
        id=ids.show(Kind.INTERVENTION, ids.new()), kind="say", text="One\0moment.", at_ms=5_000
    )
    begun = calls_pb2.ToolActivity(id="1", name="end_call", arguments="{}", status="running")
    begun.started_at.FromDatetime(AT)
    over = calls_pb2.ToolActivity(id="1", name="end_call", arguments="{}", result="{}", status="ok", duration_ms=40)
    over.started_at.FromDatetime(AT)
    facts: list[dict[str, Any]] = [
        {"interruption": calls_pb2.Interruption(at_ms=1)},
        {"latency": calls_pb2.TurnLatency(ours_ms=5)},
        {"digits": runtime_pb2.DigitsPressed(digits="4", at_ms=9)},
        {"onsets_refused": runtime_pb2.OnsetsRefused(more=3)},
        {"flow_took_over": took_over},
        {"intervention": told},
        {"recording_pause": calls_pb2.RecordingPause(start_ms=6_000, cause="keys")},
        {"tool_started": begun},
        {"tool_finished": over},
    ]
    id = ids.show(Kind.CALL, desk.call)
    reports = [runtime_pb2.Report(call_id=id, stream_number=1, seq=seq, **fact) for seq, fact in enumerate(facts, 1)]
    states = []
    for _ in range(2):
        await apply_batch(desk.db, "media-1", runtime_pb2.ReportBatch(seq=1, reports=reports))
        async with desk.db.system() as tx:
            rows = [await tx.fetchval(f"SELECT count(*) FROM {table}") for table in callfacts.TABLES]
            events = await tx.fetchval("SELECT count(*) FROM events")
            streamed = [row["type"] for row in await tx.fetch("SELECT type FROM call_events ORDER BY seq")]
            states.append((rows, events, streamed, await call_records.detail(tx, desk.call)))
            await tx.execute("UPDATE media_links SET batch_seq = 0")
            await tx.execute("UPDATE call_streams SET report_seq = 0")
    assert set(states[0][0]) == {1}
    assert [type for type in states[0][2] if type.startswith("tool.")] == ["tool.started", "tool.finished"]
    assert states[0] == states[1]


async def test_a_switch_that_is_reported_late_takes_the_call_from_nobody(desk: Desk) -> None:
    await desk.call_of("media-1")
    async with desk.db.system() as tx:
        org = await tx.fetchval("SELECT org_id FROM calls")
        first, second = [await callfacts.new_flow(tx, org) for _ in range(2)]
        assert await flow_switches.add(tx, org, desk.call, SwitchRow(1, 7, second, 1, 9_000))
        assert await flow_switches.add(tx, org, desk.call, SwitchRow(1, 5, first, 1, 4_000))
        assert await flow_switches.current(tx, desk.call) == second
        switches = (await call_records.detail(tx, desk.call)).flow_switches
    assert [json.loads(switch)["at_ms"] for switch in switches] == [4_000, 9_000]


async def test_a_beginning_of_a_pause_that_is_reported_late_does_not_open_it_again(desk: Desk) -> None:
    await desk.call_of("media-1")
    async with desk.db.system() as tx:
        org = await tx.fetchval("SELECT org_id FROM calls")
        for report_seq, start_ms, end_ms in ((3, 500, 900), (2, 500, None), (7, 2_000, 2_000), (8, 2_000, None)):
            await pauses.upsert(tx, org, desk.call, PauseRow(1, report_seq, start_ms, end_ms, "keys"))
        stored = (await call_records.detail(tx, desk.call)).recording_pauses
    assert [json.loads(pause)["end_ms"] for pause in stored] == [900, None], "one of no length was begun anew"
