"""The REST API: /v1/responses, /v1/embeddings, /v1/audio/speech, /v1/audio/transcriptions, with OpenAI's errors."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from realtime import metering
from realtime.codec import PCM, Codec
from realtime.config import VOICES
from realtime.errors import Refusal, missing, rejection, wrong_type, wrong_value
from sandbox.openai import chat, embeddings, responses
from sandbox.openai.script import ScriptPlayer
from sandbox.openai.senses import SpeechSenses
from sandbox.openai.settings import StageFaults, StageSettings
from sandbox.speech import sound

SPEECH_VOICES = (*VOICES, "fable", "nova", "onyx")
SPEECH_FORMATS = ("pcm", "wav")
MAX_INPUT_CHARS = 4_096

LANGUAGE = re.compile("[a-z]{2}")


@dataclass(frozen=True, slots=True)
class Transcription:
    """A request to /v1/audio/transcriptions and its text; `language` is empty if the request had none."""

    model: str
    language: str
    content: bytes
    text: str


Handler = Callable[[Request], Awaitable[Response]]


class ModelRest:
    """`refuse` returns the status of an injected fault; `player` the script's position for requests."""

    def __init__(
        self,
        authorizes: Callable[[str], bool],
        refuse: Callable[[], int | None],
        player: Callable[[], ScriptPlayer],
        senses: SpeechSenses,
        transcriptions: "list[Transcription]",
        charged: list[tuple[str, dict[str, Any]]],
        stages: Callable[[], tuple[StageSettings, StageFaults]],
        chats: list[dict[str, Any]],
    ) -> None:
        self._stages, self._chats = stages, chats
        self._authorizes = authorizes
        self._refuse = refuse
        self._player = player
        self._senses = senses
        self._transcribed = transcriptions
        self._charged = charged

    def routes(self) -> list[Route]:
        return [
            Route("/v1/responses", self._guarded(self._responses), methods=["POST"]),
            Route("/v1/chat/completions", self._guarded(self._chat), methods=["POST"]),
            Route("/v1/embeddings", self._guarded(self._embeddings), methods=["POST"]),
            Route("/v1/audio/speech", self._guarded(self._speech), methods=["POST"]),
            Route("/v1/audio/transcriptions", self._guarded(self._transcriptions), methods=["POST"]),
            Route("/v1/models/{name}", self._guarded(self._model)),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                if not self._authorizes(request.headers.get("authorization", "")):
                    raise rejection(401)
                if (status := self._refuse()) is not None:
                    raise rejection(status)
                return await handler(request)
            except Refusal as refusal:
                return refused(refusal)

        return guarded

    async def _model(self, request: Request) -> Response:
        """Return a model; every name exists here."""
        return JSONResponse({"id": request.path_params["name"], "object": "model", "created": 0, "owned_by": "sandbox"})

    async def _responses(self, request: Request) -> Response:
        body = await _json(request)
        response = responses.respond(body, self._player())
        self._charged.append((str(body["model"]), response["usage"]))
        if not body.get("stream"):
            return JSONResponse(response)
        return StreamingResponse(_sse(response), media_type="text/event-stream")

    async def _chat(self, request: Request) -> Response:
        body = await _json(request)
        settings, faults = self._of(body.get("model"))
        if faults.chat_status is not None:
            raise rejection(faults.chat_status)
        self._chats.append(body)
        turn = chat.answer(body, self._player())
        await asyncio.sleep(settings.first_word_ms / 1000)
        if not body.get("stream"):
            self._charged.append((body["model"], chat.usage(body, turn)))
            return JSONResponse(chat.whole(body, turn))

        async def stream() -> AsyncIterator[str]:
            for number, delta in enumerate(chat.deltas(turn)):
                if number == faults.chat_ends_after:
                    return
                yield _data(chat.chunk(body, delta))
                await asyncio.sleep(settings.word_ms / 1000)
            yield _data(chat.chunk(body, {}, chat.finish_of(turn)))
            used = chat.usage(body, turn)
            self._charged.append((body["model"], used))
            if (body.get("stream_options") or {}).get("include_usage"):
                yield _data(chat.chunk(body, {}) | {"choices": [], "usage": used})
            yield "data: [DONE]\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    def _of(self, model: object) -> tuple[StageSettings, StageFaults]:
        """Return the latencies and the faults of a request for this model."""
        settings, faults = self._stages()
        return settings, faults if faults.models is None or model in faults.models else StageFaults()

    async def _embeddings(self, request: Request) -> Response:
        body = await _json(request)
        # In a thread, so that running calls keep their pace.
        result = await asyncio.to_thread(embeddings.answer, body)
        self._charged.append((str(body["model"]), result["usage"]))
        return JSONResponse(result)

    async def _speech(self, request: Request) -> Response:
        body = await _json(request)
        for name in ("model", "input", "voice"):
            if name not in body:
                raise missing(name)
            if not isinstance(body[name], str):
                raise wrong_type(name, "a string", body[name])
        if not 0 < len(body["input"]) <= MAX_INPUT_CHARS:
            raise Refusal(f"'input' takes 1 to {MAX_INPUT_CHARS} characters.", code="invalid_value", param="input")
        if body["voice"] not in SPEECH_VOICES:
            raise wrong_value("voice", body["voice"], SPEECH_VOICES)
        form = body.get("response_format", "mp3")
        if form not in SPEECH_FORMATS:
            raise wrong_value("response_format", form, SPEECH_FORMATS)
        settings, faults = self._of(body["model"])
        if faults.speaking_status is not None:
            raise rejection(faults.speaking_status)
        await asyncio.sleep(settings.speaking_ms / 1000)
        spoken = await self._senses.utter(body["input"], body["voice"], PCM.rate_hz)
        self._charged.append((body["model"], {"type": "speech", "seconds": len(spoken.samples) / PCM.rate_hz}))
        if form == "wav":
            return Response(sound.write_wav(spoken.samples, PCM.rate_hz), media_type="audio/wav")
        return Response(PCM.encode(spoken.samples), media_type="audio/pcm")

    async def _transcriptions(self, request: Request) -> Response:
        async with request.form() as form:
            upload, model, response_format = form.get("file"), form.get("model"), form.get("response_format", "json")
            if not isinstance(upload, UploadFile):
                raise missing("file")
            if not model:
                raise missing("model")
            if response_format not in {"json", "text"}:
                raise wrong_value("response_format", response_format, ("json", "text"))
            language = str(form.get("language", ""))
            if language and not LANGUAGE.fullmatch(language):
                raise Refusal(
                    f"Invalid language '{language}'. Language parameter must be specified in ISO-639-1 format.",
                    code="invalid_language_format",
                    param="language",
                )
            settings, faults = self._of(model)
            if faults.hearing_status is not None:
                raise rejection(faults.hearing_status)
            content = await upload.read()
        await asyncio.sleep(settings.hearing_ms / 1000)
        try:
            samples, rate_hz = sound.read_wav(content)
        except ValueError as error:
            raise Refusal(f"Audio file might be corrupted or unsupported: {error}", param="file") from error
        codec = Codec(rate_hz, rate_hz * 2 // 1000, PCM.encode, PCM.decode)
        text = await self._senses.hear(codec, PCM.encode(samples), self._player())
        self._transcribed.append(Transcription(str(model), language, content, text))
        usage = metering.transcription(str(model), len(samples) / rate_hz * 1000, text)
        self._charged.append((str(model), usage))
        if response_format == "text":
            return PlainTextResponse(text + "\n")
        return JSONResponse({"text": text, "usage": usage})


def refused(refusal: Refusal) -> Response:
    return JSONResponse({"error": refusal.body()}, refusal.status)


def _data(chunk: dict[str, Any]) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise Refusal(f"We could not parse the JSON body of your request: {error}") from error
    if not isinstance(body, dict):
        raise Refusal("The body of your request is not a JSON object.")
    return body


async def _sse(response: dict[str, Any]) -> AsyncIterator[str]:
    for event in responses.events(response):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
