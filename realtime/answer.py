"""One response of the realtime model: its events in OpenAI's order, its audio at a fixed pace.  Pure.

States: in_progress, then completed, cancelled, failed, or abandoned when the connection is gone.  `_run` is a generator of the
steps; each step waits for a time, for a part of the answer or for its speech, and `_step` resumes it unless the answer has ended
meanwhile.  Example: response.created at 0 ms, the item and its first chunk of audio at 200 ms, a chunk of 100 ms every 50 ms at double
speed, and response.done after the last one; a cancel at 300 ms closes the item as incomplete at once.

Event order: platform.openai.com/docs/guides/realtime-conversations and the server event reference.
"""

import base64
import logging
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import Any

from realtime.codec import Codec, codec_of
from realtime.conversation import RealtimeItem
from realtime.mind import AnswerSituation, CallPart, Part, SpokenPart, Voiced, WaitPart
from realtime.sound import split_words
from realtime.stage import Do, Stage

LOG = logging.getLogger(__name__)

#: Each `yield` gives a function that takes a continuation and calls it once, with the value of the `yield`.
Steps = Generator[Callable[[Callable[[Any], None]], None], Any, None]
Preparation = Generator[Callable[[Callable[[Any], None]], None], Any, AnswerSituation]
#: Pieces of speech that are synthesized before the one that sounds has been sent.
MOST_AHEAD = 2


class ModelAnswer:
    """`options` is response.create's `response`, already validated; `prepare` waits until its situation is known."""

    def __init__(
        self, stage: Stage, session: dict[str, Any], options: dict[str, Any], prepare: Callable[[], Preparation]
    ) -> None:
        self.id = stage.new_id("resp")
        self.in_band = options.get("conversation", "auto") != "none"
        self.status = "in_progress"
        self.has_audio = False
        self._stage, self._session = stage, session
        self._options = options
        self._prepare = prepare
        output = session["audio"]["output"] | options.get("audio", {}).get("output", {})
        self._format, self._voice = output["format"], output["voice"]
        self._modalities: list[str] = options.get("output_modalities", session["output_modalities"])
        self._max_tokens = options.get("max_output_tokens", session["max_output_tokens"])
        self._items: list[RealtimeItem] = []
        self._open: RealtimeItem | None = None
        self._created_at = stage.clock.now
        self._due = 0.0  # when the next chunk of audio may be sent
        self._parts = _Parts(self._utter)
        self._stop_mind: Callable[[], None] = lambda: None
        self._steps = self._run()

    def begin(self) -> None:
        self._stage.emit("response.created", {"response": self._wire(None, None)})
        self._stage.clock.at(self._created_at, self._step)

    def cancel(self, reason: str) -> None:
        """Stop at once: close the open item as incomplete, and give the reason in response.done."""
        self._close_item("incomplete")
        self._finish("cancelled", {"type": "cancelled", "reason": reason})
        self._stop_work()

    def abandon(self) -> None:
        """Stop without an event, because the connection is gone."""
        if self.status == "in_progress":
            self.status = "abandoned"
            self._stop_work()

    def _stop_work(self) -> None:
        self._stop_mind()
        self._parts.stop()

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
            situation = yield from self._prepare()
            self._stop_mind = self._stage.mind.answer(situation, self._parts.put)
            while (part := (yield self._parts.next)) is not None:
                yield from self._carry_out(part)
        # The client gets a failed response, as from the real service.
        except Exception as error:
            LOG.exception("Could not complete a response")
            self._close_item("incomplete")
            failure = {"type": "server_error", "code": None, "message": repr(error)}
            self._finish("failed", {"type": "failed", "error": failure})
            self._stop_work()
            return
        self._close_item("completed")
        self._finish("completed", None)

    def _carry_out(self, part: Part) -> Steps:
        match part:
            case WaitPart(ms):
                yield self._until(self._created_at + ms / 1000)
            case SpokenPart(text) if self._modalities == ["text"]:
                self._write(text)
            case SpokenPart():
                sound = yield self._parts.voiced
                yield from self._speak(sound)
            case CallPart():
                self._close_item("completed")
                self._call(part)

    def _utter(self, part: SpokenPart, then: Callable[[Voiced | Exception], None]) -> Do | None:
        """Let a piece of speech be synthesized; return what stops that."""
        codec = codec_of(self._format)
        if self._modalities == ["text"]:
            then(Voiced(b"", []))
        elif part.sound is not None:
            then(part.sound(codec))
        else:
            return self._stage.senses.utter(part.text, self._voice, codec, then)
        return None

    def _speak(self, sound: Voiced) -> Steps:
        item = self._open
        if item is None:
            item = RealtimeItem(self._message(), codec_of(self._format))
            self._open_item(item)
            part = {"type": "audio", "transcript": ""}
            item.wire["content"] = [{"type": "output_audio", "transcript": ""}]
            self._part("response.content_part.added", item, {"part": part})
        yield from self._stream(item, sound)

    def _stream(self, item: RealtimeItem, sound: Voiced) -> Steps:
        payload, rules = sound.payload, self._stage.rules
        before_ms = item.codec.ms(len(item.audio))
        self._due = max(self._due, self._stage.clock.now)
        pending_words = list(sound.words)
        for number, (at, end) in enumerate(self._chunks(sound, item.codec)):
            self._due += self._stall_seconds(number)
            yield self._until(self._due)
            self._due += (end - at) / item.codec.bytes_per_ms / rules.speed / 1000
            chunk_end_ms = end / item.codec.bytes_per_ms + rules.word_lead_ms
            while pending_words and pending_words[0].start_ms < chunk_end_ms:
                word = pending_words.pop(0)
                text = (
                    word.text
                    if word.text[:1].isspace() or not item.words or item.words[-1].text[-1:].isspace()
                    else f" {word.text}"
                )
                item.words.append(
                    replace(word, text=text, start_ms=word.start_ms + before_ms, end_ms=word.end_ms + before_ms)
                )
                self._part("response.output_audio_transcript.delta", item, {"delta": text})
            chunk = payload[at:end]
            item.audio += chunk
            self.has_audio = True
            self._part("response.output_audio.delta", item, {"delta": _b64(chunk)})

    def _chunks(self, sound: Voiced, codec: Codec) -> list[tuple[int, int]]:
        """Return where the chunks of a piece begin and end, in bytes; the last one may end after it."""
        step = self._stage.rules.chunk_ms * codec.bytes_per_ms
        return [(at, at + step) for at in range(0, len(sound.payload), step)]

    def _stall_seconds(self, chunk: int) -> float:  # noqa: ARG002
        """Return how long the audio pauses before this chunk of a piece; a stand-in may stall."""
        return 0.0

    def _write(self, text: str) -> None:
        item = self._open
        if item is None:
            item = RealtimeItem(self._message())
            self._open_item(item)
            item.wire["content"] = [{"type": "output_text", "text": ""}]
            self._part("response.content_part.added", item, {"part": {"type": "text", "text": ""}})
        content = item.wire["content"][0]
        for word in split_words(text):
            delta = f" {word}" if content["text"] and not word[:1].isspace() else word
            content["text"] += delta
            self._part("response.output_text.delta", item, {"delta": delta})

    def _call(self, call: CallPart) -> None:
        arguments = call.arguments_json
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
            "conversation_id": "conv_1" if self.in_band else None,
            "output_modalities": self._modalities,
            "max_output_tokens": self._max_tokens,
            "audio": {"output": {"format": self._format, "voice": self._voice}},
            "usage": usage,
            "metadata": self._options.get("metadata"),
        }

    def _usage(self) -> dict[str, Any] | None:
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


