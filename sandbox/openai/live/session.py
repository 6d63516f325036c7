"""One session of GPT-Live: client events in, server events out.  Pure: owns neither socket nor clock.

The input is the clock: each 100 ms of it that is appended gives 100 ms of output, speech or silence, and without it nothing comes.
The model hears while it speaks, decides by itself when a turn is over and when to fall silent, and believes that all it sent was
heard.  It tells nobody of turns or interruptions.  A task is delegated without its text; the model says one holding sentence and
waits until the delegation is answered.

Example: a caller speaks from 1.0 to 2.0 s; at 2.5 s the turn is over, 200 ms later the answer begins with the next input, and at
3.1 s the caller's words come, in frames of 200 ms.

Source: openai.types.live, and developers.openai.com/api/docs/guides/live-conversations and live-delegation.
"""

import base64
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from realtime.codec import Codec, codec_of
from realtime.errors import Refusal
from realtime.mind import AnswerSituation, Voiced, verbatim
from realtime.vad import Detection, InputBuffer, SpeechStarted, SpeechStopped
from sandbox.openai import mind
from sandbox.openai.live import commands
from sandbox.openai.live.commands import (
    Append,
    AppendAudio,
    AppendCommentary,
    AppendInstructions,
    Command,
    SessionConfig,
)
from sandbox.openai.live.record import Appended, Delegated, Kind, LiveRecord
from sandbox.openai.live.voice import FRAME_MS, PIECE_MS, LiveVoice, Sentence, framed
from sandbox.openai.script import FunctionCall, Turn
from sandbox.openai.stage import StandInStage
from sandbox.speech.sound import split_words

PREFIX_MS: Final = 300
#: A longer append stalls the output.
BURST_MS: Final = 1_000
STALL_SECONDS: Final = 0.5
NORMAL_CLOSURE: Final = 1000
SILENCE: Final = {"audio/pcmu": b"\xff", "audio/pcm": b"\x00\x00"}
#: The silence of a session whose silence is not exact.
NOISE: Final = {"audio/pcmu": b"\xfe\xff", "audio/pcm": b"\x01\x00"}
KINDS: Final[dict[type, Kind]] = {AppendInstructions: "instructions", AppendCommentary: "commentary"}


