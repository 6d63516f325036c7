"""Speech recognition by `/audio/transcriptions`."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec

from hum.cascades import EarsStage
from realtime.codec import Codec
from voice import pcm, phantoms
from voice.stages import Chain, StageFailed, StageRequests, StageUse, TellUse, whole
from voice.voicing import voiced_ms

MOST_TEXT_BYTES = 256 << 10


class _RecognizedText(msgspec.Struct):
    text: str


_decode = msgspec.json.Decoder(_RecognizedText).decode


class HttpEars:
    """The ears of a process's calls with one cascade."""

    def __init__(self, chain: Chain[EarsStage], requests: StageRequests, seconds: float) -> None:
        self._chain, self._requests, self._seconds = chain, requests, seconds

    async def hear(self, codec: Codec, audio: bytes, language: str, tell: TellUse) -> str:
        """Return the words of a turn, none if they are a noise's.  Each server is asked once, a single one twice.  Raises StageFailed."""
        content = pcm.wav(codec.decode(audio), codec.rate_hz)
        stages, loop = self._chain.order(), asyncio.get_running_loop()
        failure = StageFailed("no server")
        for stage in stages if len(stages) > 1 else stages * 2:
            began = loop.time()
            try:
                async with asyncio.timeout(self._seconds):
                    text = await self._ask(stage, _form(stage, content, language))
                self._chain.worked(stage)
                took_ms = round((loop.time() - began) * 1000)
                tell(StageUse("ears", stage.model, took_ms, heard_ms=round(codec.ms(len(audio)))))
                return "" if _is_phantom(text, codec, audio) else text
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
            text = _decode(answer).text.strip()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise StageFailed("its answer is no transcription") from None
        if phantoms.is_loop(text):
            raise StageFailed("its answer repeats itself", is_passing=True)
        return text


def _is_phantom(text: str, codec: Codec, audio: bytes) -> bool:
    """Tell whether nobody has said what was recognized."""
    if phantoms.is_polite(text):
        return phantoms.is_too_fast(text, voiced_ms(codec, audio))
    return phantoms.is_credit(text)


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
