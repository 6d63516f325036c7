"""The interface between a core and the shell around it, for agents and mailboxes alike.

Timestamped events in, actions out; a core does no I/O, reads no clock, and never raises for a peer's bad input.  An
abstract class and not a protocol, since it is called with every frame: of a class, compiled code knows each method's place.
"""

from abc import ABCMeta, abstractmethod
from typing import Any, Final

from media.core.commands import (
    Command,
    DecisionResult,
    Inform,
    Instruct,
    LeaveStream,
    Machine,
    Say,
    Sequel,
    SwitchFlow,
)
from media.core.legmessages import LegEvent, MoveOn, Outcome
from media.core.modelmessages import CallModel, ModelEvent
from media.core.types import Action, CommandReply, Moment, Report, ToolStatus

PULSE_MS: Final = 100.0  # between ticks without audio
#: A pulse this shortly before a message is due waits for it: it would be a tick of its own.
SOON_MS: Final = 10.0


# By its metaclass and not from ABC: a base that is not compiled would give every core a `__dict__`.
class Talk(metaclass=ABCMeta):
    """A core: create one for each stream, feed it all events, and carry out the actions that it returns, in order.

    A core ignores the events that do not concern it.
    """

    due_ms: float  # earlier ticks find nothing to do

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether nothing follows."""

    @property
    def model(self) -> CallModel | None:
        """The model that a DialModel means."""
        return None

    @abstractmethod
    def abandon(self) -> None:
        """End without further actions.  Every tick stays due, so that the owner can finish closing."""

    # Inputs.  Each returns the actions to carry out now.

    @abstractmethod
    def from_leg(self, event: LegEvent, now_ms: float) -> list[Action]:
        """Process one event from the caller's side."""

    @abstractmethod
    def leg_gone(self, now_ms: float, outcome: Outcome) -> list[Action]:
        """End the call: the leg is gone."""

    @abstractmethod
    def tick(self, now_ms: float) -> list[Action]:
        """Advance the time.  Due every 20 ms or so; may be skipped until `due_ms`."""

    @abstractmethod
    def command(self, command: Command, now_ms: float) -> list[Action]:
        """Carry out a command from control."""

    def written(self, moment: Moment, now_ms: float) -> None:  # noqa: B027 - by default there is nothing to do, as below
        """Record that the actions before a Stamp were written."""

    def from_model(self, event: ModelEvent, now_ms: float) -> list[Action]:  # noqa: ARG002
        """Process one event of the model's session."""
        return []

    def model_ready(self, now_ms: float) -> list[Action]:  # noqa: ARG002
        """Begin a session: the model's socket is open."""
        return []

    def model_lost(self, now_ms: float, reason: str) -> list[Action]:  # noqa: ARG002
        """Redial or close: the model's socket is closed or could not be opened."""
        return []

    def redial(self, now_ms: float) -> list[Action]:  # noqa: ARG002
        """Leave the model's socket without counting a loss, and open another session with the conversation so far."""
        return []

    def tool_result(
        self,
        tool_call_id: str,  # noqa: ARG002
        output_json: str,  # noqa: ARG002
        status: ToolStatus,  # noqa: ARG002
        now_ms: float,  # noqa: ARG002
        sequel: Sequel | None = None,  # noqa: ARG002
    ) -> list[Action]:
        """Process the result of a RunTool."""
        return []

    def message_failed(self, now_ms: float) -> list[Action]:  # noqa: ARG002
        """Handle that the message of a StartMessage can't be stored."""
        return []


def answered_late(command: Command, outcome: Outcome) -> list[Action]:
    """Return the reply to a person's command that comes after the leg was left with this outcome.

    A leg that is left for the call's next step follows whatever control has stored by then.
    """
    match command:
        case Instruct(id) | Say(id) | DecisionResult(id) | Inform(id) | SwitchFlow(id=id) | Machine(id=id) if id:
            return [Report(CommandReply(id, "over"))]
        case LeaveStream(_, id):
            return [Report(CommandReply(id, "done" if isinstance(outcome, MoveOn) else "over"))]
    return []


def due(talks: dict[Talk, Any], now_ms: float) -> list[Talk]:
    """Return the cores that need a tick now.  Checks all of them on every tick, so it lives in the compiled core."""
    return [talk for talk in talks if talk.due_ms <= now_ms]


def next_tick_ms(now_ms: float, sound_ms: float) -> float:
    """Return when the next tick is due: with the next pulse, or when there is sound to send."""
    pulse_ms = now_ms + PULSE_MS
    return sound_ms if sound_ms <= pulse_ms + SOON_MS else pulse_ms
