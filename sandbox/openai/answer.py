"""One response of the realtime model: its events in OpenAI's order, its audio at a set pace.

Event order: platform.openai.com/docs/guides/realtime-conversations and the server event reference.
"""

import asyncio
import base64
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox.openai.codec import codec_of
from sandbox.openai.conversation import Item
from sandbox.openai.script import Call, Turn
from sandbox.openai.stage import Stage
from sandbox.openai.vad import new_id
from sandbox.speech.sound import Utterance, split_words

LOG = logging.getLogger(__name__)

WORD_LEAD_MS = 100  # a word's text comes this much before its sound, at least
TOKENS_PER_AUDIO_S = 20
CHARS_PER_TOKEN = 4


class Answer:
    """`wish` is response.create's `response`, already checked; `decide` finds the words."""

    def __init__(
        self, stage: Stage, session: dict[str, Any], wish: dict[str, Any], decide: Callable[[], Awaitable[Turn]]
    ) -> None:
        self.id = new_id("resp")
        self.in_band = wish.get("conversation", "auto") != "none"
        self.status = "in_progress"
        self.has_audio = False
        self._stage = stage
        self._wish = wish
        self._decide = decide
        output = session["audio"]["output"] | wish.get("audio", {}).get("output", {})
        self._format, self._voice = output["format"], output["voice"]
        self._modalities: list[str] = wish.get("output_modalities", session["output_modalities"])
        self._max_tokens = wish.get("max_output_tokens", session["max_output_tokens"])
        self._items: list[Item] = []
        self._open: Item | None = None
        self._created_at = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._stage.emit("response.created", {"response": self._wire(None, None)})
        self._task = asyncio.create_task(self._run())

    def cancel(self, reason: str) -> None:
        """Stop at once: what was sent is closed as incomplete, and response.done says why."""
        if self._task is not None:
            self._task.cancel()
        self._close_item("incomplete")
        self._finish("cancelled", {"type": "cancelled", "reason": reason})

    async def abandon(self) -> None:
        """The connection is gone: stop without a word."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        try:
            turn = await self._decide()
            scripted_ms = self._stage.settings.latency_ms if turn.latency_ms is None else turn.latency_ms
            slow_ms = self._stage.faults.first_delta_ms
            await _until(self._created_at + (scripted_ms if slow_ms is None else slow_ms) / 1000)
            if turn.say is not None and self._modalities == ["text"]:
                self._write(turn.say)
            elif turn.say is not None or turn.tone is not None:
                await self._speak(turn)
            if turn.call is not None:
                self._call(turn.call)
        except Exception as error:
            LOG.exception("an answer failed")
            self._close_item("incomplete")
            failure = {"type": "server_error", "code": None, "message": repr(error)}
            self._finish("failed", {"type": "failed", "error": failure})
            return
        self._finish("completed", None)

    async def _speak(self, turn: Turn) -> None:
        codec = codec_of(self._format)
        if turn.tone is not None:
            sound = self._stage.senses.tone(turn.tone, codec.rate_hz)
        else:
            sound = await self._stage.senses.utter(turn.say or "", self._voice, codec.rate_hz)
        item = Item(_message(), codec)
        self._open_item(item)
        part = {"type": "audio", "transcript": ""}
        item.wire["content"] = [{"type": "output_audio", "transcript": ""}]
        self._part("response.content_part.added", item, {"part": part})
        await self._stream(item, sound)
        self._close_item("completed")

    async def _stream(self, item: Item, sound: Utterance) -> None:
        payload, settings = item.codec.encode(sound.samples), self._stage.settings
        step = settings.chunk_ms * item.codec.bytes_per_ms
        began = time.monotonic()
        unsaid = list(sound.words)
        for number, at in enumerate(range(0, len(payload), step)):
            await _until(began + number * settings.chunk_ms / settings.speed / 1000)
            chunk_end_ms = (number + 1) * settings.chunk_ms + WORD_LEAD_MS
            while unsaid and unsaid[0].start_ms < chunk_end_ms:
                item.words.append(unsaid.pop(0))
                self._part("response.output_audio_transcript.delta", item, {"delta": item.words[-1].text})
            chunk = payload[at : at + step]
            item.audio += chunk
            self.has_audio = True
            self._part("response.output_audio.delta", item, {"delta": _b64(chunk)})

    def _write(self, text: str) -> None:
        item = Item(_message())
        self._open_item(item)
        part = {"type": "text", "text": ""}
        item.wire["content"] = [{"type": "output_text", "text": ""}]
        self._part("response.content_part.added", item, {"part": part})
        for word in split_words(text):
            item.wire["content"][0]["text"] += word
            self._part("response.output_text.delta", item, {"delta": word})
        self._close_item("completed")

    def _call(self, call: Call) -> None:
        arguments = json.dumps(call.arguments)
        item = Item(
            {
                "id": new_id("item"),
                "object": "realtime.item",
                "type": "function_call",
                "status": "in_progress",
                "name": call.name,
                "call_id": new_id("call"),
                "arguments": "",
            }
        )
        self._open_item(item)
        facts = {
            "response_id": self.id,
            "item_id": item.id,
            "output_index": len(self._items) - 1,
            "call_id": item.wire["call_id"],
        }
        self._stage.emit("response.function_call_arguments.delta", facts | {"delta": arguments})
        item.wire["arguments"] = arguments
        done = facts | {"name": call.name, "arguments": arguments}
        self._stage.emit("response.function_call_arguments.done", done)
        self._close_item("completed")

    def _open_item(self, item: Item) -> None:
        self._open = item
        self._items.append(item)
        self._stage.truth.items[item.id] = item
        self._output("response.output_item.added", item)
        if self.in_band:
            before = self._stage.conversation.add(item)
            self._stage.emit("conversation.item.added", {"previous_item_id": before, "item": item.wire})

    def _close_item(self, status: str) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        for part in item.wire.get("content", ()):
            if part["type"] == "output_audio":
                part["transcript"] = item.transcript()
                self._part("response.output_audio.done", item, {})
                facts = {"transcript": part["transcript"]}
                self._part("response.output_audio_transcript.done", item, facts)
                self._part("response.content_part.done", item, {"part": {"type": "audio"} | facts})
            else:
                self._part("response.output_text.done", item, {"text": part["text"]})
                self._part("response.content_part.done", item, {"part": {"type": "text", "text": part["text"]}})
        item.wire["status"] = status
        self._output("response.output_item.done", item)
        if item in self._stage.conversation.items:
            before = self._stage.conversation.before(item)
            self._stage.emit("conversation.item.done", {"previous_item_id": before, "item": item.wire})

    def _finish(self, status: str, details: dict[str, Any] | None) -> None:
        self.status = status
        self._stage.emit("response.done", {"response": self._wire(details, self._usage())})

    def _output(self, type: str, item: Item) -> None:
        index = self._items.index(item)
        self._stage.emit(type, {"response_id": self.id, "output_index": index, "item": item.wire})

    def _part(self, type: str, item: Item, facts: dict[str, Any]) -> None:
        place = {
            "response_id": self.id,
            "item_id": item.id,
            "output_index": self._items.index(item),
            "content_index": 0,
        }
        self._stage.emit(type, place | facts)

    def _wire(self, details: dict[str, Any] | None, usage: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": details,
            "output": [each.wire for each in self._items],
            "conversation_id": "conv_sandbox" if self.in_band else None,
            "output_modalities": self._modalities,
            "max_output_tokens": self._max_tokens,
            "audio": {"output": {"format": self._format, "voice": self._voice}},
            "usage": usage,
            "metadata": self._wish.get("metadata"),
        }

    def _usage(self) -> dict[str, Any]:
        """A plausible bill: audio by its length, text by its letters."""
        audio_s = sum(each.codec.ms(len(each.audio)) for each in self._items) / 1000
        chars_out = sum(len(each.text()) + len(each.wire.get("arguments", "")) for each in self._items)
        chars_in = sum(len(each.text()) for each in self._stage.conversation.items if each not in self._items)
        audio_out, text_out = round(audio_s * TOKENS_PER_AUDIO_S), chars_out // CHARS_PER_TOKEN
        text_in = chars_in // CHARS_PER_TOKEN
        return {
            "total_tokens": text_in + audio_out + text_out,
            "input_tokens": text_in,
            "output_tokens": audio_out + text_out,
            "input_token_details": {"text_tokens": text_in, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }


def _message() -> dict[str, Any]:
    return {
        "id": new_id("item"),
        "object": "realtime.item",
        "type": "message",
        "status": "in_progress",
        "role": "assistant",
        "content": [],
    }


def _b64(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
