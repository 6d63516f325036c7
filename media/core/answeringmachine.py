"""A machine that has answered our call and waits for a message: what the agent was saying is dropped, then the message is said,
and the call ends.

NONE ── a machine answered ──▶ STOPPING ── the agent is silent ──▶ SPEAKING
"""

from enum import Enum, auto

from media.core.leg import HangUp


class Phase(Enum):
    NONE = auto()
    STOPPING = auto()
    SPEAKING = auto()


class AnsweringMachine:
    """Of one call.  Control may tell of the machine more than once."""

    __slots__ = ("_phase", "_reason")

    def __init__(self) -> None:
        self._phase, self._reason = Phase.NONE, ""

    @property
    def is_reached(self) -> bool:
        return self._phase is not Phase.NONE

    def reached(self, reason: str) -> bool:
        """A machine waits for a message; False if that is known already.  The call will end for this reason."""
        if self._phase is not Phase.NONE:
            return False
        self._phase, self._reason = Phase.STOPPING, reason
        return True

    def speak(self, *, silent: bool) -> HangUp | None:
        """How the call ends once the message is said, which may begin now; None if it may not.  `silent`: what the agent was
        saying is gone.
        """
        if self._phase is not Phase.STOPPING or not silent:
            return None
        self._phase = Phase.SPEAKING
        return HangUp(self._reason)
