"""What control may ask of a running conversation, and what a tool's result may make of it."""

from dataclasses import dataclass

from media.core.leg import Outcome
from media.core.types import CallPlan


@dataclass(frozen=True, slots=True)
class EndCall:
    """Hang up for `reason`; with `spoken`, after the goodbye was heard."""

    reason: str
    spoken: bool = False


@dataclass(frozen=True, slots=True)
class LeaveStream:
    """Leave the leg with this outcome once what is being said has been heard.  Answered, if a person wants it."""

    outcome: Outcome
    id: str = ""  # of the command


@dataclass(frozen=True, slots=True)
class Watch:
    """Somebody is watching the live transcript: report deltas for `for_ms` from now."""

    for_ms: int


@dataclass(frozen=True, slots=True)
class Instruct:
    """Tell the agent this; the caller does not hear it.  Answered, and carried out once for each id."""

    id: str
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class Say:
    """Say this to the caller, word for word.  Answered, and carried out once for each id."""

    id: str
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class News:
    """What became of something that waited for a person: the agent tells it once it has the floor.  Answered, and carried out once
    for each id.
    """

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Inform:
    """Who calls, as part of the agent's instructions instead of what it knew.  Answered."""

    id: str
    caller_context: str


@dataclass(frozen=True, slots=True)
class Listen:
    """Whether anybody listens: then both sides come as sound, recorded or not."""

    on: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine has answered our call: hang up for `reason`; with `message`, after that was left.  Repeated, it is done once."""

    reason: str
    message: bool = False


@dataclass(frozen=True, slots=True)
class SwitchFlow:
    """Another flow's agent takes the call over: from now on the conversation follows its plan.  What the caller has heard,
    the recording and the longest time stay those of the call.
    """

    plan: CallPlan
    flow_id: str
    flow_version: int
    id: str = ""  # of the command, if a person wants it: then it is answered


Command = EndCall | LeaveStream | Machine | SwitchFlow | Watch | Instruct | Say | News | Inform | Listen


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Press keys, as tones."""

    digits: str


#: What a tool's result may make of the call.
Sequel = Outcome | SwitchFlow | SendDigits
