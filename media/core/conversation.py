"""One call: events in with their time, actions out.  Does no I/O, reads no clock, lets no exception of a peer escape.

    caller frame ─▶ vad ─▶ bargein ─▶ voice (ledger) ─▶ carrier
                     └──────────────▶ modelside ──────▶ model
    model event ───▶ modelside ─▶ answers, turns, tools; audio ─▶ voice

`now_ms` is the process's monotonic clock and never falls from one call to the next.
"""

from dataclasses import dataclass
from typing import Any, Literal

from media.core.audio import BYTES_PER_MS, FRAME_MS
from media.core.bargein import BargeIn, Verdict
from media.core.carrierclock import CarrierClock
from media.core.dtmf import Keypad
from media.core.fillers import Fillers
from media.core.leg import (
    CARRIER_PROTOCOL,
    Audio,
    Broken,
    Digit,
    HangUp,
    Leave,
    LegEvent,
    Mark,
    Outcome,
    Started,
    Stopped,
)
from media.core.modelside import ModelSide
from media.core.silence import Due, Silence
from media.core.types import (
    Action,
    BargedIn,
    CallEnded,
    CallPlan,
    CallStarted,
    ClipKind,
    Command,
    DialModel,
    Digits,
    EndCall,
    ModelLost,
    RecordCaller,
    Report,
    ToolStatus,
    Watch,
)
from media.core.vad import Confirm, Vad, echo_gate_open
from media.core.voice import Voice

PULSE_MS = 100.0  # how often a tick is wanted when no sound depends on it
REFUSED = "model_refused"  # why a model is lost for good: it will not have us, now or later


class _OutOfOrder(Exception):  # noqa: N818 - it says what is wrong
    """A leg's event came when it may not."""


@dataclass(slots=True)
class _Closing:
    outcome: Outcome
    deadline_ms: float


@dataclass(slots=True)
class _Overlap:
    """A clear whose consequence is not settled yet."""

    at_ms: int
    item_id: str
    heard_ms: int
    clear_reaction_ms: int
    verdict: Verdict | None = None


