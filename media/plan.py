"""The conversation's plan, made from control's session for a call.  Pure."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import msgspec

from hum import cascades
from hum.settings import MediaSettings
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from media.core.commands import Instruct, Say, SendDigits, Sequel, SwitchFlow
from media.core.legmessages import HangUp, MoveOn, Outcome
from media.core.modelmessages import Author, CallModel, DuplexModel, Eagerness, Tool, TurnModel
from media.core.plans import (
    AgentPlan,
    CallPlan,
    DurationLimits,
    MailboxPlan,
    ModelPatience,
    PauseRules,
    Prompt,
    PromptKind,
    RecordingPlan,
    Silences,
    TurnTaking,
)
from media.core.supervision import hint

#: Milliseconds before a key is reported that a pause covers, too: its tone.
PAUSE_TONE_MS = 500.0
#: Model sessions that a call may lose in all; one more ends it with an apology.
MODEL_LOSSES_PER_CALL = 12
#: Milliseconds: a caller who speaks so soon after an answer has begun did not hear it begin, and it is taken back
#: as if unsaid.
UNAWARE_MS = 250.0
#: Milliseconds that a turn, and those after it, wait for its transcript; later, its words are lost.
TRANSCRIPT_WAIT_MS = 15_000.0

DEFAULT_CALL_SECONDS = 1_800
_KINDS = frozenset(PromptKind)
_SEVERAL = frozenset({PromptKind.FILLER, PromptKind.IDLE})
#: Without idle prompts, the goodbye is played after this much silence.
WITHOUT_PROMPTS_MS = 36_000
_AUTHORS: Mapping["calls_pb2.Speaker.ValueType", Author] = {
    calls_pb2.SPEAKER_CALLER: "caller",
    calls_pb2.SPEAKER_AGENT: "agent",
    calls_pb2.SPEAKER_SYSTEM: "system",
}
_SWITCHES: Mapping["pb.RecordingSwitch.ValueType", Literal["pause", "resume"]] = {
    pb.RECORDING_SWITCH_PAUSE: "pause",
    pb.RECORDING_SWITCH_RESUME: "resume",
}
_Ms = Annotated[int, msgspec.Meta(ge=0, le=10_000)]


class _TurnConfig(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of `Flow.turn_config_json`, with the contract's defaults."""

    interruptible: bool = True
    protect_announcement: bool = True
    cut_after_ms: _Ms = 350
    resume_after_ms: _Ms = 200
    eagerness: Eagerness = "high"


class _PauseOn(msgspec.Struct, forbid_unknown_fields=True):
    keys: bool = False
    phrases: tuple[str, ...] = ()
    tools: frozenset[str] = frozenset()


