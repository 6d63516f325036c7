"""The interface to the caller's side of a call; its adapters are in media/legs/."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol

from media.core.legmessages import ToLeg


class Closing(Enum):
    """The reason for which a leg is closed; its adapter translates it for the carrier."""

    NORMAL = auto()
    PROTOCOL = auto()  # the carrier violated its protocol
    REFUSED = auto()  # not authorized
    BUSY = auto()  # try again later
    FAULT = auto()  # an error of ours


class Leg(Protocol):
    """The caller's side of a call, as its shell sees it."""

    def send(self, actions: Sequence[ToLeg]) -> None:
        """Send all actions in one write, in this order."""

    def close(self, closing: Closing) -> None: ...
    def abort(self) -> None: ...
