"""One response of the realtime model: its events in OpenAI's order, its audio at a fixed pace.  Pure.

States: in_progress, then completed, cancelled, failed, or abandoned when the connection is gone.  `_run` is a generator of the
steps; each step waits for a time or for speech synthesis, and `_step` resumes it unless the answer has ended meanwhile.
Example: response.created at 0 ms, the item and its first chunk of audio at the latency of 200 ms, a chunk of 100 ms every 50 ms at
double speed, and response.done after the last one; a cancel at 300 ms closes the item as incomplete at once.

Event order: platform.openai.com/docs/guides/realtime-conversations and the server event reference.
"""

import base64
import json
import logging
from collections.abc import Callable, Generator
from typing import Any

from sandbox.openai.codec import codec_of
from sandbox.openai.conversation import RealtimeItem
from sandbox.openai.script import FunctionCall, Turn
from sandbox.openai.stage import Stage, Voiced
from sandbox.speech.sound import split_words

LOG = logging.getLogger(__name__)

#: Each `yield` gives a function that takes a continuation and calls it once, with the value of the `yield`.
Steps = Generator[Callable[[Callable[[Any], None]], None], Any, None]
Decision = Generator[Callable[[Callable[[Any], None]], None], Any, Turn]


class ModelAnswer:
    """`options` is response.create's `response`, already validated; `decide` chooses the words and calls."""

    def __init__(
        self, stage: Stage, session: dict[str, Any], options: dict[str, Any], decide: Callable[[], Decision]
    ) -> None:
        self.id = stage.new_id("resp")
        self.in_band = options.get("conversation", "auto") != "none"
        self.status = "in_progress"
        self.has_audio = False
        self._stage, self._session = stage, session
        self._options = options
        self._decide = decide
        output = session["audio"]["output"] | options.get("audio", {}).get("output", {})
        self._format, self._voice = output["format"], output["voice"]
        self._modalities: list[str] = options.get("output_modalities", session["output_modalities"])
        self._max_tokens = options.get("max_output_tokens", session["max_output_tokens"])
        self._items: list[RealtimeItem] = []
        self._open: RealtimeItem | None = None
        self._created_at = stage.clock.now
        self._steps = self._run()

    def begin(self) -> None:
        self._stage.emit("response.created", {"response": self._wire(None, None)})
        self._stage.clock.at(self._created_at, self._step)

    def cancel(self, reason: str) -> None:
        """Stop at once: close the open item as incomplete, and give the reason in response.done."""
        self._close_item("incomplete")
        self._finish("cancelled", {"type": "cancelled", "reason": reason})

    def abandon(self) -> None:
        """Stop without an event, because the connection is gone."""
        if self.status == "in_progress":
            self.status = "abandoned"

    def _step(self, value: Any = None) -> None:
        """Resume the answer, unless it has ended meanwhile."""
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
            fault_ms = self._stage.faults.first_delta_ms
            yield self._until(self._created_at + (scripted_ms if fault_ms is None else fault_ms) / 1000)
            if turn.calls_first:
                self._call_all(turn)
            if turn.say is not None and self._modalities == ["text"]:
                self._write(turn.say)
            elif turn.say is not None or turn.tone is not None:
                yield from self._speak(turn)
            if not turn.calls_first:
                self._call_all(turn)
        # The client gets a failed response, as from the real service.
        except Exception as error:
            LOG.exception("Could not complete a response")
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
        item = RealtimeItem(self._message(), codec)
        self._open_item(item)
        part = {"type": "audio", "transcript": ""}
        item.wire["content"] = [{"type": "output_audio", "transcript": ""}]
        self._part("response.content_part.added", item, {"part": part})
        yield from self._stream(item, sound)
        self._close_item("completed")

    def _stream(self, item: RealtimeItem, sound: Voiced) -> Steps:
        payload, settings, faults = sound.payload, self._stage.settings, self._stage.faults
        step = settings.chunk_ms * item.codec.bytes_per_ms
        began = self._stage.clock.now
        pending_words = list(sound.words)
        for number, at in enumerate(range(0, len(payload), step)):
            if number == faults.stall_after_chunks:
                began += faults.stall_ms / 1000
            yield self._until(began + number * settings.chunk_ms / settings.speed / 1000)
            chunk_end_ms = (number + 1) * settings.chunk_ms + settings.word_lead_ms
            while pending_words and pending_words[0].start_ms < chunk_end_ms:
                item.words.append(pending_words.pop(0))
                self._part("response.output_audio_transcript.delta", item, {"delta": item.words[-1].text})
            chunk = payload[at : at + step]
            item.audio += chunk
            self.has_audio = True
            self._part("response.output_audio.delta", item, {"delta": _b64(chunk)})

    def _write(self, text: str) -> None:
        item = RealtimeItem(self._message())
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

    def _call(self, call: FunctionCall) -> None:
        arguments = json.dumps(call.arguments)
        item = RealtimeItem(
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

    def _open_item(self, item: RealtimeItem) -> None:
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

    def _output(self, type: str, item: RealtimeItem) -> None:
        index = self._items.index(item)
        self._stage.emit(type, {"response_id": self.id, "output_index": index, "item": item.wire})

    def _part(self, type: str, item: RealtimeItem, facts: dict[str, Any]) -> None:
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
            "output": [item.wire for item in self._items],
            "conversation_id": "conv_sandbox" if self.in_band else None,
            "output_modalities": self._modalities,
            "max_output_tokens": self._max_tokens,
            "audio": {"output": {"format": self._format, "voice": self._voice}},
            "usage": usage,
            "metadata": self._options.get("metadata"),
        }

    def _usage(self) -> dict[str, Any]:
        """Return the usage of this response, and record it."""
        input_items = [item for item in self._stage.conversation.items if item not in self._items]
        usage = self._stage.meter.response(self._session, self._options, input_items, self._items)
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