class LiveSession:
    """A session, from the opened connection on; `hang_up` closes it with a code."""

    def __init__(
        self, stage: StandInStage, record: LiveRecord, expires_at: int, hang_up: Callable[[int], None]
    ) -> None:
        self._stage, self._record, self._expires_at, self._hang_up = stage, record, expires_at, hang_up
        self._hearing: _Hearing | None = None  # once it has started
        self._closed = False

    def begin(self) -> None:
        """Wait for the client: it speaks first."""

    def handle(self, message: str | bytes) -> None:
        """Handle one client event.  An invalid one is answered with an `error`, which ends a session that has not started."""
        try:
            command = commands.command(message)
            self._note(message, command)
            self._carry_out(command)
        except Refusal as refusal:
            body = {key: value for key, value in refusal.body().items() if value is not None}
            self._stage.emit("error", {"error": {"code": "invalid_request"} | body | _echo(_event_id(message))})
            if self._hearing is None:
                self._hang_up(NORMAL_CLOSURE)

    def expire(self) -> None:
        """End the session at its time."""
        self.end("expired")

    def close(self) -> None:
        """Stop: the connection is gone."""
        self._closed = True
        if self._hearing is not None:
            self._hearing.is_over = True

    def end(self, reason: str, event_id: str | None = None) -> None:
        """Tell the client that the session is closed, and close the connection."""
        if self._hearing is None or self._closed:
            return
        self.close()
        if not self._stage.faults.live.no_closed:
            usage = {"seconds": self._hearing.used_seconds()}
            fields = {"reason": reason, "session": self._stage.truth.session, "usage": usage}
            self._stage.emit("session.closed", fields | _echo(event_id))
        self._hang_up(NORMAL_CLOSURE)

    def _carry_out(self, command: Command) -> None:
        hearing = self._hearing
        match command:
            case commands.StartSession() if hearing is None:
                self._start(command)
            case commands.StartSession():
                raise Refusal("The session has started already.", code="session_already_started", param="type")
            case _ if hearing is None:
                raise Refusal("The first event is session.start.", code="session_not_started", param="type")
            case AppendAudio():
                hearing.hear(command.audio)
                limit_ms = self._stage.faults.live.content_after_ms
                if limit_ms is not None and hearing.at_ms >= limit_ms:
                    self.end("content")
            case commands.Mute() | commands.Unmute():
                hearing.is_muted = isinstance(command, commands.Mute)
                state = "muted" if hearing.is_muted else "unmuted"
                self._stage.emit(f"session.input_audio.{state}", _echo(command.event_id))
            case commands.Update():
                self._update(command)
            case commands.Close():
                self.end("close_requested", command.event_id)
            case _:
                hearing.tell(command)

    def _start(self, start: commands.StartSession) -> None:
        commands.check_start(start.session)
        if self._stage.faults.live.never_starts:
            return
        self._stage.truth.session |= msgspec.to_builtins(start.session) | {
            "id": self._stage.truth.id,
            "expires_at": self._expires_at,
            "status": "active",
        }
        self._stage.truth.model = start.session.model
        self._hearing = _Hearing(self._stage, self._record, start.session)
        self._stage.emit("session.started", {"session": self._stage.truth.session} | _echo(start.event_id))
        self._report_usage_later()

    def _update(self, update: commands.Update) -> None:
        delegation = update.session.delegation
        if delegation is not None and delegation.type != "client":
            raise Refusal("The delegation's type can't change.", code="invalid_value", param="session.delegation.type")
        if delegation is not None:
            self._stage.truth.session["delegation"] = msgspec.to_builtins(delegation)
        self._stage.emit("session.updated", {"session": self._stage.truth.session} | _echo(update.event_id))

    def _report_usage_later(self) -> None:
        clock, seconds = self._stage.clock, self._stage.rules.live.usage_seconds
        if not self._stage.faults.live.no_usage:
            clock.at(clock.now + seconds, self._report_usage)

    def _report_usage(self) -> None:
        if self._hearing is None or self._closed:
            return
        self._stage.emit("session.usage.updated", {"usage": {"seconds": self._hearing.used_seconds()}})
        self._report_usage_later()

    def _note(self, message: str | bytes, command: Command) -> None:
        if not isinstance(command, AppendAudio):
            self._stage.truth.note("received", msgspec.json.decode(message), self._stage.clock.now)


