"""What was recorded, for tests that have time to wait for a disk."""

from media.recorder import MessageRecorder, Recorder
from media.reports import Recording


def closed(made: Recorder) -> Recording:
    """End a recording; return what is stored."""
    stored: list[Recording] = []
    made.close(stored.append)
    return stored[0]


def closed_message(made: MessageRecorder, *, kept: bool = True) -> Recording:
    """End a message; return what is stored."""
    stored: list[Recording] = []
    made.close(stored.append, kept=kept)
    return stored[0]
