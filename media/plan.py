"""Turns control's session for a call into the conversation's plan.  Pure."""

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

import msgspec

from hum.settings import MediaSettings
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from media.core.leg import HangUp
from media.core.types import CallPlan, Clip, ClipKind, Eagerness, Role, Tool

DEFAULT_CALL_SECONDS = 1_800
_KINDS = frozenset(ClipKind)
_ROLES: Mapping["calls_pb2.Speaker.ValueType", Role] = {
    calls_pb2.SPEAKER_CALLER: "caller",
    calls_pb2.SPEAKER_AGENT: "agent",
}
_Ms = Annotated[int, msgspec.Meta(ge=0, le=10_000)]


class _TurnConfig(msgspec.Struct, forbid_unknown_fields=True):
    """`Flow.turn_config_json`: unset fields take the plan's defaults."""

    interruptible: bool | msgspec.UnsetType = msgspec.UNSET
    protect_announcement: bool | msgspec.UnsetType = msgspec.UNSET
    cut_after_ms: _Ms | msgspec.UnsetType = msgspec.UNSET
    resume_after_ms: _Ms | msgspec.UnsetType = msgspec.UNSET
    eagerness: Eagerness | msgspec.UnsetType = msgspec.UNSET


def plan_of(session: pb.OpenSessionResponse, settings: MediaSettings) -> CallPlan:
    """Raises ValueError, TypeError or AttributeError for JSON that does not match the contract."""
    rendered = [
        (ClipKind(clip.kind), Clip(clip.text, clip.audio_ulaw or None)) for clip in session.clips if clip.kind in _KINDS
    ]
    clips: dict[ClipKind, Clip] = {kind: clip for kind, clip in rendered if kind is not ClipKind.FILLER}
    turns = msgspec.json.decode(session.turn_config_json or "{}", type=_TurnConfig)
    return CallPlan(
        instructions=session.instructions,
        voice=session.voice or settings.default_voice,
        model=session.model or settings.realtime_model,
        transcription_model=session.transcription_model or settings.transcribe_model,
        language=session.language.partition("-")[0] if session.HasField("language") else None,
        clips=clips,
        fillers=tuple(clip for kind, clip in rendered if kind is ClipKind.FILLER and clip.audio),
        filler_after_ms=round(settings.filler_after_ms),
        tools=tuple(_tool(tool) for tool in session.tools),
        recording=session.recording_enabled,
        announce_recording=session.announce_recording,
        max_call_ms=(session.max_call_seconds or DEFAULT_CALL_SECONDS) * 1000,
        transcript_deadline_ms=round(settings.transcript_wait_ms),
        session_ms=round(settings.dial_seconds * 1000),
        answer_ms=round(settings.answer_seconds * 1000),
        hold_after_ms=round(settings.hold_after_ms),
        retry_ms=round(settings.model_retry_ms),
        patience_ms=round(settings.model_patience_seconds * 1000),
        losses_per_minute=settings.model_losses_per_minute,
        losses_per_call=settings.model_losses_per_call,
        false_hear_ms=round(settings.false_hear_ms),
        open_turn_ms=round(settings.open_turn_ms),
        unaware_ms=round(settings.unaware_ms),
        under_way_ms=round(settings.under_way_ms),
        so_far=tuple((_ROLES[turn.role], turn.text) for turn in session.so_far if turn.role in _ROLES),
        **{name: value for name, value in msgspec.structs.asdict(turns).items() if value is not msgspec.UNSET},
        **_idle(session.idle_prompts_json, clips),
    )


def _tool(tool: pb.Tool) -> Tool:
    outcome = None
    if tool.HasField("outcome"):
        if tool.outcome.WhichOneof("outcome") != "hang_up":
            raise ValueError(f"the tool {tool.name} has an outcome that this version does not support")
        outcome = HangUp("agent")
    return Tool(tool.name, tool.description, tool.parameters_json, tool.timeout_ms, outcome)


def _idle(prompts_json: str, clips: dict[ClipKind, Clip]) -> dict[str, Any]:
    """`{"8": "Are you still there?", "16": "..."}`: total seconds of silence, and what is said then."""
    prompts = sorted((float(seconds), str(text)) for seconds, text in json.loads(prompts_json or "{}").items())
    if not prompts:
        return {}
    clips.setdefault(ClipKind.IDLE, Clip(prompts[0][1]))
    at_ms = [0, *(round(seconds * 1000) for seconds, _ in prompts)]
    return {
        "idle_after_ms": at_ms[1],
        "idle_prompts": len(prompts),
        "idle_gaps_ms": tuple(after - before for before, after in pairwise(at_ms)),
        "idle_texts": tuple(text for _, text in prompts),
    }
