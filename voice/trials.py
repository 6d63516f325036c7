"""A sentence through one server of a cascade's stage: whether it does its part, and how long that takes."""

import asyncio
from dataclasses import dataclass

from hum.cascades import EarsStage, MindStage, MouthStage
from realtime.codec import PCMU
from realtime.mind import AnswerSituation, Part, SpokenPart
from voice.ears import HttpEars
from voice.mind import ChatMind
from voice.mouth import HttpMouth
from voice.stages import Chain, StageFailed, StageRequests, StageUse

SENTENCE = "One, two, three, four, five."
#: What ears hear that are given no sentence's sound.
SECOND_OF_SILENCE = b"\xff" * 8_000
HEARING_SECONDS = 10.0
ASKED = AnswerSituation(
    instructions="Answer with one word: yes.", items=(({"type": "message", "role": "user"}, "Hello?"),)
)


@dataclass(frozen=True, slots=True)
class StageTrial:
    """`words`: what ears understood, or a mind said; `sound`: what a mouth spoke, as PCMU.  `error` is empty if all went well."""

    stage: str
    model: str
    took_ms: int = 0
    words: str = ""
    sound: bytes = b""
    error: str = ""


async def of_mouth(stage: MouthStage, requests: StageRequests) -> StageTrial:
    """Let a server speak the sentence."""
    uses = list[StageUse]()
    try:
        spoken = await HttpMouth(Chain("mouth", [stage], is_logged=False), requests).utter(
            SENTENCE, PCMU, "", uses.append
        )
    except StageFailed as error:
        return StageTrial("mouth", stage.model, error=str(error))
    return StageTrial("mouth", stage.model, uses[-1].took_ms, sound=spoken.payload)


async def of_ears(stage: EarsStage, requests: StageRequests, sound: bytes = SECOND_OF_SILENCE) -> StageTrial:
    """Let a server recognize a sound in PCMU."""
    uses = list[StageUse]()
    try:
        words = await HttpEars(Chain("ears", [stage], is_logged=False), requests, HEARING_SECONDS).hear(
            PCMU, sound, "", uses.append
        )
    except StageFailed as error:
        return StageTrial("ears", stage.model, error=str(error))
    return StageTrial("ears", stage.model, uses[-1].took_ms, words)


async def of_mind(stage: MindStage, requests: StageRequests) -> StageTrial:
    """Let a server answer a greeting."""
    uses, words = list[StageUse](), list[str]()
    over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def take(part: Part | Exception | None) -> None:
        if isinstance(part, SpokenPart):
            words.append(part.text)
        elif part is None or isinstance(part, Exception):
            over.set_result(str(part or ""))

    mind = ChatMind(Chain("mind", [stage], is_logged=False), requests, uses.append)
    try:
        mind.answer(ASKED, take)
        error = await over
    finally:
        await mind.close()
    return StageTrial("mind", stage.model, uses[-1].took_ms if uses else 0, " ".join(words), error=error)
