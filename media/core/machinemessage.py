"""A machine that has answered our call and waits for a message, with which the call ends.

    NONE ── a machine answered ──▶ STOPPING ── the agent is silent ──▶ SPEAKING

STOPPING discards what the agent was saying; SPEAKING says the message.
"""

from enum import Enum, auto

from media.core.legmessages import HangUp


class MachinePhase(Enum):
    NONE = auto()
    STOPPING = auto()
    SPEAKING = auto()


class MachineMessage:
    """The machine of one call.  Control may report it more than once."""

    __slots__ = ("_phase", "_reason")

    def __init__(self) -> None:
        self._phase, self._reason = MachinePhase.NONE, ""

    @property
    def is_reached(self) -> bool:
        return self._phase is not MachinePhase.NONE

    def reached(self, reason: str) -> bool:
        """Begin the message; return False if that was done already.  The call will end for this reason."""
        if self._phase is not MachinePhase.NONE:
            return False
        self._phase, self._reason = MachinePhase.STOPPING, reason
        return True

    def speak(self, *, silent: bool) -> HangUp | None:
        """Return how the call ends after the message, which may begin now; None if it may not.

        `silent`: what the agent was saying was discarded.
        """
        if self._phase is not MachinePhase.STOPPING or not silent:
            return None
        self._phase = MachinePhase.SPEAKING
        return HangUp(self._reason)
