"""Far ends with real words, where speech is installed: each text that somebody says becomes audio before it is needed."""

from collections.abc import Iterable
from typing import Any, Protocol

from sandbox.twilio.caller import Step, checked, say

VOICE = "caller"


class Speaker(Protocol):
    """`sandbox.speech.Speech`, or anything that says a text as μ-law at 8 kHz."""

    async def say(self, text: str, voice: str) -> bytes: ...


async def voiced(steps: Iterable[Step], speaker: Speaker | None) -> list[dict[str, Any]]:
    """The same steps with words in them; without a speaker they stay voices that say no words.  Raises BadStep."""
    known = [checked(step) for step in steps]
    if speaker is None:
        return known
    return [say(await speaker.say(each["text"], VOICE)) if "text" in each else each for each in known]
