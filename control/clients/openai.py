"""The model's REST API, through OpenAI's SDK: renders fixed sentences as audio, summarizes calls."""

import json
import warnings
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import openai
import soxr

from hum.settings import Model as ModelSettings

with warnings.catch_warnings():
    # Removed from the standard library in 3.13, where audioop-lts provides it under the same name.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

#: `response_format: pcm` of /audio/speech is signed 16 bit at 24 kHz, mono, without a header.
SPEECH_RATE_HZ = 24_000
CALL_RATE_HZ = 8_000


class ModelError(Exception):
    """The model refused, did not answer, or gave an unusable answer; the work may be retried."""


class Speech(Protocol):
    async def say(self, voice: str, text: str) -> bytes:
        """A sentence as mu-law at 8 kHz.  Raises ModelError."""
        ...


class Writer(Protocol):
    async def write(self, instructions: str, text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        """An object by the JSON Schema.  Raises ModelError."""
        ...


class OpenAI:
    """The model, at `OPENAI_BASE_URL`."""

    def __init__(self, settings: ModelSettings, seconds: float) -> None:
        self._client = openai.AsyncOpenAI(
            api_key=settings.openai_api_key or "none", base_url=settings.openai_base_url, timeout=seconds, max_retries=1
        )
        self._speech_model, self._text_model = settings.speech_model, settings.text_model

    async def close(self) -> None:
        await self._client.close()

    async def say(self, voice: str, text: str) -> bytes:
        try:
            answer = await self._client.audio.speech.create(
                model=self._speech_model, voice=voice, input=text, response_format="pcm"
            )
            pcm = await answer.aread()
        except openai.OpenAIError as error:
            raise ModelError(str(error)) from error
        return to_ulaw(pcm)

    async def write(self, instructions: str, text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = await self._client.responses.create(
                model=self._text_model,
                instructions=instructions,
                input=text,
                text={"format": {"type": "json_schema", "name": "answer", "schema": dict(schema), "strict": False}},
                store=False,
            )
            written = json.loads(answer.output_text)
        except (openai.OpenAIError, ValueError) as error:
            raise ModelError(str(error)) from error
        if not isinstance(written, dict):
            raise ModelError("the model did not write an object")
        return written


def to_ulaw(pcm: bytes) -> bytes:
    """Signed 16 bit at 24 kHz as mu-law at 8 kHz (G.711)."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.float32)
    slow = soxr.resample(samples, SPEECH_RATE_HZ, CALL_RATE_HZ) if len(samples) else samples
    linear = np.clip(np.rint(slow), -32_768, 32_767).astype("<i2")
    return audioop.lin2ulaw(linear.tobytes(), 2)
