"""Speech recognition by `/audio/transcriptions`."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec

from hum.cascades import EarsStage
from realtime.codec import Codec
from voice import pcm
from voice.stages import Chain, StageFailed, StageRequests, StageUse, TellUse, whole

MOST_TEXT_BYTES = 256 << 10


class _RecognizedText(msgspec.Struct):
    text: str


_decode = msgspec.json.Decoder(_RecognizedText).decode


class HttpEars:
    """The ears of a process's calls with one cascade."""

    def __init__(self, chain: Chain[EarsStage], requests: StageRequests, seconds: float) -> None:
        self._chain, self._requests, self._seconds = chain, requests, seconds

    async def hear(self, codec: Codec, audio: bytes, language: str, tell: TellUse) -> str:
        """Return the words of a turn.  Each server is asked once, a single one twice.  Raises StageFailed."""
        content = pcm.wav(codec.decode(audio), codec.rate_hz)
        stages, loop = self._chain.order(), asyncio.get_running_loop()
        failure = StageFailed("no server")
        for stage in stages if len(stages) > 1 else stages * 2:
            began = loop.time()
            try:
                async with asyncio.timeout(self._seconds):
                    text = await self._ask(stage, _form(stage, content, language))
                took_ms = round((loop.time() - began) * 1000)
                tell(StageUse("ears", stage.model, took_ms, heard_ms=round(codec.ms(len(audio)))))
                return text
            except TimeoutError:
                failure = StageFailed("it does not answer in time", is_passing=True)
            except StageFailed as error:
                failure = error
            self._chain.failed(stage, failure, loop.time() - began, tell)
            if len(stages) == 1 and not failure.is_passing:
                break
        raise failure

    async def _ask(self, stage: EarsStage, form: Callable[[], Any]) -> str:
        answer = await whole(self._requests.stream(stage, "/audio/transcriptions", MOST_TEXT_BYTES, data=form))
        try:
            return _decode(answer).text.strip()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise StageFailed("its answer is no transcription") from None


def _form(stage: EarsStage, content: bytes, language: str) -> Callable[[], aiohttp.FormData]:
    """Return what makes the request's form: a form can be sent once."""

    def form() -> aiohttp.FormData:
        data = aiohttp.FormData()
        data.add_field("file", content, filename="turn.wav", content_type="audio/wav")
        data.add_field("model", stage.model)
        data.add_field("response_format", "json")
        if language:
            data.add_field("language", language)
        if stage.prompt:
            data.add_field("prompt", stage.prompt)
        return data

    return form
