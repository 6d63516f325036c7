"""A flow's defaults, and its fixed sentences."""

import json
from collections.abc import Mapping
from typing import Any

from control.base.job import Job
from hum import jsonschemas
from hum.v1 import flows_pb2 as pb

RENDER_CLIPS = Job("render_clips", concurrency=4, per_organization=2, priority=50, timeout_seconds=300)

FLOW_PREFIX = "flow_"
NAME_CHARS = 120
COPY_SUFFIX = " (copy)"
#: Said before anything is recorded, by flows that announce it.
ANNOUNCEMENT = "This call may be recorded."
APOLOGY = "I'm sorry, something went wrong on our side. Please call again in a little while. Goodbye."
GOODBYE = "Thank you for calling. Goodbye."
HOLD = "One moment, please."
#: Said instead of the greeting when a call continues after its media process died, by the flow's language.
RESUMED = {
    "en": "Sorry about that, I'm back.",
    "es": "Disculpe, ya estoy de vuelta.",
    "fr": "Excusez-moi, je suis de retour.",
    "de": "Entschuldigung, da bin ich wieder.",
    "it": "Mi scusi, sono di nuovo qui.",
    "pt": "Desculpe, já estou de volta.",
}

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


def references(flow: pb.Flow, before: pb.Flow) -> dict[str, str]:
    """The flows that a flow names in fields which differ from what they were: paths, and ids."""
    found = {}
    for name in ("transfer_map_json", "route_tags_json"):
        text = getattr(flow, name)
        if text != getattr(before, name):
            named = json.loads(text or "{}").items()
            found.update({f"{name}{jsonschemas.member(key)}": id for key, id in named if id.startswith(FLOW_PREFIX)})
    return found


def copy_name(name: str) -> str:
    """The name of a flow's copy."""
    return name[: NAME_CHARS - len(COPY_SUFFIX)] + COPY_SUFFIX


def clip_texts(definition: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fixed sentences of a voice flow as (kind, text), first those of the call's start, in order.

    There may be several of the kind `filler`, all different.
    """
    sentences = [
        ("announcement", ANNOUNCEMENT if definition.get("announce_recording") else ""),
        ("greeting", definition.get("greeting", "")),
        ("resumed", RESUMED.get((definition.get("language") or "en").partition("-")[0].lower(), RESUMED["en"])),
        ("hold", definition.get("hold_phrase", HOLD)),
        ("goodbye", GOODBYE),
        ("apology", APOLOGY),
        *(("filler", text) for text in dict.fromkeys(map(str.strip, definition.get("filler_phrases", ())))),
    ]
    return [(kind, text.strip()) for kind, text in sentences if text.strip()]
