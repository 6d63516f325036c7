"""One response of the realtime model: its events in OpenAI's order, its audio at a fixed pace.  Pure.

Event order: platform.openai.com/docs/guides/realtime-conversations and the server event reference.
"""

import base64
import json
import logging
from collections.abc import Callable, Generator
from typing import Any

from sandbox.openai.codec import codec_of
from sandbox.openai.conversation import Item
from sandbox.openai.script import Call, Turn
from sandbox.openai.stage import Stage, Voiced
from sandbox.speech.sound import split_words

LOG = logging.getLogger(__name__)

#: Each `yield` gives a function that takes a continuation and calls it once; the value passed to the continuation
#: becomes the value of the `yield`.
Steps = Generator[Callable[[Callable[[Any], None]], None], Any, None]
Decision = Generator[Callable[[Callable[[Any], None]], None], Any, Turn]


class Answer:
    """`wish` is response.create's `response`, already validated; `decide` determines what is said."""

    def __init__(
        self, stage: Stage, session: dict[str, Any], wish: dict[str, Any], decide: Callable[[], Decision]
    ) -> None:
        self.id = stage.new_id("resp")
        self.in_band = wish.get("conversation", "auto") != "none"
        self.status = "in_progress"
        self.has_audio = False
        self._stage, self._session = stage, session
        self._wish = wish
        self._decide = decide
        output = session["audio"]["output"] | wish.get("audio", {}).get("output", {})
        self._format, self._voice = output["format"], output["voice"]
        self._modalities: list[str] = wish.get("output_modalities", session["output_modalities"])
        self._max_tokens = wish.get("max_output_tokens", session["max_output_tokens"])
        self._items: list[Item] = []
        self._open: Item | None = None
        self._created_at = stage.clock.now
        self._steps = self._run()

    def begin(self) -> None:
        self._stage.emit("response.created", {"response": self._wire(None, None)})
        self._stage.clock.at(self._created_at, self._step)

    def cancel(self, reason: str) -> None:
        """Stop at once: the open item is closed as incomplete, and response.done says why."""
        self._close_item("incomplete")
        self._finish("cancelled", {"type": "cancelled", "reason": reason})

    def abandon(self) -> None:
        """The connection is gone: stop without an event."""
        if self.status == "in_progress":
            self.status = "abandoned"

    def _step(self, value: Any = None) -> None:
        """Continue the answer, unless it was cancelled meanwhile."""
        if self.status != "in_progress":
            return
        try:
            wait = self._steps.throw(value) if isinstance(value, Exception) else self._steps.send(value)
        except StopIteration:
            return
        wait(self._step)

    def _until(self, moment: float) -> Callable[[Callable[[Any], None]], None]:
        return lambda resume: self._stage.clock.at(moment, lambda: resume(None))

    def _run(self) -> Steps:
        try:
            turn = yield from self._decide()
            scripted_ms = self._stage.settings.latency_ms if turn.latency_ms is None else turn.latency_ms
            slow_ms = self._stage.faults.first_delta_ms
            yield self._until(self._created_at + (scripted_ms if slow_ms is None else slow_ms) / 1000)
            if turn.calls_first:
                self._call_all(turn)
            if turn.say is not None and self._modalities == ["text"]:
                self._write(turn.say)
            elif turn.say is not None or turn.tone is not None:
                yield from self._speak(turn)
            if not turn.calls_first:
                self._call_all(turn)
        except Exception as error:  # the client gets it as a failed response, as from the real service
            LOG.exception("an answer failed")
            self._close_item("incomplete")
            failure = {"type": "server_error", "code": None, "message": repr(error)}
            self._finish("failed", {"type": "failed", "error": failure})
            return
        self._finish("completed", None)

    def _speak(self, turn: Turn) -> Steps:
        codec = codec_of(self._format)
        if turn.tone is not None:
            sound = self._stage.senses.tone(turn.tone, codec)
        else:
            text, voice = turn.say or "", self._voice
            sound = yield lambda resume: self._stage.senses.utter(text, voice, codec, resume)
        item = Item(self._message(), codec)
        self._open_item(item)
        part = {"type": "audio", "transcript": ""}
        item.wire["content"] = [{"type": "output_audio", "transcript": ""}]
        self._part("response.content_part.added", item, {"part": part})
        yield from self._stream(item, sound)
        self._close_item("completed")

    def _stream(self, item: Item, sound: Voiced) -> Steps:
        payload, settings, faults = sound.payload, self._stage.settings, self._stage.faults
        step = settings.chunk_ms * item.codec.bytes_per_ms
        began = self._stage.clock.now
        unsaid = list(sound.words)
        for number, at in enumerate(range(0, len(payload), step)):
            if number == faults.stall_after_chunks:
                began += faults.stall_ms / 1000
            yield self._until(began + number * settings.chunk_ms / settings.speed / 1000)
            chunk_end_ms = (number + 1) * settings.chunk_ms + settings.word_lead_ms
            while unsaid and unsaid[0].start_ms < chunk_end_ms:
                item.words.append(unsaid.pop(0))
                self._part("response.output_audio_transcript.delta", item, {"delta": item.words[-1].text})
            chunk = payload[at : at + step]
            item.audio += chunk
            self.has_audio = True
            self._part("response.output_audio.delta", item, {"delta": _b64(chunk)})

    def _write(self, text: str) -> None:
        item = Item(self._message())
        self._open_item(item)
        part = {"type": "text", "text": ""}
        item.wire["content"] = [{"type": "output_text", "text": ""}]
        self._part("response.content_part.added", item, {"part": part})
        for word in split_words(text):
            item.wire["content"][0]["text"] += word
            self._part("response.output_text.delta", item, {"delta": word})
        self._close_item("completed")

    def _call_all(self, turn: Turn) -> None:
        for call in ([] if turn.call is None else [turn.call]) + turn.more_calls:
            self._call(call)

    def _call(self, call: Call) -> None:
        arguments = json.dumps(call.arguments)
        item = Item(
            {
                "id": self._stage.new_id("item"),
                "object": "realtime.item",
                "type": "function_call",
                "status": "in_progress",
                "name": call.name,
                "call_id": self._stage.new_id("call"),
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
        """What this response is charged for, which the record keeps."""
        read = [each for each in self._stage.conversation.items if each not in self._items]
        usage = self._stage.meter.response(self._session, self._wish, read, self._items)
        self._stage.truth.charge(self._stage.truth.model, usage)
        return usage

    def _message(self) -> dict[str, Any]:
        return {
            "id": self._stage.new_id("item"),
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }


def _b64(payload: bytes) -> str:
    return base64.b64encode(payload).decode()
