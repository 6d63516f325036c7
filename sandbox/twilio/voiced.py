"""Far ends with real words, where speech is installed: each spoken text becomes audio before it is needed."""

from collections.abc import Iterable
from typing import Any, Protocol

from sandbox.twilio.caller import Step, checked, say

VOICE = "caller"


class SpeechSource(Protocol):
    """`sandbox.speech.Speech`, or any other source of speech as μ-law at 8 kHz."""

    async def say(self, text: str, voice: str) -> bytes: ...


async def voiced(steps: Iterable[Step], speaker: SpeechSource | None) -> list[dict[str, Any]]:
    """Return the steps with their texts as spoken audio; without a speaker they keep voices without words.  Raises BadStep."""
    valid = [checked(step) for step in steps]
    if speaker is None:
        return valid
    return [say(await speaker.say(item["text"], VOICE)) if "text" in item else item for item in valid]