class Conversation:
    """Create one for each stream, feed it everything, and carry out what it returns, in order."""

    def __init__(self, plan: CallPlan, confirm: Confirm | None = None) -> None:
        self.plan = plan
        self.ended = False
        self.due_ms = 0.0  # a tick before then finds nothing to do
        self._actions: list[Action] = []
        self._clock = CarrierClock(plan.one_way_guess_ms)
        self._vad = Vad(confirm)
        self._bargein = BargeIn(plan.cut_after_ms, plan.resume_after_ms)
        self._keypad = Keypad(plan.digits_pause_ms)
        self._model = ModelSide(plan, self._actions.append)
        self._voice: Voice | None = None
        self._silence: Silence | None = None
        self._overlap: _Overlap | None = None
        self._closing: _Closing | None = None
        self._frame_at_ms = 0.0
        self._voiced_since_ms: float | None = None
        self._fillers = Fillers(plan.filler_after_ms) if plan.fillers else None
        self._dialled_early = False

    def abandon(self) -> None:
        """Nothing follows; who ticks it has an end to bring about, and wants every tick."""
        self.ended, self.due_ms = True, 0.0

    # What comes in.  Each returns what is to be done now.

    def from_leg(self, event: LegEvent, now_ms: float) -> list[Action]:
        """What the caller's side brings."""
        if self.ended:
            return []
        try:
            if isinstance(event, Audio):  # most of them are
                self._audio(event, now_ms)
            else:
                self._leg_event(event, now_ms)
                self._hasten()
        except _OutOfOrder as error:
            self._end(HangUp(CARRIER_PROTOCOL, str(error)), now_ms)
        return self._take()

    def from_model(self, payload: bytes, now_ms: float) -> list[Action]:
        """One text frame of the model's socket."""
        if self._voice is None or self.ended or not self._model.ready:
            return []
        speaking = self._model.caller_speaking
        if not self._model.receive(payload, now_ms, self._clock.call_ms(now_ms)):
            return self.model_lost(now_ms, "protocol")
        if speaking and not self._model.caller_speaking:
            self._alive().caller_acts(now_ms)
        outcome = self._model.leaving
        if outcome is not None and self._closing is None:
            self._close(outcome, now_ms, None if self._voice.speaks(now_ms) else ClipKind.GOODBYE)
        self._hasten()
        return self._take()

    def model_ready(self, now_ms: float) -> list[Action]:
        """The model's socket is open; it may be so before the stream has started."""
        if self._voice is None:
            self._dialled_early = True
        elif not self.ended:
            self._model.connected(now_ms)
        return self._take()

    def model_lost(self, now_ms: float, reason: str) -> list[Action]:
        """The model's socket is closed, or could not be opened; whatever is left of it will not be listened to.

        With REFUSED as the reason there is no other attempt.
        """
        voice = self._voice
        if voice is None or self.ended:
            return []
        self._model.lost()
        self._actions.append(Report(ModelLost(reason, self._clock.call_ms(now_ms))))
        if reason == REFUSED or self._model.attempts > self.plan.model_attempts:
            self._close(HangUp(reason if reason == REFUSED else "model_lost"), now_ms, ClipKind.APOLOGY)
            return self._take()
        self._actions.append(DialModel(self._model.attempts))
        if self._model.attempts == 2 and not voice.playout.audible(now_ms):
            voice.play(ClipKind.HOLD)
            voice.pump(now_ms)
        self._hasten()
        return self._take()

    def tool_result(self, call_id: str, output_json: str, status: ToolStatus, now_ms: float) -> list[Action]:
        """What a RunTool came to; JSON text.  Of a tool that nobody waits for any more, nothing follows."""
        if self._voice is not None and not self.ended:
            self._model.tool_result(call_id, output_json, status, now_ms, self._clock.call_ms(now_ms))
            self._hasten()
        return self._take()

    def command(self, command: Command, now_ms: float) -> list[Action]:
        """What control asks for."""
        if self.ended:
            return []
        match command:
            case EndCall(reason, spoken):
                if spoken and self._voice is not None:
                    self._close(HangUp(reason), now_ms, ClipKind.GOODBYE)
                else:
                    self._end(HangUp(reason), now_ms)
            case Watch(for_ms):
                self._model.watched_until_ms = max(self._model.watched_until_ms, now_ms + for_ms)
        return self._take()

    def tick(self, now_ms: float) -> list[Action]:
        """Call it every 20 ms or so; until `due_ms` it may be left out."""
        voice = self._voice
        if voice is None or self.ended:
            return []
        if self._model.stalled(now_ms):
            return self.model_lost(now_ms, "stalled")
        self._missing_frames(now_ms)
        voice.advance(now_ms)
        self._settle(now_ms)
        if (digits := self._keypad.due(now_ms)) is not None:
            self._actions.append(Report(Digits(digits, self._clock.call_ms(now_ms))))
            self._model.note("caller", f"Caller pressed {digits}")
            self._model.answers.turn_taken()
            if self._fillers is not None:
                self._fillers.sound(now_ms)
        filler_ms = float("inf") if self._fillers is None else self._fill(self._fillers, now_ms)
        self._model.watch_tools(now_ms, self._clock.call_ms(now_ms))
        self._watch_silence(now_ms)
        voice.pump(now_ms)
        voice.report_turns(now_ms)
        self._model.proceed(now_ms)
        self._finish_closing(now_ms)
        self.due_ms = min(now_ms + PULSE_MS, voice.playout.due_ms(), filler_ms)
        return self._take()

    def leg_gone(self, now_ms: float, outcome: Outcome) -> list[Action]:
        """The leg is no more."""
        if not self.ended:
            self._end(outcome, now_ms)
        return self._take()

    # The leg.

    def _leg_event(self, event: LegEvent, now_ms: float) -> None:
        match event:
            case Started():
                if self._voice is not None:
                    raise _OutOfOrder("a second start")
                self._start(event, now_ms)
            case Mark(number):
                voice = self._started()
                voice.playout.mark(number, now_ms)
                voice.advance(now_ms)
                self._settle(now_ms)
            case Digit(digit):
                self._started()
                self._keypad.press(digit, now_ms)
                self.due_ms = 0.0
                self._alive().caller_acts(now_ms)
            case Stopped():
                self._end(HangUp("caller"), now_ms)
            case Broken(detail):
                self._end(HangUp(CARRIER_PROTOCOL, detail), now_ms)
            case _:
                pass  # audio has a way of its own

    def _start(self, start: Started, now_ms: float) -> None:
        self._actions.append(Report(CallStarted(start.stream_id)))
        voice = self._voice = Voice(self.plan, self._clock, self._actions.append, self._model.send)
        self._model.attach(voice)
        plan = self.plan
        self._silence = Silence(now_ms, plan.idle_after_ms, plan.idle_prompts, plan.max_call_ms, plan.idle_gaps_ms)
        self._frame_at_ms = now_ms
        if not self.plan.announce_recording:
            voice.start_recording(0)
        for kind in voice.clips.opening():
            # Once a sentence has to wait for the model, those after it do too: the order matters.
            if self._model.says or not voice.play(kind):
                self._model.says.append(kind)
        voice.pump(now_ms)
        if self._dialled_early:
            self._model.connected(now_ms)
        else:
            self._actions.append(DialModel(1))

    def _audio(self, audio: Audio, now_ms: float) -> None:
        voice, vad = self._started(), self._vad
        payload, at_ms = audio.payload, audio.at_ms
        self._clock.caller_frame(at_ms, now_ms)
        self._frame_at_ms = now_ms
        if voice.recording:
            self._actions.append(RecordCaller(payload, at_ms))
        # A held tail counts as audible: whoever speaks again before it is resumed still speaks over the agent.
        audible = voice.playout.audible(now_ms)
        voiced, onset = vad.caller_frame(payload, audible)
        self._model.caller_audio(payload, at_ms, voiced=voiced, speaking=voiced or vad.speaking)
        if voiced:
            voice.latency.caller_voiced(self._clock.at(at_ms) + FRAME_MS)
        if not vad.speaking:
            self._voiced_since_ms = None
        elif self._voiced_since_ms is None:
            self._voiced_since_ms = now_ms
        if onset and not audible:
            self._model.answers.spoke_freely()
        if onset or self._bargein.held:
            self._judge(onset, voiced, audible, len(payload) // BYTES_PER_MS, now_ms)

    # The floor.

    def _judge(self, onset: bool, voiced: bool, audible: bool, ms: int, now_ms: float) -> None:
        voice = self._started()
        if onset and audible and not self._bargein.held:
            taken = self._overlap is not None and self._overlap.verdict is Verdict.CUT
            onset = (
                not taken
                and self.plan.interruptible
                and self._closing is None
                and not voice.protected(now_ms)
                and echo_gate_open(self._vad.level_db, voice.playout.echo_level_db(now_ms))
            )
        match self._bargein.caller_frame(onset, voiced, audible, ms):
            case Verdict.CLEAR:
                self._clear(voice, now_ms)
            case None:
                return
            case verdict if self._overlap is not None:
                self._overlap.verdict = verdict
                if verdict is Verdict.CUT:
                    self._model.answers.cut()
                    self._model.cancel()
                else:
                    self._model.answers.taken_back()
        self._settle(now_ms)
        self.due_ms = 0.0

    def _clear(self, voice: Voice, now_ms: float) -> None:
        # While the model is still speaking, nobody knows which second will be its last; and a filler asks for no reply.
        more = self._model.answers.active or not voice.speaks(now_ms)
        remaining_ms = float("inf") if more else voice.playout.remaining_ms(now_ms)
        self._model.answers.overlap_began(remaining_ms)
        item_id, heard_ms = voice.clear(now_ms)
        if self._overlap is not None:  # spoke again before the tail was sent
            self._overlap.verdict = None
            return
        since_ms = now_ms if self._voiced_since_ms is None else self._voiced_since_ms
        self._overlap = _Overlap(self._clock.call_ms(now_ms), item_id, heard_ms, round(now_ms - since_ms))

    def _settle(self, now_ms: float) -> None:
        """Carry out a verdict, once it is known where the caller stopped hearing."""
        overlap, voice = self._overlap, self._voice
        if overlap is None or voice is None or overlap.verdict is None or not voice.playout.settled(now_ms):
            return
        self._overlap = None
        voice.advance(now_ms)
        line = voice.playout.line
        if line and line[0].id == overlap.item_id:
            overlap.heard_ms = line[0].heard // BYTES_PER_MS
        verdict: Literal["cut", "resumed"] = "cut" if overlap.verdict is Verdict.CUT else "resumed"
        if verdict == "cut":
            voice.cut(now_ms)
        else:
            voice.playout.resume()
            voice.pump(now_ms)
        voice.barged_in(BargedIn(overlap.at_ms, overlap.item_id, overlap.heard_ms, overlap.clear_reaction_ms, verdict))
        voice.report_turns(now_ms)
        self._model.proceed(now_ms)

    def _missing_frames(self, now_ms: float) -> None:
        """Nothing is heard of the caller: whoever was speaking has stopped."""
        missing_ms = round(now_ms - self._frame_at_ms)
        if missing_ms < 5 * FRAME_MS:
            return
        self._frame_at_ms = now_ms
        self._vad.quiet(missing_ms)
        self._model.flush_audio()
        if self._bargein.held:
            self._judge(onset=False, voiced=False, audible=True, ms=missing_ms, now_ms=now_ms)

    # Time passing.

    def _fill(self, fillers: Fillers, now_ms: float) -> float:
        """Break the silence before a slow answer; when that is due, if it is not yet."""
        voice, model = self._started(), self._model
        if voice.playout.audible(now_ms):
            fillers.sound(now_ms)
        elif model.awaited and not (model.caller_speaking or self._vad.speaking):
            voiced_ms = now_ms if voice.latency.voiced_ms is None else voice.latency.voiced_ms
            due_ms = fillers.waiting(model.answers.turns, voiced_ms)
            if now_ms < due_ms:
                return due_ms
            fillers.filled()
            voice.fill()
        return float("inf")

    def _watch_silence(self, now_ms: float) -> None:
        silence = self._alive()
        if self._model.caller_speaking and self._vad.speaking:  # both: either alone may be stuck
            silence.caller_acts(now_ms)
        if self._started().playout.audible(now_ms) or self._model.answers.active or self._model.tools.busy:
            silence.agent_speaks(now_ms)
        if self._closing is not None:
            return
        match silence.due(now_ms):
            case Due.PROMPT:
                self._started().clips.idle_prompt = silence.prompted - 1
                self._say(ClipKind.IDLE)
            case Due.CLOSE_IDLE:
                self._close(HangUp("idle"), now_ms, ClipKind.GOODBYE)
            case Due.CLOSE_TOO_LONG:
                self._close(HangUp("max_duration"), now_ms, ClipKind.GOODBYE)
            case None:
                pass

    def _say(self, kind: ClipKind) -> None:
        if kind in self.plan.clips and not self._started().play(kind):
            self._model.says.append(kind)

    def _close(self, outcome: Outcome, now_ms: float, last: ClipKind | None = None) -> None:
        """Leave so once everything was heard, `last` included."""
        self._model.closing = True
        self._closing = self._closing or _Closing(outcome, now_ms + self.plan.close_deadline_ms)
        self.due_ms = 0.0
        if last is not None:
            self._say(last)

    def _finish_closing(self, now_ms: float) -> None:
        closing = self._closing
        if closing is None:
            return
        waiting = self._model.ready and (self._model.answers.active or bool(self._model.says))
        silent = not self._started().playout.audible(now_ms) and self._overlap is None and not waiting
        if silent or now_ms >= closing.deadline_ms:
            self._end(closing.outcome, now_ms)

    def _end(self, outcome: Outcome, now_ms: float) -> None:
        self.abandon()
        if self._voice is not None:
            self._voice.flush(now_ms)
        at_ms = self._clock.call_ms(now_ms)
        self._model.end_tools(at_ms)
        if digits := self._keypad.take():
            self._actions.append(Report(Digits(digits, at_ms)))
        self._actions.append(Report(CallEnded(outcome.reason, outcome.detail, at_ms)))
        self._actions.append(Leave(outcome))

    def _started(self) -> Voice:
        if self._voice is None:
            raise _OutOfOrder("not before start")
        return self._voice

    def _alive(self) -> Silence:
        assert self._silence is not None, "made with the voice"
        return self._silence

    def _hasten(self) -> None:
        """What just happened may want the next tick earlier."""
        if self._voice is not None:
            self.due_ms = min(self.due_ms, self._voice.playout.due_ms())

    def _take(self) -> list[Action]:
        actions = self._actions
        if not actions:
            return []
        taken = actions.copy()
        actions.clear()
        return taken


def due(talks: dict[Conversation, Any], now_ms: float) -> list[Conversation]:
    """Those that want a tick now: asked of all, with every tick, and here since a compiled loop costs next to nothing."""
    return [talk for talk in talks if talk.due_ms <= now_ms]