class _RecordingRules(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of `Flow.recording_rules_json`."""

    pause_on: _PauseOn = msgspec.field(default_factory=_PauseOn)
    longest_pause_seconds: int | None = None


def plan_of(session: pb.OpenSessionResponse, settings: MediaSettings) -> CallPlan:
    """Return the plan of a conversation.  Raises ValueError, TypeError or AttributeError for JSON that violates the contract."""
    turns = msgspec.json.decode(session.turn_config_json or "{}", type=_TurnConfig)
    clips = [
        (PromptKind(clip.kind), Prompt(clip.text, clip.audio_ulaw or None))
        for clip in session.clips
        if clip.kind in _KINDS
    ]
    longest_ms = (session.max_call_seconds or DEFAULT_CALL_SECONDS) * 1000
    return CallPlan(
        agent=AgentPlan(
            session.instructions.removesuffix(session.caller_context).rstrip(),
            _model(session, settings, turns.eagerness),
            session.caller_context,
            tuple(_tool(tool) for tool in session.tools),
            {tool.name: tool.reason for tool in session.unavailable_tools},
        ),
        turns=_turns(turns, settings),
        silences=_silences(session, settings, clips),
        recording=RecordingPlan(
            recording=session.recording_enabled,
            announce_recording=session.announce_recording,
            recording_paused=session.recording_paused,
            pauses=_pauses(session, settings),
        ),
        patience=_patience(settings),
        limits=DurationLimits(longest_ms, limit_warning_ms=min(session.limit_warning_seconds * 1000, longest_ms // 2)),
        under_way_ms=round(settings.under_way_ms),
        prompts={kind: prompt for kind, prompt in clips if kind not in _SEVERAL},
        opens=session.placed,
        history=tuple(_history_entry(part) for part in session.so_far if part.role in _AUTHORS),
    )


def _turns(config: _TurnConfig, settings: MediaSettings) -> TurnTaking:
    return TurnTaking(
        interruptible=config.interruptible,
        protect_announcement=config.protect_announcement,
        cut_after_ms=config.cut_after_ms,
        resume_after_ms=config.resume_after_ms,
        false_hear_ms=round(settings.false_hear_ms),
        open_turn_ms=round(settings.open_turn_ms),
        unaware_ms=round(UNAWARE_MS),
        digits_pause_ms=round(settings.digits_pause_ms),
    )


def _patience(settings: MediaSettings) -> ModelPatience:
    return ModelPatience(
        session_ms=round(settings.dial_seconds * 1000),
        answer_ms=round(settings.answer_seconds * 1000),
        transcript_deadline_ms=round(TRANSCRIPT_WAIT_MS),
        retry_ms=round(settings.model_retry_ms),
        patience_ms=round(settings.model_patience_seconds * 1000),
        losses_per_minute=settings.model_losses_per_minute,
        losses_per_call=MODEL_LOSSES_PER_CALL,
    )


def _model(session: pb.OpenSessionResponse, settings: MediaSettings, eagerness: Eagerness) -> CallModel:
    name, voice = session.model or settings.realtime_model, session.voice or settings.default_voice
    if name in settings.live_model_names:
        return DuplexModel(name, voice)
    return TurnModel(
        name,
        voice,
        # A cascade hears by itself, and its use must not count as that of another model.
        name if cascades.name_of(name) else session.transcription_model or settings.transcribe_model,
        language=session.language.partition("-")[0] if session.HasField("language") else None,
        eagerness=eagerness,
    )


def _pauses(session: pb.OpenSessionResponse, settings: MediaSettings) -> PauseRules:
    rules = msgspec.json.decode(session.recording_rules_json or "{}", type=_RecordingRules)
    return PauseRules(
        on_keys=rules.pause_on.keys,
        phrases=rules.pause_on.phrases,
        tools=rules.pause_on.tools,
        longest_ms=round((rules.longest_pause_seconds or settings.pause_seconds) * 1000),
        keys_ms=round(settings.pause_keys_seconds * 1000),
        tone_ms=round(PAUSE_TONE_MS),
    )


def _history_entry(part: pb.Said) -> tuple[Author, str]:
    return _AUTHORS[part.role], hint(part.text) if part.is_hint else part.text


def mailbox_plan_of(session: pb.OpenSessionResponse, settings: MediaSettings) -> MailboxPlan:
    """Return the plan of a mailbox; it has no prompt that is not rendered."""
    rendered = [(clip.kind, Prompt(clip.text, clip.audio_ulaw)) for clip in session.clips if clip.audio_ulaw]
    prompts = dict(rendered)
    return MailboxPlan(
        openings=tuple(prompt for kind, prompt in rendered if kind == "opening"),
        thanks=prompts.get("thanks"),
        goodbye=prompts.get("goodbye"),
        apology=prompts.get("apology"),
        silence_ms=round(settings.voicemail_silence_seconds * 1000),
        longest_ms=round(settings.voicemail_max_seconds * 1000),
        least_ms=round(settings.voicemail_min_voice_ms),
    )


def _tool(tool: pb.Tool) -> Tool:
    outcome = outcome_of(tool.outcome) if tool.HasField("outcome") else None
    switch = _SWITCHES.get(tool.recording)
    return Tool(tool.name, tool.description, tool.parameters_json, tool.timeout_ms, outcome, switch)


def sequel_of(outcome: pb.Outcome, settings: MediaSettings) -> Sequel:
    """Return what the call does once the agent has finished speaking.  Raises ValueError for an outcome of a later release."""
    match outcome.WhichOneof("outcome"):
        case "switch":
            return switch_of(outcome.switch, settings)
        case "send_digits":
            return SendDigits(outcome.send_digits.digits)
        case _:
            return outcome_of(outcome)


def switch_of(switch: pb.SwitchFlow, settings: MediaSettings, command_id: str = "") -> SwitchFlow:
    """Return the switch to another flow, with that flow's plan.  Raises as `plan_of` does."""
    return SwitchFlow(plan_of(switch.session, settings), switch.flow_id, switch.flow_version, command_id)


def outcome_of(outcome: pb.Outcome) -> Outcome:
    """Return how the call leaves its leg.  Raises ValueError for an outcome of a later release."""
    match outcome.WhichOneof("outcome"):
        case "hang_up":
            return HangUp("agent")
        case "leave":
            return MoveOn(outcome.leave.reason)
        case _:
            raise ValueError("this version does not support the outcome")


def dictation_of(command: pb.CallCommand) -> Instruct | Say:
    """Return an operator's instruction to the agent, or the sentence that the agent is to say."""
    if command.HasField("say"):
        return Say(command.command_id, command.say.text, command.say.by)
    return Instruct(command.command_id, command.instruct.text, command.instruct.by)


def _silences(
    session: pb.OpenSessionResponse, settings: MediaSettings, clips: Sequence[tuple[PromptKind, Prompt]]
) -> Silences:
    """Return what is said into silences.

    The session's JSON maps total seconds of silence to prompts: `{"8": "Are you still there?", "16": "..."}`.
    """
    rendered = {prompt.text: prompt for kind, prompt in clips if kind is PromptKind.IDLE}
    texts = sorted(
        (round(float(seconds) * 1000), str(text))
        for seconds, text in json.loads(session.idle_prompts_json or "{}").items()
    )
    end_ms = session.idle_end_seconds * 1000
    if not end_ms:
        end_ms = texts[-1][0] + texts[0][0] if texts else WITHOUT_PROMPTS_MS
    texts = [(at_ms, text.strip()) for at_ms, text in texts if at_ms < end_ms]
    at_ms = [0, *(at_ms for at_ms, _ in texts), end_ms]
    return Silences(
        filler_after_ms=round(settings.filler_after_ms),
        hold_after_ms=round(settings.hold_after_ms),
        idle_gaps_ms=tuple(after - before for before, after in pairwise(at_ms)),
        idle_prompts=tuple(rendered.get(text, Prompt(text)) for _, text in texts),
        fillers=tuple(prompt for kind, prompt in clips if kind is PromptKind.FILLER and prompt.audio),
    )
