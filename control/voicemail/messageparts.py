"""The jobs of voicemail, and their rules.  Pure."""

from collections.abc import Sequence

from control.base.job import Job

#: Attempts with doubling back-off, enough for a file that reaches the store a day late while the store is unavailable for a day.
PATIENT = 16
KEEP = Job("keep_voicemail", concurrency=16, per_organization=4, priority=95, timeout_seconds=60, attempts=PATIENT)
TRANSCRIBE = Job(
    "transcribe_voicemail", concurrency=8, per_organization=2, priority=80, timeout_seconds=300, attempts=PATIENT
)
ERASE = Job("erase_voicemail", concurrency=4, per_organization=2, priority=10, timeout_seconds=60)

HEADER_BYTES = 44
BYTES_PER_MS = 16  # 8 kHz, 16 bits, one channel
#: The slowest speech of the carrier; a stream's token must not expire during it.
CHARS_PER_SECOND = 8


def duration_ms(size_bytes: int) -> int:
    """Return the duration of a message's file from its size."""
    return max(0, size_bytes - HEADER_BYTES) // BYTES_PER_MS


def speaking_seconds(text: str) -> int:
    """Return the longest time that the carrier takes to speak a text."""
    return -(-len(text) // CHARS_PER_SECOND)


def worth_keeping(parts: Sequence[tuple[bool, int]], least_ms: int) -> list[bool]:
    """Return which files of a message to keep.  `parts`: whether each is whole, and its duration in ms.

    The media plane has judged whole files for speech.  An unfinished file is judged by its duration.
    """
    return [duration > 0 and (whole or duration >= least_ms) for whole, duration in parts]
