"""Commands of control to a running conversation, and the sequels that a tool's result may have."""

from dataclasses import dataclass

from media.core.legmessages import Outcome
from media.core.plans import CallPlan


@dataclass(frozen=True, slots=True)
class EndCall:
    """Hang up for `reason`; with `spoken`, after the goodbye was heard."""

    reason: str
    spoken: bool = False


@dataclass(frozen=True, slots=True)
class LeaveStream:
    """Leave the leg with this outcome after the agent has finished speaking.  Answered, if a person asked for it."""

    outcome: Outcome
    id: str = ""  # of the command


@dataclass(frozen=True, slots=True)
class Watch:
    """Report transcript deltas for `for_ms` from now: the live transcript is watched."""

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
class DecisionResult:
    """The result of something that a person had to decide: the agent reports it once it has the floor.

    Answered, and carried out once for each id.
    """

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Inform:
    """Replace the caller's context in the agent's instructions.  Answered."""

    id: str
    caller_context: str


@dataclass(frozen=True, slots=True)
class Listen:
    """Start or stop live listening: both sides leave the core as sound, recorded or not."""

    on: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine has answered our call: hang up for `reason`; with `message`, after leaving one.

    Answered if it has an id; repeats change nothing.
    """

    reason: str
    message: bool = False
    id: str = ""


@dataclass(frozen=True, slots=True)
class SwitchFlow:
    """Hand the call to another flow's agent: the conversation follows its plan from now on.

    What the caller has heard, the recording and the longest duration stay those of the call.
    """

    plan: CallPlan
    flow_id: str
    flow_version: int
    id: str = ""  # of a person's command, to be answered


Command = EndCall | LeaveStream | Machine | SwitchFlow | Watch | Instruct | Say | DecisionResult | Inform | Listen


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Press keys, as tones."""

    digits: str


#: What may follow from a tool's result.
Sequel = Outcome | SwitchFlow | SendDigits
