"""Speech synthesis by `/audio/speech`, piece by piece."""

import asyncio

from hum.cascades import MouthStage
from realtime.codec import Codec
from realtime.mind import Voiced
from voice import pcm
from voice.pcm import BadSound
from voice.stages import Chain, StageFailed, StageRequests, StageUse, TellUse, whole


class HttpMouth:
    """The mouth of a process's calls with one cascade."""

    def __init__(self, chain: Chain[MouthStage], requests: StageRequests) -> None:
        self._chain, self._requests = chain, requests

    async def utter(self, text: str, codec: Codec, language: str, tell: TellUse) -> Voiced:
        """Return the sound of a piece in a language, or in any if that is empty; a server that fails is followed by the next.

        Raises StageFailed.
        """
        failure, loop = StageFailed(f"no server speaks {language}"), asyncio.get_running_loop()
        for stage in self._chain.order():
            voice, began = stage.voice_for(language), loop.time()
            if voice is None:
                continue
            try:
                sound = await self._ask(stage, text, voice, codec)
                self._chain.worked(stage)
                took_ms = round((loop.time() - began) * 1000)
                tell(StageUse("mouth", stage.model, took_ms, spoken_ms=round(codec.ms(len(sound.payload)))))
                return sound
            except BadSound as error:
                failure = StageFailed(f"it sent {error}")
            except StageFailed as error:
                failure = error
            self._chain.failed(stage, failure, loop.time() - began, tell)
        raise failure

    async def _ask(self, stage: MouthStage, text: str, voice: str, codec: Codec) -> Voiced:
        body = {"model": stage.model, "input": text, "voice": voice, "response_format": "pcm"}
        most = pcm.most_bytes(text, stage.rate)
        content = await whole(self._requests.stream(stage, "/audio/speech", most, json=body))
        return pcm.voiced(content, stage.rate, text, codec)