class _Parts:
    """The parts of an answer that have come and were not carried out, the next pieces of speech being synthesized."""

    def __init__(self, utter: Callable[[SpokenPart, Callable[[Voiced | Exception], None]], Do | None]) -> None:
        self._utter = utter
        self._stops: list[Do] = []
        self._come: deque[Part | Exception | None] = deque()
        # Of speech: what is not being synthesized yet, and what is, or was, in order; None: not ready.
        self._unspoken: deque[SpokenPart] = deque()
        self._sounds: deque[list[Voiced | Exception | None]] = deque()
        self._resume: Callable[[Any], None] | None = None
        self._resume_sound: Callable[[Any], None] | None = None

    def put(self, part: Part | Exception | None) -> None:
        """Take the next part."""
        if isinstance(part, SpokenPart):
            self._unspoken.append(part)
            self._synthesize()
        self._come.append(part)
        if self._resume is not None:
            resume, self._resume = self._resume, None
            resume(self._come.popleft())

    def next(self, resume: Callable[[Any], None]) -> None:
        """Resume with the next part once it has come."""
        if self._come:
            resume(self._come.popleft())
        else:
            self._resume = resume

    def voiced(self, resume: Callable[[Any], None]) -> None:
        """Resume with the sound of the piece of speech that `next` gave last, once it is ready."""
        self._resume_sound = resume
        self._hand_over()

    def stop(self) -> None:
        """Stop the synthesis of what is not spoken yet."""
        self._unspoken.clear()
        stops, self._stops = self._stops, []
        for stop in stops:
            stop()

    def _synthesize(self) -> None:
        while self._unspoken and len(self._sounds) <= MOST_AHEAD:
            sound: list[Voiced | Exception | None] = [None]
            self._sounds.append(sound)
            if (stop := self._utter(self._unspoken.popleft(), partial(self._ready, sound))) is not None:
                self._stops = [*self._stops[-MOST_AHEAD:], stop]

    def _ready(self, sound: list[Voiced | Exception | None], voiced: Voiced | Exception) -> None:
        sound[0] = voiced
        self._hand_over()

    def _hand_over(self) -> None:
        if self._resume_sound is not None and self._sounds and self._sounds[0][0] is not None:
            resume, self._resume_sound = self._resume_sound, None
            (voiced,) = self._sounds.popleft()
            self._synthesize()
            resume(voiced)
