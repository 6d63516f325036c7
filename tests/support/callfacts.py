"""A call's facts as its media process reports them, one of each."""

from uuid import UUID

from hum import ids
from storage import flow_switches, interruptions, interventions, keypad, latencies, onsets, pauses, stages
from storage.db import Tx
from storage.flow_switches import SwitchRow
from storage.interruptions import InterruptionRow
from storage.interventions import InterventionRow
from storage.latencies import LatencyRow
from storage.onsets import OnsetRow
from storage.pauses import PauseRow

TABLES = (
    "call_interruptions",
    "call_turn_latencies",
    "call_keypad_entries",
    "call_refused_onsets",
    "call_flow_switches",
    "call_interventions",
    "call_recording_pauses",
)


async def add(tx: Tx, org: UUID, call: UUID) -> None:
    """Store a row in each of the tables."""
    await interruptions.add(tx, org, call, InterruptionRow(1, 1, 0, 0, 0, "cut", 1, None, None, None, None))
    await latencies.add(tx, org, call, LatencyRow(1, 2, 2, 500, 500, 5, 400))
    await keypad.upsert(tx, org, call, 0, "1", 1)
    await onsets.add(tx, org, call, OnsetRow(1, 3, 0, 40, "voice", "echo"), 1)
    await flow_switches.add(tx, org, call, SwitchRow(1, 4, await new_flow(tx, org), 1, 4_000))
    await interventions.add(tx, org, call, InterventionRow(1, 5, ids.new(), "instruct", "Hurry.", "Ann", None, 5_000))
    await stages.add(tx, org, call, "mind", "qwen3-8b", 400, None)
    await pauses.upsert(tx, org, call, PauseRow(1, 6, 6_000, None, "keys"))


async def new_flow(tx: Tx, org: UUID) -> UUID:
    id = ids.new()
    await tx.execute("INSERT INTO flows (id, org_id, channel, version) VALUES ($1, $2, 'voice', 1)", id, org)
    return id
