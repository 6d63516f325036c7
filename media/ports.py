"""The interface between a call and its process: shared resources, the call's phase, the registry of calls."""

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol, TypeVar

from hum.clock import Clock
from hum.settings import MediaSettings
from media.core.talk import Talk
from media.io.control import ControlLink
from media.io.filework import FileWork
from media.io.listenerstreams import OverhearStreams
from media.io.modelsocket import Dial
from media.io.silero import Silero

#: What is registered: the shell, which knows this module.
S_contra = TypeVar("S_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Ports:
    """The resources that all calls of a process share."""

    settings: MediaSettings
    link: ControlLink
    dial: Dial
    clock: Clock
    recordings: Path
    files: FileWork  # of the recordings
    listener_streams: OverhearStreams
    silero: Silero | None = None  # the detector over the agent


class ShellPhase(Enum):
    """The state of a shell; see `media.shell`."""

    WAITING = auto()
    JOINING = auto()
    TALKING = auto()
    ENDING = auto()  # until control has stored the reports
    CLOSING = auto()  # until the carrier answers our close
    GONE = auto()


class CallRegistry(Protocol[S_contra]):
    """The registry of this process's calls, as a shell sees it."""

    def started(self, shell: S_contra) -> str | None:
        """Count a stream that has sent its `start` as a call; return why it is refused, or None.  Called once."""

    def joined(self, shell: S_contra, talk: Talk) -> None:
        """Register the core of a stream once its session is open.  Called once, before the call acts."""

    def released(self, shell: S_contra, talk: Talk | None) -> None:
        """Remove a call that no socket or report needs any more.  Called once."""
