"""Plans of calls, by the names of their fields, whichever part of a plan these are in."""

from dataclasses import fields, replace
from typing import Any, Final

from media.core.modelmessages import CallModel, TurnModel
from media.core.plans import (
    AgentPlan,
    CallPlan,
    DurationLimits,
    MailboxPlan,
    ModelPatience,
    PauseRules,
    RecordingPlan,
    Silences,
    TurnTaking,
)

MODEL: Final = TurnModel("gpt-realtime", "marin", "whisper")
_PLAN: Final = CallPlan(
    AgentPlan("", MODEL),
    TurnTaking(
        interruptible=True,
        protect_announcement=True,
        cut_after_ms=350,
        resume_after_ms=200,
        false_hear_ms=1_000,
        open_turn_ms=9_000,
        unaware_ms=250,
        digits_pause_ms=1_500,
    ),
    Silences(filler_after_ms=750, hold_after_ms=2_000, idle_gaps_ms=(12_000,) * 3),
    RecordingPlan(recording=False, announce_recording=False, recording_paused=False, pauses=PauseRules()),
    ModelPatience(
        session_ms=3_000,
        answer_ms=6_000,
        transcript_deadline_ms=4_000,
        retry_ms=100,
        patience_ms=8_000,
        losses_per_minute=4,
        losses_per_call=12,
    ),
    DurationLimits(max_call_ms=1_800_000, limit_warning_ms=0),
    under_way_ms=500,
    prompts={},
)
_PARTS: Final = ("agent", "turns", "silences", "recording", "patience", "limits")
#: Where each field is: the name of a part, or "" for the plan's own.
_PLACES: Final = {
    **{field.name: "" for field in fields(CallPlan) if field.name not in _PARTS},
    **{field.name: part for part in _PARTS for field in fields(getattr(_PLAN, part))},
}


def changed(plan: CallPlan, **changes: Any) -> CallPlan:
    """Return the plan with these fields, each in its part.  KeyError if there is none of a name."""
    by_part: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        by_part.setdefault(_PLACES[name], {})[name] = value
    own = by_part.pop("", {})
    return replace(plan, **own, **{part: replace(getattr(plan, part), **of) for part, of in by_part.items()})


def call_plan(instructions: str = "", model: CallModel = MODEL, **changes: Any) -> CallPlan:
    """Return a plan with these fields, which waits for as long as the tests assume."""
    return changed(_PLAN, instructions=instructions, model=model, **changes)


def mailbox_plan(**changes: Any) -> MailboxPlan:
    """Return a plan of a mailbox with these fields."""
    return MailboxPlan(**{"silence_ms": 6_000, "longest_ms": 180_000, "least_ms": 400, **changes})
