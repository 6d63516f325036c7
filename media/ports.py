"""What a call gets from the process that has it, and how far it has come there."""

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hum.clock import Clock
from hum.settings import MediaSettings
from media.core.talk import Talk
from media.io.control import ControlLink
from media.io.filework import FileWork
from media.io.openai import Dial
from media.io.overhearing import Overhearing
from media.io.silero import Silero

if TYPE_CHECKING:
    from media.shell import Shell


@dataclass(frozen=True, slots=True)
class Ports:
    """What all calls of a process share."""

    settings: MediaSettings
    link: ControlLink
    dial: Dial
    clock: Clock
    recordings: Path
    files: FileWork  # of the recordings
    overhearing: Overhearing
    silero: Silero | None = None  # the detector over the agent


class Phase(Enum):
    WAITING = auto()
    JOINING = auto()
    TALKING = auto()
    ENDING = auto()  # waiting until control has stored the reports
    CLOSING = auto()  # waiting for the carrier to answer our close
    GONE = auto()


class CallRegistry(Protocol):
    """Keeps track of the calls of this process."""

    def started(self, shell: "Shell") -> str | None:
        """The stream has sent its `start` and counts as a call from now on; returns why it is refused, if it is.  Called once."""

    def joined(self, shell: "Shell", talk: Talk) -> None:
        """The call of this stream is known now; called once, before the call acts."""

    def released(self, shell: "Shell", talk: Talk | None) -> None:
        """Neither a socket nor a report needs this call any more; called once."""
