"""The client of the model's REST API, through OpenAI's SDK: speech, structured output, responses, transcripts."""

import asyncio
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from hum.settings import ModelSettings

with warnings.catch_warnings():
    # Removed from the standard library in 3.13, where audioop-lts provides it under the same name.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.responses import Response, ResponseInputParam, ToolParam

#: `response_format: pcm` of /audio/speech is signed 16 bit at 24 kHz, mono, without a header.
SPEECH_RATE_HZ = 24_000
CALL_RATE_HZ = 8_000


#: The longest `Retry-After` that is respected: a job would expire meanwhile.
MAX_RETRY_AFTER_SECONDS = 3600.0
#: The longest back-off that a request itself waits for.
SHORT_BACK_OFF_SECONDS = 2.0
MOST_ERROR_CHARS = 500


class ModelError(Exception):
    """The model refused, did not answer, or gave an unusable answer; the work may be retried.

    `retry_after_seconds`: the model's own back-off; None if it sent none.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return an answer's back-off: OpenAI's header in milliseconds, or `Retry-After` in seconds (RFC 9110, 10.2.3)."""
    for name, per_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        text = headers.get(name, "").strip()
        if text.isascii() and text.replace(".", "", 1).isdecimal():
            return min(float(text) / per_second, MAX_RETRY_AFTER_SECONDS)
    return None


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """The usage of an answer, as the model reports it: tokens, with cached ones apart, or milliseconds of audio."""

    model: str
    text_in: int = 0
    cached_text_in: int = 0
    text_out: int = 0
    audio_in: int = 0
    heard_ms: int = 0


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    answer: dict[str, Any]
    spent: ModelUsage


@dataclass(frozen=True, slots=True)
class Transcript:
    text: str
    spent: ModelUsage


class Synthesizer(Protocol):
    #: The model that renders speech.
    speech_model: str

    async def synthesize(self, voice: str, text: str) -> bytes:
        """Render a prompt as mu-law at 8 kHz.  Raises ModelError."""
        ...


class Writer(Protocol):
    async def write(self, instructions: str, text: str, schema: Mapping[str, Any]) -> WrittenAnswer:
        """Write an object that conforms to the JSON Schema.  Raises ModelError."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """One request of a turn: instructions, the items so far, and the tools that the model may call."""

    instructions: str
    items: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    may_call: bool
    most_tokens: int


@dataclass(frozen=True, slots=True)
class ModelToolCall:
    id: str
    name: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class ModelReply:
    """The model's text, the tools that it calls, in order, or both."""

    text: str
    calls: Sequence[ModelToolCall]
    spent: ModelUsage


class Responder(Protocol):
    #: The model that responds.
    text_model: str

    async def respond(self, question: Question) -> ModelReply:
        """Return the model's next reply; the provider stores nothing.  Raises ModelError."""
        ...


class Transcriber(Protocol):
    async def transcribe(self, wav: bytes, language: str | None) -> Transcript:
        """Transcribe a WAV; `language` (ISO 639-1) is an optional hint.  Raises ModelError."""
        ...


