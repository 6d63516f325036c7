"""One realtime session: client events in, server events out, by OpenAI's rules.  Pure: owns neither socket nor clock.

Input audio goes through turn detection into caller items, which are transcribed; at most one answer in the conversation runs at a
time, and any number outside it (`_asides`).  An answer waits until the audio before it is transcribed.  Example: speech_started
at 0 s cancels the running answer; speech_stopped at 2 s commits the item and starts an answer, which waits for the item's text
until 2.3 s, and then speaks.

Source: platform.openai.com/docs/api-reference/realtime-client-events and -server-events (GA names).
"""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from realtime import config, metering
from realtime.answer import ModelAnswer, Preparation
from realtime.codec import Codec, codec_of
from realtime.conversation import FunctionCalls, RealtimeItem, client_item
from realtime.errors import Refusal, missing, wrong_type, wrong_value
from realtime.mind import AnswerSituation, verbatim
from realtime.record import Act
from realtime.sound import split_words
from realtime.stage import Stage
from realtime.vad import Detection, InputBuffer, SpeechPaused, SpeechStarted, SpeechStopped

Event = dict[str, Any]
SEMANTIC_PREFIX_MS = 300


class RealtimeSession:
    def __init__(self, stage: Stage, expires_at: int) -> None:
        """Start in the default configuration; `expires_at` is the session's end in Unix seconds."""
        truth = stage.truth
        self._stage = stage
        self.config = config.default_session(truth.id, truth.model, expires_at)
        truth.session = self.config
        self._input = self._new_input(codec_of(self.config["audio"]["input"]["format"]))
        self._active: ModelAnswer | None = None
        self._asides: dict[str, ModelAnswer] = {}
        self._transcribing: set[str] = set()  # item ids
        self._recognition_error: Exception | None = None
        # Continuations of answers that wait for transcriptions.
        self._waiting_answers: list[Callable[[Any], None]] = []
        self._has_spoken = False
        self._handlers: dict[str, Callable[[Event], None]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.truncate": self._truncate_item,
            "conversation.item.delete": self._delete_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
        }

    def begin(self) -> None:
        self._emit("session.created", session=self.config)

    def handle(self, message: str | bytes) -> None:
        """Handle one client event; answer an invalid one with an `error` event and keep the session."""
        event: Any = None
        try:
            try:
                event = json.loads(message)
            except ValueError as error:
                raise Refusal(f"The event is not valid JSON: {error}", code="invalid_json") from error
            if not isinstance(event, dict):
                raise Refusal("The event is not a JSON object.", code="invalid_event")
            if "type" not in event:
                raise missing("type")
            if event["type"] not in self._handlers:
                raise wrong_value("type", event["type"], tuple(self._handlers))
            self._record(event)
            self._handlers[event["type"]](event)
        except Refusal as refusal:
            event_id = event.get("event_id") if isinstance(event, dict) else None
            self._emit("error", error=refusal.body() | {"event_id": event_id})

    def expire(self) -> None:
        minutes = self._stage.rules.session_limit_s / 60
        self._emit(
            "error",
            error=Refusal(
                f"Your session hit the maximum duration of {minutes:g} minutes.", code="session_expired"
            ).body()
            | {"event_id": None},
        )

    def close(self) -> None:
        for answer in self._answers():
            answer.abandon()

    # session and input

    def _new_input(self, codec: Codec) -> InputBuffer:
        return InputBuffer(codec, self._stage.new_id)

    def _update(self, event: Event) -> None:
        before = codec_of(self.config["audio"]["input"]["format"])
        has_spoken = self._has_spoken or any(answer.has_audio for answer in self._answers())
        self.config = config.update(self.config, event.get("session"), has_spoken=has_spoken)
        self._stage.truth.session = self.config
        after = codec_of(self.config["audio"]["input"]["format"])
        if after is not before:
            self._input = self._new_input(after)
        self._emit("session.updated", session=self.config)

    def _append(self, event: Event) -> None:
        audio = _string(event, "audio")
        try:
            payload = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refusal(
                "Invalid 'audio'. Expected base64-encoded audio bytes.", code="invalid_value", param="audio"
            ) from error
        self.hear(payload)

    def hear(self, payload: bytes) -> None:
        """Append the caller's next audio, in the session's format."""
        self._stage.truth.append(self._stage.clock.now, payload)
        for change in self._input.append(payload, self._detection()):
            match change:
                case SpeechStarted():
                    self.speech_started(change)
                case SpeechPaused():
                    self.speech_paused(change)
                case SpeechStopped():
                    self.speech_stopped(change)

    def _commit(self, _: Event) -> None:
        self._add_turn(*self._input.commit())

    def _clear(self, _: Event) -> None:
        self._input.clear()
        self._emit("input_audio_buffer.cleared")

    def speech_started(self, started: SpeechStarted) -> None:
        """Begin a caller turn; public for subclasses with a detector of their own."""
        self._emit("input_audio_buffer.speech_started", audio_start_ms=started.audio_start_ms, item_id=started.item_id)
        if self._turn_detection()["interrupt_response"] and self._running() is not None:
            self._stop(self._running(), "turn_detected")

    def speech_paused(self, paused: SpeechPaused) -> None:
        """Do nothing; a subclass may begin to recognize the turn, or judge whether it is over."""

    def speech_stopped(self, stopped: SpeechStopped) -> None:
        self._emit("input_audio_buffer.speech_stopped", audio_end_ms=stopped.audio_end_ms, item_id=stopped.item_id)
        self._add_turn(stopped.item_id, stopped.audio)
        # While another answer runs, the automatic one is dropped.
        if self._turn_detection()["create_response"] and self._running() is None:
            self._answer({})

    def _add_turn(self, item_id: str, audio: bytes) -> None:
        """Turn committed audio into the caller's item, and transcribe it."""
        wire = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        item = RealtimeItem(wire)
        before = self._stage.conversation.add(item)
        self._stage.truth.items[item_id] = item
        self._emit("input_audio_buffer.committed", previous_item_id=before, item_id=item_id)
        self._emit("conversation.item.added", previous_item_id=before, item=wire)
        self._emit("conversation.item.done", previous_item_id=before, item=wire)
        self._transcribing.add(item_id)
        audio_ms = self._input.codec.ms(len(audio))
        item.heard_ms = audio_ms
        transcribes = self.config["audio"]["input"]["transcription"] is not None
        self._stage.senses.hear(self._input.codec, audio, partial(self._understood, item, audio_ms, transcribes))

    def _understood(self, item: RealtimeItem, audio_ms: int, transcribes: bool, text: str | Exception) -> None:
        stage = self._stage
        if isinstance(text, Exception):
            self._recognition_error = text
        else:
            stage.truth.understood[item.id] = text
            if transcribes:
                due = stage.clock.now + stage.rules.transcription_delay_ms / 1000
                stage.clock.at(due, partial(self._transcribe, item, text, audio_ms))
        self._transcribing.discard(item.id)
        waiting, self._waiting_answers = self._waiting_answers, []
        for resume in waiting:
            resume(None)

    def _transcribe(self, item: RealtimeItem, text: str, audio_ms: int) -> None:
        place = {"item_id": item.id, "content_index": 0}
        for word in split_words(text):
            self._emit("conversation.item.input_audio_transcription.delta", **place, delta=word)
        item.wire["content"][0]["transcript"] = text
        usage = self._transcription_usage(audio_ms, text)
        self._emit("conversation.item.input_audio_transcription.completed", **place, transcript=text, usage=usage)

    def _transcription_usage(self, audio_ms: int, text: str) -> dict[str, Any] | None:
        """Return the usage of a transcription, and record it."""
        model = self.config["audio"]["input"]["transcription"]["model"]
        usage = metering.transcription(model, audio_ms, text)
        self._stage.truth.charge(model, usage)
        return usage

    # items

    def _create_item(self, event: Event) -> None:
        calls = {item.wire["call_id"] for item in self._stage.conversation.items if "call_id" in item.wire}
        item = client_item(event.get("item"), calls, self._stage.new_id)
        before = self._stage.conversation.add(item, event.get("previous_item_id"))
        self._stage.truth.items[item.id] = item
        self._emit("conversation.item.added", previous_item_id=before, item=item.wire)
        self._emit("conversation.item.done", previous_item_id=before, item=item.wire)

    def _retrieve_item(self, event: Event) -> None:
        item = self._stage.conversation.find(_string(event, "item_id"), "retrieving")
        self._emit("conversation.item.retrieved", item=item.wire)

    def _truncate_item(self, event: Event) -> None:
        item_id, index, end_ms = (
            _string(event, "item_id"),
            _integer(event, "content_index"),
            _integer(event, "audio_end_ms"),
        )
        self._stage.conversation.truncate(item_id, index, end_ms)
        self._stage.truth.truncations.append(Act(item_id, self._stage.clock.now, end_ms))
        self._emit("conversation.item.truncated", item_id=item_id, content_index=index, audio_end_ms=end_ms)

    def _delete_item(self, event: Event) -> None:
        item_id = _string(event, "item_id")
        self._stage.conversation.delete(item_id)
        self._stage.truth.deletions.append(Act(item_id, self._stage.clock.now))
        self._emit("conversation.item.deleted", item_id=item_id)

    # responses

    def _create_response(self, event: Event) -> None:
        options = config.check_response(event.get("response"))
        running = self._running()
        if running is not None and options.get("conversation", "auto") != "none":
            raise Refusal(
                f"Conversation already has an active response in progress: {running.id}. "
                "Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        self._answer(options)

    def _cancel_response(self, event: Event) -> None:
        response_id = event.get("response_id")
        answer = self._running() if response_id is None else self._by_id(response_id)
        if answer is None:
            raise Refusal("Cancellation failed: no active response found", code="response_cancel_not_active")
        self._stage.truth.cancels.append(Act(answer.id, self._stage.clock.now))
        self._stop(answer, "client_cancelled")

    def _answer(self, options: dict[str, Any]) -> None:
        answer = self._new_answer(options)
        if answer.in_band:
            self._has_spoken = self._has_spoken or (self._active is not None and self._active.has_audio)
            self._active = answer
        else:
            self._asides = {aside.id: aside for aside in self._asides.values() if aside.status == "in_progress"}
            self._asides[answer.id] = answer
        answer.begin()

    def _new_answer(self, options: dict[str, Any]) -> ModelAnswer:
        return ModelAnswer(self._stage, self.config, options, lambda: self._prepare(options))

    def _prepare(self, options: dict[str, Any]) -> Preparation:
        """Wait until all audio heard so far is transcribed, unless it does not matter; return what the answer is for."""
        exact = verbatim(options.get("instructions") or "")
        awaited = set() if exact else set(self._transcribing)
        while awaited & self._transcribing:
            yield self._waiting_answers.append
        if self._recognition_error is not None and not exact:
            raise self._recognition_error
        return replace(self._situation(options), exact=exact)

    def _situation(self, options: dict[str, Any]) -> AnswerSituation:
        """Return the conversation as the answer sees it; `input` replaces its items."""
        conversation = self._stage.conversation
        if "input" in options:
            messages = [RealtimeItem({"id": ""} | fields) for fields in options["input"] if isinstance(fields, dict)]
        else:
            messages = conversation.items
        understood = self._stage.truth.understood
        utterances = [item for item in messages if item.wire.get("role") in {"user", "assistant"}]
        dialogue = [(str(item.wire["role"]), understood.get(item.id, item.text())) for item in utterances]
        caller = [text for role, text in dialogue if role == "user"]
        tools = options.get("tools", self.config["tools"])
        choice = options.get("tool_choice", self.config["tool_choice"])
        calls = FunctionCalls() if "input" in options else conversation.calls()
        return AnswerSituation(
            instructions=options.get("instructions") or self.config["instructions"],
            caller_text=caller[-1] if caller else None,
            dialogue=dialogue,
            called=calls.names,
            results=calls.results,
            made=calls.made,
            tools=() if choice == "none" else tools,
            items=[(item.wire, understood.get(item.id, item.text())) for item in messages],
            in_band=options.get("conversation", "auto") != "none",
        )

    def _stop(self, answer: ModelAnswer | None, reason: str) -> None:
        if answer is not None:
            answer.cancel(reason)

    def _running(self) -> ModelAnswer | None:
        return self._active if self._active is not None and self._active.status == "in_progress" else None

    def _by_id(self, response_id: str) -> ModelAnswer | None:
        for answer in self._answers():
            if answer.id == response_id and answer.status == "in_progress":
                return answer
        return None

    def _answers(self) -> list[ModelAnswer]:
        return [*([self._active] if self._active is not None else []), *self._asides.values()]

    def _turn_detection(self) -> dict[str, Any]:
        detection: dict[str, Any] = self.config["audio"]["input"]["turn_detection"]
        return detection

    def _detection(self) -> Detection | None:
        detection, rules = self.config["audio"]["input"]["turn_detection"], self._stage.rules
        if detection is None:
            return None
        if detection["type"] == "semantic_vad":
            silence_ms, prefix_ms = rules.eagerness_ms[detection["eagerness"]], SEMANTIC_PREFIX_MS
        else:
            silence_ms, prefix_ms = detection["silence_duration_ms"], detection["prefix_padding_ms"]
        return Detection(int(silence_ms), int(prefix_ms), rules.speech_dbfs, rules.onset_ms, rules.padded_turns)

    def _record(self, event: Event) -> None:
        if event["type"] != "input_audio_buffer.append":
            self._stage.truth.note("received", event, self._stage.clock.now)

    def _emit(self, type: str, **fields: Any) -> None:
        self._stage.emit(type, fields)


def _string(event: Event, name: str) -> str:
    if name not in event:
        raise missing(name)
    if not isinstance(event[name], str):
        raise wrong_type(name, "a string", event[name])
    return str(event[name])


def _integer(event: Event, name: str) -> int:
    if name not in event:
        raise missing(name)
    if not isinstance(event[name], int) or isinstance(event[name], bool):
        raise wrong_type(name, "an integer", event[name])
    return int(event[name])
