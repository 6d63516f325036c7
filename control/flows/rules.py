"""A flow's defaults, and its fixed sentences."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from control.base.job import Job
from control.flows.phrases import called, phrases
from control.transfers.rules import bad_number
from hum import eventtypes, jsonschemas
from hum.errors import FieldError, InvalidRequest
from hum.v1 import flows_pb2 as pb

RENDER_CLIPS = Job("render_clips", concurrency=4, per_organization=2, priority=50, timeout_seconds=300)

FLOW_PREFIX = "flow_"
NAME_CHARS = 120
COPY_SUFFIX = " (copy)"
#: Of an organization; each event is looked at for all of them.
MOST_STARTED_BY_EVENTS = 100
#: After so much silence a flow without prompts of its own asks whether the caller is still there.
IDLE_SECONDS = ("12", "24")
#: What every list of flows has of them.
ALWAYS_LISTED = ("name", "kind", "channel", "trigger_type")
_TRIGGERS = {
    pb.CHANNEL_VOICE: pb.TRIGGER_TYPE_CALL,
    pb.CHANNEL_SMS: pb.TRIGGER_TYPE_MESSAGE,
}


def complete(flow: pb.Flow) -> pb.Flow:
    """The flow with its defaults filled in."""
    full = pb.Flow()
    full.CopyFrom(flow)
    full.kind = full.kind or pb.FLOW_KIND_INBOUND
    full.channel = full.channel or pb.CHANNEL_VOICE
    full.trigger_type = full.trigger_type or _TRIGGERS[full.channel]
    if not full.HasField("recording_enabled"):
        full.recording_enabled = full.announce_recording
    return full


def listed_fields(wanted: Collection[str]) -> list[str]:
    """The fields that a list is to have, or none for all.  Raises InvalidRequest for one that flows don't have."""
    if unknown := sorted({*wanted} - {*pb.Flow.DESCRIPTOR.fields_by_name}):
        raise InvalidRequest([FieldError("fields", f"flows have no field {unknown[0]}")])
    return sorted({*ALWAYS_LISTED, *wanted}) if wanted else []


def references(flow: pb.Flow, before: pb.Flow) -> dict[str, str]:
    """The flows that a flow names in fields which differ from what they were: paths, and ids."""
    found = {}
    for name in ("transfer_map_json", "route_tags_json"):
        text = getattr(flow, name)
        if text != getattr(before, name):
            named = json.loads(text or "{}").items()
            paths = {f"{name}{jsonschemas.member(key)}": id for key, id in named if isinstance(id, str)}
            found.update({path: id for path, id in paths.items() if id.startswith(FLOW_PREFIX)})
    return found


def bad_events(flow: pb.Flow, before: pb.Flow, known: Collection[str]) -> dict[str, str]:
    """The types of events that a flow names anew and that there are not: paths, and what is wrong."""
    return {
        f"trigger_events[{n}]": "is neither a type of event nor external.<name>"
        for n, type in enumerate(flow.trigger_events)
        if type not in before.trigger_events and eventtypes.family(type) not in known
    }


def is_started_anew(flow: pb.Flow, before: pb.Flow) -> bool:
    """Whether events start the flow, and did not before."""
    return flow.trigger_type == pb.TRIGGER_TYPE_EVENT != before.trigger_type


def bad_numbers(flow: pb.Flow, before: pb.Flow) -> dict[str, str]:
    """The numbers to which a changed transfer map must not transfer: paths, and what is wrong."""
    text = flow.transfer_map_json
    if text == before.transfer_map_json:
        return {}
    found: dict[str, str] = {}
    for label, entry in json.loads(text or "{}").items():
        path = f"transfer_map_json{jsonschemas.member(label)}"
        e164, path = (entry, path) if isinstance(entry, str) else (entry["to"], f"{path}.to")
        complaint = bad_number(e164) if e164.startswith("+") else None
        if complaint is not None:
            found[path] = complaint
    return found


def colleagues(definition: Mapping[str, Any]) -> dict[str, str]:
    """The labels of the flow's transfer map that name a flow, with its public id."""
    named = json.loads(definition.get("transfer_map_json") or "{}")
    return {label: id for label, id in named.items() if isinstance(id, str) and id.startswith(FLOW_PREFIX)}


def outcome_schema(definition: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON Schema of what the agent reports; None if it reports nothing."""
    stored = definition.get("outcome_schema_json")
    return dict(json.loads(stored)) if stored else None


def copy_name(name: str) -> str:
    """The name of a flow's copy."""
    return name[: NAME_CHARS - len(COPY_SUFFIX)] + COPY_SUFFIX


def clip_texts(definition: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fixed sentences of a voice flow as (kind, text), first those of the call's start, in order.

    There may be several of the kinds `filler` and `idle`, those of a kind all different.
    """
    calls = definition.get("kind") == pb.FlowKind.Name(pb.FLOW_KIND_OUTBOUND)
    leaves_message = definition.get("machine_action") == pb.MachineAction.Name(pb.MACHINE_ACTION_MESSAGE)
    own, (goodbye, apology) = phrases(definition.get("language")), called(definition.get("language"))
    sentences = [
        ("announcement", own.announcement if definition.get("announce_recording") else ""),
        ("greeting", definition.get("greeting", "")),
        ("resumed", own.resumed),
        ("hold", definition.get("hold_phrase", own.hold)),
        ("goodbye", definition.get("goodbye_message") or (goodbye if calls else own.goodbye)),
        ("apology", apology if calls else own.apology),
        ("machine", definition.get("machine_message", "") if leaves_message else ""),
        ("limit", definition.get("limit_warning_message") or own.limit),
        *(("idle", text) for text in dict.fromkeys(map(str.strip, json.loads(idle_prompts_json(definition)).values()))),
        *(("filler", text) for text in dict.fromkeys(map(str.strip, definition.get("filler_phrases", ())))),
    ]
    return [(kind, text.strip()) for kind, text in sentences if text.strip()]


def idle_prompts_json(definition: Mapping[str, Any]) -> str:
    """What is said after so many seconds of silence: the flow's own prompts, which may be none, or ours in its language."""
    stored = definition.get("idle_prompts_json")
    if stored is not None:
        return str(stored)
    return json.dumps(dict.fromkeys(IDLE_SECONDS, phrases(definition.get("language")).idle))
