"""What happens on a call's leg, whoever the caller talks to: the interface between a core and the shell around it.

Timestamped events in, actions out; a core does no I/O, reads no clock, and never raises for a peer's bad input.  It is a
class and not a protocol, since what passes with every frame is called through it: of a class, compiled code knows where
each method is.
"""

from typing import Any

from media.core.commands import Command, Inform, Instruct, LeaveStream, News, Say, Sequel, SwitchFlow
from media.core.leg import LegEvent, MoveOn, Outcome
from media.core.types import Action, Answered, Moment, Report, ToolStatus


class Talk:
    """Create one for each stream, feed it everything, and carry out what it returns, in order.

    Most events are the business of some cores only; to the others they are nothing.
    """

    due_ms: float  # a tick before then finds nothing to do

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""
        raise NotImplementedError

    @property
    def model(self) -> str:
        """The model that a DialModel means."""
        return ""

    def abandon(self) -> None:
        """Nothing follows.  It stays due with every tick, so that its owner can finish closing."""
        raise NotImplementedError

    # Inputs.  Each returns what is to be done now.

    def from_leg(self, event: LegEvent, now_ms: float) -> list[Action]:
        """One event from the caller's side."""
        raise NotImplementedError

    def leg_gone(self, now_ms: float, outcome: Outcome) -> list[Action]:
        """The leg is gone."""
        raise NotImplementedError

    def tick(self, now_ms: float) -> list[Action]:
        """Call it every 20 ms or so; it may be skipped until `due_ms`."""
        raise NotImplementedError

    def command(self, command: Command, now_ms: float) -> list[Action]:
        """A command from control."""
        raise NotImplementedError

    def written(self, moment: Moment, now_ms: float) -> None:
        """The actions before a Stamp have been written."""

    def from_model(self, payload: bytes, now_ms: float) -> list[Action]:  # noqa: ARG002
        """One text frame of the model's socket."""
        return []

    def model_ready(self, now_ms: float) -> list[Action]:  # noqa: ARG002
        """The model's socket is open."""
        return []

    def model_lost(self, now_ms: float, reason: str) -> list[Action]:  # noqa: ARG002
        """The model's socket is closed, or could not be opened."""
        return []

    def redial(self, now_ms: float) -> list[Action]:  # noqa: ARG002
        """The model's socket is left behind, and nobody is to blame: open another session, with the conversation so far."""
        return []

    def tool_result(
        self,
        call_id: str,  # noqa: ARG002
        output_json: str,  # noqa: ARG002
        status: ToolStatus,  # noqa: ARG002
        now_ms: float,  # noqa: ARG002
        sequel: Sequel | None = None,  # noqa: ARG002
    ) -> list[Action]:
        """The result of a RunTool."""
        return []

    def message_failed(self, now_ms: float) -> list[Action]:  # noqa: ARG002
        """What a StartMessage asked for can't be stored."""
        return []


def answered_late(command: Command, left: Outcome) -> list[Action]:
    """The answer to a person's command that comes when the leg was left, with that outcome.

    A leg that is left for the call's next step is left for whatever control has stored by then.
    """
    match command:
        case Instruct(id) | Say(id) | News(id) | Inform(id) | SwitchFlow(id=id):
            return [Report(Answered(id, "over"))]
        case LeaveStream(_, id):
            return [Report(Answered(id, "done" if isinstance(left, MoveOn) else "over"))]
    return []


def due(talks: dict[Talk, Any], now_ms: float) -> list[Talk]:
    """Those that need a tick now.  Checks all of them on every tick, so it lives in the compiled core."""
    return [talk for talk in talks if talk.due_ms <= now_ms]
