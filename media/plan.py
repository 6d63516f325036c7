"""What control says about a call becomes what a conversation must know.  Pure."""

import json
from typing import Any

from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from media.core.types import CallPlan, Clip, ClipKind

DEFAULT_CALL_SECONDS = 1_800
_KINDS = frozenset(ClipKind)


def plan_of(session: pb.OpenSessionResponse, given: MediaSettings) -> CallPlan:
    """Raises ValueError, TypeError or AttributeError for JSON that is not what the contract says."""
    clips = {
        ClipKind(clip.kind): Clip(clip.text, clip.audio_ulaw or None) for clip in session.clips if clip.kind in _KINDS
    }
    turns: dict[str, Any] = json.loads(session.turn_config_json) if session.turn_config_json else {}
    return CallPlan(
        call_id=session.call_id,
        instructions=session.instructions,
        voice=session.voice or given.default_voice,
        model=session.model or given.realtime_model,
        transcription_model=session.transcription_model or given.transcribe_model,
        language=session.language.partition("-")[0] if session.HasField("language") else None,
        clips=clips,
        tools_json=session.tools_json or None,
        recording=session.recording_enabled,
        announce_recording=session.announce_recording,
        max_call_ms=(session.max_call_seconds or DEFAULT_CALL_SECONDS) * 1000,
        transcript_deadline_ms=round(given.transcript_wait_ms),
        **turns,
        **_idle(session.idle_prompts_json, clips),
    )


def _idle(prompts_json: str, clips: dict[ClipKind, Clip]) -> dict[str, Any]:
    """`{"8": "Are you still there?", "16": "..."}`: the first sets the pace and the words, their number how often."""
    prompts = {float(seconds): str(text) for seconds, text in json.loads(prompts_json or "{}").items()}
    if not prompts:
        return {}
    first = min(prompts)
    clips.setdefault(ClipKind.IDLE, Clip(prompts[first]))
    return {"idle_after_ms": round(first * 1000), "idle_prompts": len(prompts)}
