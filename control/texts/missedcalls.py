"""Which calls count as missed, so that their caller gets the number's text, and what that text may hold.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from control.base import texttemplates
from control.base.job import Job
from control.base.texttemplates import BadTextTemplate, Variable

TEXT_BACK = Job("text_back", concurrency=8, per_organization=4, timeout_seconds=60)
#: A caller gets one such text in this time.
APART = timedelta(hours=24)
#: A call that ended longer ago is not answered any more.
LATEST = timedelta(hours=6)
LONGEST = 1600
#: Ends in which the caller may have reached nobody.  In the others a person, the agent or the blocklist ended the call, the
#: caller had another call, or was silent to the end.
REASONS = frozenset(
    {
        "after_hours",
        "calls_of_organization",
        "caller",
        "carrier_protocol",
        "control_away",
        "drained",
        "message_failed",
        "model_lost",
        "model_refused",
        "no_capacity",
        "no_flow",
        "no_message",
        "no_stream",
        "plan_limit",
        "stream_lost",
    }
)
#: Of the caller's voice, in turns that the model heard: the sound of a handset that is put down is shorter.
SPOKEN_MS = 200
#: Ends that control assumes of a call whose media process has not reported its last stream's, nor perhaps what was said in it.
ASSUMED = frozenset({"control_away", "stream_lost"})
#: The variables that have a value for each caller.
_ALWAYS = frozenset({"contact.phone", "org.name", "number.phone"})


@dataclass(frozen=True, slots=True)
class EndedCall:
    """What decides whether a call was missed."""

    direction: str
    #: `phone` or `browser`.
    origin: str
    reason: str
    ended_at: datetime
    #: Whether the network vouches for the caller's number: `passed`, `failed`, or None.
    verification: str | None
    #: The caller said something or pressed a key.
    was_heard: bool
    left_message: bool
    #: A person took the call.
    was_taken: bool
    #: A media process got the call and did not say that it lost or left the stream.
    has_process: bool
    #: Of the caller's voice, in turns whose transcript never came.
    untranscribed_ms: int


def may_be_missed(direction: str, reason: str) -> bool:
    """Tell whether a call with this end may count as missed."""
    return direction == "inbound" and reason in REASONS


def is_missed(call: EndedCall, now: datetime) -> bool:
    """Tell whether a call's caller reached nobody, so that they get a text.

    A number that the network says is forged is another person's: they did not call.  What was said in a call whose end is assumed may
    be reported later, with its end (`call.corrected`).  A caller who hung up before their words were written down has spoken; one
    whose call ended otherwise has perhaps spoken to nobody.
    """
    is_unknown = call.has_process and call.reason in ASSUMED
    has_spoken = call.was_heard or (call.reason == "caller" and call.untranscribed_ms >= SPOKEN_MS)
    reached = is_unknown or has_spoken or call.left_message or call.was_taken
    return (
        may_be_missed(call.direction, call.reason)
        and call.origin == "phone"
        and call.verification != "failed"
        and not reached
        and call.ended_at > now - LATEST
    )


def check(text: str) -> None:
    """Check the text of a number.  Raises BadTextTemplate."""
    if not text.strip():
        raise BadTextTemplate("must hold something; null switches it off")
    for part in texttemplates.check(text).parts:
        if isinstance(part, Variable) and part.otherwise is None and part.name not in _ALWAYS:
            raise BadTextTemplate(
                f"needs a default for {part.name}, which not every caller has: {{{{{part.name}|there}}}}"
            )


def render(text: str, values: Mapping[str, str | None]) -> str:
    """Render the text for a caller, at most as long as a text may be.  Raises BadTextTemplate."""
    return texttemplates.render(texttemplates.parse(text), values).text[:LONGEST]
