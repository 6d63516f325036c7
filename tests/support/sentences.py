"""A caller's sentences, spoken by the sandbox's voice."""

import asyncio
from collections.abc import Sequence

from media.core.audio import FRAME_BYTES
from sandbox.speech import Speech

LINES = (
    "I would like to book a table.",
    "For four people, I think.",
    "Tomorrow evening at seven.",
    "No, wait.",
    "Under the name of Miller.",
    "Do you have anything outside?",
    "My brother will come as well.",
    "Because it is his birthday.",
)


def spoken(lines: Sequence[str] = LINES) -> list[list[bytes]]:
    """Return the lines in the sandbox's voice, without the silence around them, in 20 ms frames."""

    async def say() -> list[bytes]:
        speech = Speech()
        try:
            return [await speech.say(line, "caller") for line in lines]
        finally:
            speech.close()

    return [_trimmed(audio) for audio in asyncio.run(say())]


def _trimmed(audio: bytes) -> list[bytes]:
    frames = [audio[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\xff") for at in range(0, len(audio), FRAME_BYTES)]
    loud = [n for n, frame in enumerate(frames) if max(abs(~code & 0x7F) for code in frame) > 0x30]
    return frames[loud[0] : loud[-1] + 1]
