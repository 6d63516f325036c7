"""A flow's defaults, references, checks and prompts.  Pure."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from control.base import phone
from control.base.job import Job
from control.flows.phrases import called, phrases
from hum.contract import eventtypes
from hum.contract.errors import FieldError, InvalidRequest
from hum.json import schemas
from hum.v1 import flows_pb2 as pb

RENDER_CLIPS = Job("render_clips", concurrency=4, per_organization=2, priority=50, timeout_seconds=300)

FLOW_PREFIX = "flow_"
NAME_CHARS = 120
COPY_SUFFIX = " (copy)"
#: Per organization; each event is matched against all of them.
MOST_STARTED_BY_EVENTS = 100
#: Seconds of silence after which a flow without idle prompts of its own speaks ours.
IDLE_SECONDS = ("12", "24")
#: Fields that every list of flows includes.
ALWAYS_LISTED = ("name", "kind", "channel", "trigger_type")
_TRIGGERS = {
    pb.CHANNEL_VOICE: pb.TRIGGER_TYPE_CALL,
    pb.CHANNEL_SMS: pb.TRIGGER_TYPE_MESSAGE,
}


def complete(flow: pb.Flow) -> pb.Flow:
    """Return a copy of the flow with its defaults filled in."""
    full = pb.Flow()
    full.CopyFrom(flow)
    full.kind = full.kind or pb.FLOW_KIND_INBOUND
    full.channel = full.channel or pb.CHANNEL_VOICE
    full.trigger_type = full.trigger_type or _TRIGGERS[full.channel]
    if not full.HasField("recording_enabled"):
        full.recording_enabled = full.announce_recording
    return full


def listed_fields(names: Collection[str]) -> list[str]:
    """Return the fields that a list includes; empty for all.  Raises InvalidRequest for an unknown field."""
    if unknown := sorted({*names} - {*pb.Flow.DESCRIPTOR.fields_by_name}):
        raise InvalidRequest([FieldError("fields", f"flows have no field {unknown[0]}")])
    return sorted({*ALWAYS_LISTED, *names}) if names else []


def references(flow: pb.Flow, before: pb.Flow) -> dict[str, str]:
    """Return the flows that the changed fields of a flow name: ids by path."""
    ids_by_path = {}
    for name in ("transfer_map_json", "route_tags_json"):
        text = getattr(flow, name)
        if text != getattr(before, name):
            entries = json.loads(text or "{}").items()
            paths = {f"{name}{schemas.member(key)}": id for key, id in entries if isinstance(id, str)}
            ids_by_path.update({path: id for path, id in paths.items() if id.startswith(FLOW_PREFIX)})
    return ids_by_path


def bad_events(flow: pb.Flow, before: pb.Flow, known_types: Collection[str]) -> dict[str, str]:
    """Return the unknown event types that a change adds to a flow: errors by path."""
    return {
        f"trigger_events[{n}]": "is neither a type of event nor external.<name>"
        for n, type in enumerate(flow.trigger_events)
        if type not in before.trigger_events and eventtypes.family(type) not in known_types
    }


def is_started_anew(flow: pb.Flow, before: pb.Flow) -> bool:
    """Return whether a change makes events start the flow."""
    return flow.trigger_type == pb.TRIGGER_TYPE_EVENT != before.trigger_type


def bad_numbers(flow: pb.Flow, own_numbers: Collection[str], countries: frozenset[str]) -> dict[str, str]:
    """Return the numbers that a flow's transfer map must not contain: errors by path.

    Any of the organization's numbers may get the flow, so a country is an error if none of them calls it.
    """
    known = filter(phone.e164_or_none, own_numbers)
    callers = {phone.country(number): number for number in known}.values() or [""]
    errors: dict[str, str] = {}
    for label, entry in json.loads(flow.transfer_map_json or "{}").items():
        path = f"transfer_map_json{schemas.member(label)}"
        e164, path = (entry, path) if isinstance(entry, str) else (entry["to"], f"{path}.to")
        if not e164.startswith("+"):
            continue
        complaints = [phone.bad_target(e164, number, countries) for number in callers]
        if None not in complaints:
            errors[path] = str(complaints[0])
    return errors


def colleagues(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of the flow's transfer map that name another flow, with its public id."""
    entries = json.loads(definition.get("transfer_map_json") or "{}")
    return {label: id for label, id in entries.items() if isinstance(id, str) and id.startswith(FLOW_PREFIX)}


def outcome_schema(definition: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the JSON Schema of the outcome that the agent reports; None if it reports none."""
    stored = definition.get("outcome_schema_json")
    return dict(json.loads(stored)) if stored else None


def copy_name(name: str) -> str:
    """Return the name of a flow's copy, shortened to the limit."""
    return name[: NAME_CHARS - len(COPY_SUFFIX)] + COPY_SUFFIX


def clip_texts(definition: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the prompts of a voice flow as (kind, text), those of the call's start first, in order.

    There may be several distinct ones of the kinds `filler` and `idle`.
    """
    is_outbound = definition.get("kind") == pb.FlowKind.Name(pb.FLOW_KIND_OUTBOUND)
    leaves_message = definition.get("machine_action") == pb.MachineAction.Name(pb.MACHINE_ACTION_MESSAGE)
    defaults, (goodbye, apology) = phrases(definition.get("language")), called(definition.get("language"))
    sentences = [
        ("announcement", defaults.announcement if definition.get("announce_recording") else ""),
        ("greeting", definition.get("greeting", "")),
        ("resumed", defaults.resumed),
        ("hold", definition.get("hold_phrase", defaults.hold)),
        ("goodbye", definition.get("goodbye_message") or (goodbye if is_outbound else defaults.goodbye)),
        ("apology", apology if is_outbound else defaults.apology),
        ("machine", definition.get("machine_message", "") if leaves_message else ""),
        ("limit", definition.get("limit_warning_message") or defaults.limit),
        *(("idle", text) for text in dict.fromkeys(map(str.strip, json.loads(idle_prompts_json(definition)).values()))),
        *(("filler", text) for text in dict.fromkeys(map(str.strip, definition.get("filler_phrases", ())))),
    ]
    return [(kind, text.strip()) for kind, text in sentences if text.strip()]


def idle_prompts_json(definition: Mapping[str, Any]) -> str:
    """Return the idle prompts by seconds of silence: the flow's own, which may be empty, or ours in its language."""
    stored = definition.get("idle_prompts_json")
    if stored is not None:
        return str(stored)
    return json.dumps(dict.fromkeys(IDLE_SECONDS, phrases(definition.get("language")).idle))
