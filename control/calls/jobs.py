"""`after_call`: summarizes and judges an ended call, and indexes it for search."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from control.clients.openai import ModelError, Writer
from control.flows.stored import usable
from hum import customerschemas, ids
from hum.ids import Kind
from hum.telemetry import log
from hum.v1 import events_pb2
from storage import call_records, calls, events
from storage.calls import TurnRow
from storage.db import Db

LOG = log(__name__)
LABEL_CHARS = 60

INSTRUCTIONS = """\
You read the transcript of a phone call between a caller and an AI agent of a business, and report on it truthfully, in
the language of the call. Where the agent was interrupted, the caller heard only part of what it says; that part is given.
`text` is a summary of one to three sentences, `key_points` what was said that matters, `next_actions` what somebody must
do now (none if nothing), `label` one or two lower-case words for how the call ended, such as resolved, callback,
appointment, wrong_number.\
"""


def schema(outcome_schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The JSON Schema of the model's answer."""
    strings = {"type": "array", "items": {"type": "string"}, "maxItems": 20}
    properties: dict[str, Any] = {
        "text": {"type": "string"},
        "key_points": strings,
        "next_actions": strings,
        "label": {"type": "string"},
    }
    if outcome_schema is not None:
        properties["outcome"] = dict(outcome_schema)
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def transcript(turns: list[TurnRow]) -> str:
    """The turns as the model reads them."""
    lines = []
    for turn in turns:
        heard = f" [interrupted; the caller heard: {turn.heard_text!r}]" if turn.interrupted else ""
        lines.append(f"{turn.role}: {turn.text or '(not understood)'}{heard}")
    return "\n".join(lines)


async def after_call(db: Db, writer: Writer, org: UUID, id: UUID) -> bool:
    """Summarize a call, once; False when there was nothing to do.  Raises ModelError."""
    async with db.tenant(org) as tx:
        call = await call_records.after_call(tx, id)
        turns = await call_records.turns(tx, id)
    if call is None or call.summarized:
        return False
    spoken = any(turn.role == "caller" and turn.text for turn in turns)
    outcome_schema = None if call.judged else _outcome_schema(call.definition)
    written = await _write(writer, outcome_schema, turns) if spoken else None
    async with db.tenant(org) as tx:
        await calls.lock(tx, id)
        if written is not None:
            summary = {name: written[name] for name in ("text", "key_points", "next_actions")}
            outcome = json.dumps(written["outcome"]) if "outcome" in written else None
            label = str(written["label"]).strip().lower().replace(" ", "_")[:LABEL_CHARS] or None
            if not await call_records.set_summary(tx, id, summary, outcome, label):
                return False  # another worker was faster
            call_id = ids.show(Kind.CALL, id)
            await events.append(tx, org, id, events_pb2.CallSummaryEvent(call_id=call_id, label=label, **summary))
            if outcome is not None:
                judged = events_pb2.CallOutcomeEvent(call_id=call_id, outcome_json=outcome, source="summary")
                await events.append(tx, org, id, judged)
        await call_records.index(tx, id)
    return True


def _outcome_schema(definition: Mapping[str, Any]) -> dict[str, Any] | None:
    stored = usable(definition).get("outcome_schema_json")
    return json.loads(stored) if stored else None


async def _write(writer: Writer, outcome_schema: dict[str, Any] | None, turns: list[TurnRow]) -> dict[str, Any]:
    expected = schema(outcome_schema)
    written = await writer.write(INSTRUCTIONS, transcript(turns), expected)
    if errors := customerschemas.errors(expected, written):
        # A summary is worth having even if the outcome does not match the customer's schema.
        without = {name: part for name, part in written.items() if name != "outcome"}
        problem = errors[0].message[:300]
        if customerschemas.errors(schema(None), without):
            raise ModelError(f"the model's summary does not match its schema: {problem}")
        LOG.warning("the model's outcome does not match the flow's schema", problem=problem)
        return without
    return written