class _Hearing:
    """A started session: what it hears, and what it says of it."""

    def __init__(self, stage: StandInStage, record: LiveRecord, config: SessionConfig) -> None:
        form = (
            {"type": "audio/pcm"}
            if config.audio is None or config.audio.format is None
            else {"type": config.audio.format.type}
        )
        if form["type"] not in SILENCE:
            raise Refusal(
                "This session speaks mu-law or PCM alone.", code="unsupported_value", param="session.audio.format.type"
            )
        self.is_muted = self.is_over = False
        self.at_ms = 0  # of the input that was taken
        self._stage, self._record = stage, record
        codec = codec_of(form)
        self._silence = (NOISE if stage.faults.live.noise else SILENCE)[form["type"]]
        self._quiet = SILENCE[form["type"]] * (PIECE_MS * codec.bytes_per_ms // len(SILENCE[form["type"]]))
        self._name = (config.audio.output.voice if config.audio and config.audio.output else None) or "marin"
        self._voice = LiveVoice(codec, self._silence, record.sentences)
        self._turns = _Turns(stage, codec, self._voice)
        self._instructions = [config.instructions or ""]
        self._dialogue: list[tuple[str, str] | Sentence] = [
            (_role(each.role), each.content[0].text) for each in config.input
        ]
        self._pending = bytearray()
        self._called: list[str] = []  # since the caller spoke
        self._stalled_until = 0.0
        self._began = stage.clock.now

    def used_seconds(self) -> float:
        """Return the time since the session's start, and record it."""
        self._record.seconds = round(self._stage.clock.now - self._began, 3)
        return self._record.seconds

    def hear(self, payload: bytes) -> None:
        """Take the caller's next audio, and give as much of the model's."""
        stage, codec = self._stage, self._voice.codec
        self._stage.truth.append(stage.clock.now, payload)
        if codec.ms(len(payload)) > BURST_MS:
            self._stalled_until = stage.clock.now + STALL_SECONDS
        self._pending += payload
        size = PIECE_MS * codec.bytes_per_ms
        while len(self._pending) >= size:
            piece = self._quiet if self.is_muted else bytes(self._pending[:size])
            del self._pending[:size]
            self._piece(piece)

    def _piece(self, heard: bytes) -> None:
        begun = len(self._voice.sentences)
        sound, fragments = self._voice.piece(self.at_ms)
        self._dialogue += self._voice.sentences[begun:]
        self._give(sound)
        for fragment in fragments:
            self._words("output", fragment.text, fragment.start_ms)
        self.at_ms += PIECE_MS
        for stopped in self._turns.hear(heard, self.at_ms):
            self._stage.senses.hear(self._voice.codec, stopped.audio, partial(self._understood, stopped))

    def _give(self, sound: bytes) -> None:
        event = {"type": "session.output_audio.delta", "delta": base64.b64encode(sound).decode()}
        if self._stage.clock.now < self._stalled_until:
            self._stage.clock.at(self._stalled_until, partial(self._stage.send, event))
        else:
            self._stage.send(event)

    def _understood(self, turn: "_Turn", text: str | Exception) -> None:
        """Tell the caller's words a while after they were said, and answer them unless they were said over the model."""
        if isinstance(text, Exception):
            raise text
        self._stage.truth.understood[turn.id] = text
        stage = self._stage
        words = partial(self._caller_words, text, turn.start_ms, turn.end_ms)
        self._later(stage.rules.live.words_late_ms, words)
        self._dialogue.append(("user", text))
        self._called.clear()
        if not turn.is_aside and text:
            self._answer(text)

    def _answer(self, text: str) -> None:
        stage = self._stage
        situation = AnswerSituation(
            instructions="\n".join(self._instructions),
            caller_text=text,
            dialogue=[each if isinstance(each, tuple) else ("assistant", each.sent_text) for each in self._dialogue],
            called=self._called,
        )
        turn = mind.choose_turn(stage.player, stage.player.next_turn(), situation)
        late_ms = stage.rules.latency_ms if turn.latency_ms is None else turn.latency_ms
        self._later(late_ms, partial(self._act, turn))

    def _later(self, ms: float, do: Callable[[], None]) -> None:
        """Do this in so many ms, unless the session is over by then."""
        self._stage.clock.at(self._stage.clock.now + ms / 1000, lambda: None if self.is_over else do())

    def _act(self, turn: Turn) -> None:
        if turn.tone is not None:
            self._voice.say("", self._stage.senses.tone(turn.tone, self._voice.codec))
        elif turn.say is not None:
            self._say(turn.say)
        for call in ([] if turn.call is None else [turn.call]) + turn.more_calls:
            self._delegate(call)

    def _delegate(self, task: FunctionCall) -> None:
        delegated = Delegated(self._stage.new_id("deleg"), task, self.at_ms)
        self._record.delegations[delegated.id] = delegated
        self._called.append(task.name)
        delegation = {"id": delegated.id, "target": "client", "type": "delegation"}
        self._stage.emit("session.delegation.created", {"delegation": delegation, "offset_ms": self.at_ms})
        if self._stage.rules.live.holding:
            self._say(self._stage.rules.live.holding)

    def tell(self, append: Append) -> None:
        """Take a text for the model: a rule, something to know, or something to say.  Raises Refusal."""
        commands.check_append(append)
        delegated = None
        if append.delegation_id is not None:
            delegated = self._record.delegations.get(append.delegation_id)
            if delegated is None:
                raise Refusal(
                    f"There is no delegation '{append.delegation_id}'.", code="invalid_value", param="delegation_id"
                )
        appended = Appended(KINDS.get(type(append), "thinking"), append.content, append.delegation_id, self.at_ms)
        self._record.appended.append(appended)
        if delegated is not None:
            delegated.answers.append(appended)
        if appended.kind == "instructions":
            self._instructions.append(append.content)
        elif appended.kind == "commentary":
            self._comment(append.content)
        place = {"start_ms": self.at_ms, "end_ms": self.at_ms}
        self._stage.emit(f"session.{appended.kind}.appended", place | _echo(append.event_id))

    def _comment(self, content: str) -> None:
        stage = self._stage
        text = verbatim(content) or f"{stage.rules.live.paraphrase}{content}"
        self._later(stage.rules.live.commentary_ms, partial(self._say, text))

    def _say(self, text: str) -> None:
        def voiced(sound: Voiced | Exception) -> None:
            if isinstance(sound, Exception):
                raise sound
            self._voice.say(text, sound)

        self._stage.senses.utter(text, self._name, self._voice.codec, voiced)

    def _caller_words(self, text: str, start_ms: int, end_ms: int) -> None:
        """Send the caller's words, spread over the time in which they were said."""
        words = split_words(text)
        for number, word in enumerate(words):
            at_ms = start_ms + (end_ms - start_ms) * number // len(words)
            self._words("input", f" {word.strip()}", framed(at_ms))

    def _words(self, side: str, text: str, start_ms: int) -> None:
        if not self._stage.faults.live.no_words:
            fields = {"delta": text, "start_ms": start_ms, "end_ms": start_ms + FRAME_MS}
            self._stage.emit(f"session.{side}_transcript.delta", fields)


class _Turn(msgspec.Struct, frozen=True):
    """A caller's turn; an aside is a short one over the model, which goes on."""

    id: str
    audio: bytes
    start_ms: int
    end_ms: int
    is_aside: bool


class _Turns:
    """The model's own ear: the caller's turns, and when to fall silent for one."""

    def __init__(self, stage: StandInStage, codec: Codec, voice: LiveVoice) -> None:
        settings = stage.rules
        self._live, self._voice = settings.live, voice
        self._input = InputBuffer(codec, stage.new_id)
        self._detection = Detection(
            settings.live.turn_silence_ms, PREFIX_MS, settings.speech_dbfs, settings.onset_ms, padded=False
        )
        self._began_ms: int | None = None
        self._is_over_voice = False
        self._stop_at_ms: int | None = None

    def hear(self, piece: bytes, now_ms: int) -> list[_Turn]:
        """Take a piece of the caller's audio, which ends at `now_ms`; return the turns that it ends."""
        ended = []
        for change in self._input.append(piece, self._detection):
            match change:
                case SpeechStarted(_, start_ms):
                    self._began_ms, self._is_over_voice = start_ms, self._voice.is_speaking
                case SpeechStopped(id, end_ms, audio):
                    ended.append(self._ended(id, end_ms, audio))
        if self._is_interrupted(now_ms) and self._stop_at_ms is None:
            self._stop_at_ms = now_ms + self._live.stop_ms
        if self._stop_at_ms is not None and now_ms >= self._stop_at_ms:
            self._stop_at_ms = None
            self._voice.stop()
        return ended

    def _is_interrupted(self, now_ms: int) -> bool:
        if self._began_ms is None or not self._voice.is_speaking:
            return False
        return now_ms - self._input.quiet_ms - self._began_ms >= self._live.ignored_ms

    def _ended(self, id: str, end_ms: int, audio: bytes) -> _Turn:
        start_ms = self._began_ms if self._began_ms is not None else end_ms
        is_aside = self._is_over_voice and end_ms - start_ms < self._live.ignored_ms
        self._began_ms, self._is_over_voice = None, False
        return _Turn(id, audio, start_ms, end_ms, is_aside)


def _role(role: str) -> str:
    return "system" if role == "developer" else role


def _echo(event_id: str | None) -> dict[str, str]:
    return {} if event_id is None else {"client_event_id": event_id}


def _event_id(message: str | bytes) -> str | None:
    try:
        event = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return event_id if isinstance(event_id, str) else None
