"""The job `after_call`, which summarizes and judges an ended call, and indexes it for search.

It runs again when a call grew after its end: it was closed as lost, and its media process came back with the rest.  If
that includes turns, the call is summarized anew.
"""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from control.clients.openai import ModelError, Writer
from control.flows.definitions import usable
from control.flows.flowchecks import outcome_schema as outcome_of
from control.usage import callentries as usage
from hum import ids
from hum.ids import Kind
from hum.json import customer_schemas
from hum.json.storable import dumped
from hum.observe.logs import log
from hum.v1 import events_pb2
from storage import analytics, call_records, calls, events, voicemails
from storage.calls import TurnRow
from storage.db import Db
from storage.voicemails import VoicemailStateRow

LOG = log(__name__)
LABEL_CHARS = 60

INSTRUCTIONS = """\
You read the transcript of a phone call between a caller and an AI agent of a business, and report on it truthfully, in
the language of the call. Where the agent was interrupted, the caller heard only part of what it says; that part is given.
`text` is a summary of one to three sentences, `key_points` what was said that matters, `next_actions` what somebody must
do now (none if nothing), `label` one or two lower-case words for how the call ended, such as resolved, callback,
appointment, wrong_number, voicemail (all that came of it is a message in the mailbox).\
"""


async def after_call(db: Db, writer: Writer, org: UUID, id: UUID) -> bool:
    """Index a call, and summarize it once for the turns that it has.  Raises ModelError.

    Return False if the call is gone, is summarized with all its turns, or awaits a message's transcript.
    """
    async with db.tenant(org) as tx:
        call = await call_records.after_call(tx, id)
        turns, message = await call_records.turns(tx, id), await voicemails.message(tx, id)
        # The transcription enqueues this again, whether or not it succeeds.
        is_awaited = message is not None and message.is_awaited
        if call is not None and (call.summarized or is_awaited):
            await call_records.index(tx, id)
    if call is not None and call.grew:
        async with db.system() as tx:
            await analytics.recount_grown(tx, id)
    if call is None or call.summarized or is_awaited:
        return False
    has_speech = any(turn.role == "caller" and turn.text for turn in turns) or (message and message.transcript)
    outcome_schema = None if call.reported else outcome_of(usable(call.definition))
    expected = schema(outcome_schema)
    response = await writer.write(INSTRUCTIONS, transcript(turns, message), expected) if has_speech else None
    # As it can be stored: a model may escape half of a surrogate pair.
    answer = _validated(json.loads(dumped(response.answer)), expected) if response else None
    async with db.tenant(org) as tx:
        state = await calls.lock(tx, id)
        if response is not None:
            await usage.record_request_usage(tx, state, "summary", response.spent)
        if answer is not None:
            summary = {name: answer[name] for name in ("text", "key_points", "next_actions")}
            outcome = dumped(answer["outcome"]) if "outcome" in answer else None
            label = str(answer["label"]).strip().lower().replace(" ", "_")[:LABEL_CHARS] or None
            before = await call_records.set_summary(tx, id, summary, outcome, label, call.turn_seq)
            if before is None:
                return False  # another worker was first
            summary_event = events_pb2.CallSummaryEvent(
                call_id=ids.show(Kind.CALL, id), label=label, correction=before.summarized, **summary
            )
            await events.append(tx, org, id, summary_event)
            # The agent may have reported an outcome while the model wrote.
            if outcome is not None and not before.reported:
                outcome_event = events_pb2.CallOutcomeEvent(
                    call_id=summary_event.call_id, outcome_json=outcome, source="summary", correction=before.judged
                )
                await events.append(tx, org, id, outcome_event)
        await call_records.index(tx, id)
    return True


def transcript(turns: list[TurnRow], message: VoicemailStateRow | None = None) -> str:
    """Return the transcript for the model: the turns, and the message that the caller left in the end."""
    lines = []
    for turn in turns:
        heard = f" [interrupted; the caller heard: {turn.heard_text!r}]" if turn.interrupted else ""
        lines.append(f"{turn.role}: {turn.text or '(not understood)'}{heard}")
    if message is not None:
        lines.append(f"The caller left a message in the mailbox: {message.transcript or '(not understood)'}")
    return "\n".join(lines)


def _validated(answer: dict[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    if errors := customer_schemas.errors(expected, answer):
        # A summary is worth having even if the outcome does not match the customer's schema.
        without = {name: part for name, part in answer.items() if name != "outcome"}
        problem = errors[0].message[:300]
        if customer_schemas.errors(schema(None), without):
            raise ModelError(f"the model's summary does not match its schema: {problem}")
        LOG.warning("the model's outcome does not match the flow's schema", problem=problem)
        return without
    return answer


def schema(outcome_schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the JSON Schema of the model's answer."""
    strings = {"type": "array", "items": {"type": "string"}, "maxItems": 20}
    properties: dict[str, Any] = {
        "text": {"type": "string"},
        "key_points": strings,
        "next_actions": strings,
        "label": {"type": "string"},
    }
    if outcome_schema is not None:
        properties["outcome"] = customer_schemas.inside(outcome_schema, "/properties/outcome")
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