class OpenAI:
    """The model, at `OPENAI_BASE_URL`.

    The SDK is slow to import, and control uses it only in the studio: the first request imports it, in a thread.
    """

    def __init__(self, settings: ModelSettings, seconds: float) -> None:
        self._settings, self._seconds = settings, seconds
        self.text_model, self.speech_model = settings.text_model, settings.speech_model
        self._connecting = asyncio.Lock()
        self._connected: AsyncOpenAI | None = None

    async def close(self) -> None:
        if self._connected is not None:
            await self._connected.close()

    async def synthesize(self, voice: str, text: str) -> bytes:
        client = await self._client()
        with _errors():
            answer = await client.audio.speech.create(
                model=self._settings.speech_model, voice=voice, input=text, response_format="pcm"
            )
            pcm = await answer.aread()
        return to_ulaw(pcm)

    async def write(self, instructions: str, text: str, schema: Mapping[str, Any]) -> WrittenAnswer:
        client = await self._client()
        with _errors():
            answer = await client.responses.create(
                model=self.text_model,
                instructions=instructions,
                input=text,
                text={"format": {"type": "json_schema", "name": "answer", "schema": dict(schema), "strict": False}},
                store=False,
            )
        try:
            object_ = json.loads(answer.output_text)
        except ValueError as error:
            raise ModelError(str(error)) from None
        if not isinstance(object_, dict):
            raise ModelError("the model did not write an object")
        return WrittenAnswer(object_, _spent(answer))

    async def respond(self, question: Question) -> ModelReply:
        client = await self._client()
        from openai import omit

        with _errors():
            answer = await client.responses.create(
                model=self.text_model,
                instructions=question.instructions,
                input=cast("ResponseInputParam", list(question.items)),
                tools=cast("list[ToolParam]", list(question.tools)) or omit,
                tool_choice=("auto" if question.may_call else "none") if question.tools else omit,
                parallel_tool_calls=False if question.tools else omit,
                max_output_tokens=question.most_tokens,
                store=False,
            )
        return _reply(answer)

    async def transcribe(self, wav: bytes, language: str | None) -> Transcript:
        client = await self._client()
        from openai import omit

        with _errors():
            answer = await client.audio.transcriptions.create(
                model=self._settings.transcribe_model,
                file=("message.wav", wav, "audio/wav"),
                language=language or omit,
                response_format="json",
            )
        return Transcript(answer.text, _transcription_usage(self._settings.transcribe_model, answer.usage))

    async def _client(self) -> "AsyncOpenAI":
        async with self._connecting:
            if self._connected is None:
                self._connected = await asyncio.to_thread(self._connect)
        return self._connected

    def _connect(self) -> "AsyncOpenAI":
        from openai import AsyncOpenAI

        from control.clients.openaihttp import BoundedClient

        return AsyncOpenAI(
            api_key=self._settings.openai_api_key or "none",
            base_url=self._settings.openai_base_url,
            timeout=self._seconds,
            max_retries=1,
            http_client=BoundedClient(event_hooks={"response": [_leave_long_back_off_to_caller]}),
        )


async def _leave_long_back_off_to_caller(response: Any) -> None:
    """Keep the SDK from sleeping for as long as a busy model says, up to two minutes: a job would run out of time."""
    if (retry_after_seconds(response.headers) or 0.0) > SHORT_BACK_OFF_SECONDS:
        response.headers["x-should-retry"] = "false"


@contextmanager
def _errors() -> Iterator[None]:
    """Convert the SDK's errors to ModelError."""
    from openai import APIStatusError, OpenAIError

    try:
        yield
    except APIStatusError as error:
        raise ModelError(_shown(error), retry_after_seconds(error.response.headers)) from None
    except (OpenAIError, ValueError) as error:
        raise ModelError(_shown(error)) from None


def _shown(error: Exception) -> str:
    """Return an error's text, which may quote all of an answer, and its cause."""
    cause = f" ({error.__cause__})" if error.__cause__ is not None else ""
    return f"{error}{cause}"[:MOST_ERROR_CHARS]


def _reply(answer: "Response") -> ModelReply:
    calls = [
        ModelToolCall(item.call_id, item.name, item.arguments) for item in answer.output if item.type == "function_call"
    ]
    if answer.status != "completed":
        reason = answer.incomplete_details.reason if answer.incomplete_details else answer.status
        raise ModelError(f"the model's answer is incomplete: {reason}")
    return ModelReply(answer.output_text, calls, _spent(answer))


def _spent(answer: "Response") -> ModelUsage:
    usage = answer.usage
    if usage is None:
        return ModelUsage(answer.model)
    cached = min(usage.input_tokens_details.cached_tokens, usage.input_tokens) if usage.input_tokens_details else 0
    return ModelUsage(answer.model, usage.input_tokens - cached, cached, usage.output_tokens)


def _transcription_usage(model: str, usage: Any) -> ModelUsage:
    """Return the usage of a transcription: tokens or milliseconds, or neither if the model reports none."""
    match getattr(usage, "type", None):
        case "duration":
            return ModelUsage(model, heard_ms=round(usage.seconds * 1000))
        case "tokens":
            details = usage.input_token_details
            audio = details.audio_tokens if details and details.audio_tokens is not None else usage.input_tokens
            return ModelUsage(model, text_in=usage.input_tokens - audio, audio_in=audio, text_out=usage.output_tokens)
        case _:
            return ModelUsage(model)


def to_ulaw(pcm: bytes) -> bytes:
    """Convert signed 16 bit at 24 kHz to mu-law at 8 kHz (G.711)."""
    import numpy as np
    import soxr

    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.float32)
    slow = soxr.resample(samples, SPEECH_RATE_HZ, CALL_RATE_HZ) if len(samples) else samples
    linear = np.clip(np.rint(slow), -32_768, 32_767).astype("<i2")
    return audioop.lin2ulaw(linear.tobytes(), 2)
