"""Voicemail's jobs, and what they decide.  Pure."""

from collections.abc import Sequence

from control.base.job import Job

#: A message may be on its way to the store for a day, and the store away for as long: so many attempts, each after twice the time.
PATIENT = 16
KEEP = Job("keep_voicemail", concurrency=16, per_organization=4, priority=95, timeout_seconds=60, attempts=PATIENT)
TRANSCRIBE = Job(
    "transcribe_voicemail", concurrency=8, per_organization=2, priority=80, timeout_seconds=300, attempts=PATIENT
)
ERASE = Job("erase_voicemail", concurrency=4, per_organization=2, priority=10, timeout_seconds=60)

HEADER_BYTES = 44
BYTES_PER_MS = 16  # 8 kHz, 16 bits, one channel
#: How fast the carrier speaks, at least; a stream's token must not expire meanwhile.
CHARS_PER_SECOND = 8


def duration_ms(size_bytes: int) -> int:
    """The length of a message's file."""
    return max(0, size_bytes - HEADER_BYTES) // BYTES_PER_MS


def speaking_seconds(text: str) -> int:
    """How long the carrier takes for a sentence, at most."""
    return -(-len(text) // CHARS_PER_SECOND)


def worth_keeping(parts: Sequence[tuple[bool, int]], least_ms: int) -> list[bool]:
    """Which files of a message are kept: (whole, duration in ms).  The media plane has judged those that are whole; of one
    that nobody ended there is only its length.
    """
    return [duration > 0 and (whole or duration >= least_ms) for whole, duration in parts]
