"""Who has the floor: overlaps of the caller's voice with the agent's, from onset to outcome.

FREE ── onset ──▶ OVERLAP ── it goes on ──▶ CUTTING ───┐  (the agent is silent from the onset on)
                     ▲    ── it was a nod ──▶ RESUMING ─┤
                     └───────── speaks again ───────────┤
FREE ◀── it is known where the caller stopped hearing ──┘

DROPPING, from any of them: what the agent was saying is of no use any more, whoever speaks.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

from media.core.audio import BYTES_PER_MS, FRAME_MS
from media.core.bargein import BargeIn, Verdict
from media.core.carrierclock import CarrierClock
from media.core.echo import EchoGate
from media.core.hearing import Confirm
from media.core.leg import Audio
from media.core.modelside import ModelSide
from media.core.types import BargedIn, CallPlan, Emit, Onset, Reason
from media.core.vad import FIRST_STAGE_MS, Vad
from media.core.voice import Voice

MISSING_MS: Final = 5 * FRAME_MS  # without a frame for so long, the caller is taken to have stopped speaking

LONGEST_ONSET_MS: Final = 1_000.0  # a candidate that is not confirmed within this time is noise


class Phase(Enum):
    FREE = auto()
    OVERLAP = auto()  # cleared; no verdict yet
    CUTTING = auto()  # the verdict is known, but not yet where the caller stopped hearing
    RESUMING = auto()
    DROPPING = auto()


# Compared on every frame: the lookup of an enum member would be most of the cost.
_FREE: Final = Phase.FREE
_OVERLAP: Final = Phase.OVERLAP


@dataclass(slots=True)
class _Overlap:
    """What is reported about an overlap."""

    at_ms: int = 0
    item_id: str = ""
    heard_ms: int = 0
    voiced_ms: float = 0.0  # when the first voiced frame can have arrived
    onset: Onset = "voice"
    cleared_ms: float = 0.0  # when the `clear` was written
    decided_ms: int = 0
    spoken_ms: int = 0
    reason: Reason = "call_ended"


@dataclass(slots=True)
class _Arrivals:
    """When the caller's audio came."""

    frame_ms: float = 0.0  # the last frame
    voiced_ms: float | None = None  # when the first voiced frame of a sound can have arrived

    def sound(self, arrived_ms: float) -> None:
        """Note a frame of a sound."""
        if self.voiced_ms is None or arrived_ms - self.voiced_ms > LONGEST_ONSET_MS:
            self.voiced_ms = arrived_ms


class Floor:
    __slots__ = (
        "_arrivals",
        "_bargein",
        "_clock",
        "_echo",
        "_model",
        "_overlap",
        "_phase",
        "_vad",
        "_voice",
        "interruptible",
    )

    def __init__(
        self,
        plan: CallPlan,
        clock: CarrierClock,
        voice: Voice,
        model: ModelSide,
        confirm: Confirm | None,
        emit: Emit,
    ) -> None:
        self.interruptible = plan.interruptible  # whether the caller may take the floor
        self._clock, self._voice, self._model = clock, voice, model
        self._vad = Vad(confirm)
        self._echo = EchoGate(voice, self._vad.history, emit)
        self._bargein = BargeIn(plan.cut_after_ms, plan.resume_after_ms, FIRST_STAGE_MS if confirm is None else 0)
        self._phase, self._overlap = Phase.FREE, _Overlap()
        self._arrivals = _Arrivals()

    def become(self, plan: CallPlan) -> None:
        """Give another agent the floor.  What was learnt of the line stays: it is the same line."""
        self.interruptible = plan.interruptible
        self._bargein.cut_after_ms, self._bargein.resume_after_ms = plan.cut_after_ms, plan.resume_after_ms

    def begin(self, now_ms: float) -> None:
        """Frames are expected from now on."""
        self._arrivals.frame_ms = now_ms

    @property
    def caller_speaks(self) -> bool:
        """Whether the caller is speaking, by our own detector."""
        return self._vad.speaking

    @property
    def settled(self) -> bool:
        """Whether no overlap is pending."""
        return self._phase is _FREE

    def frame(self, audio: Audio, now_ms: float) -> bool:
        """Take 20 ms of caller audio; return whether something was decided."""
        voice, vad, model = self._voice, self._vad, self._model
        payload, at_ms = audio.payload, audio.at_ms
        self._arrivals.frame_ms = now_ms
        # A held tail counts as audible: a caller who speaks again before it is resumed still speaks over the agent.
        audible = voice.audible(now_ms)
        # An answer that is awaited waits for a voice only: `hearing` judges then, too.
        voiced, onset = vad.caller_frame(payload, audible or model.answers.owed or model.answers.active)
        if audible and self._phase is _FREE:
            self._echo.frame(vad.level_db, now_ms, voiced=voiced)
        model.ear.frame(payload, at_ms, now_ms, voiced=voiced, speaking=voiced or vad.speaking)
        if not vad.recent:
            self._arrivals.voiced_ms = None
        else:
            self._arrivals.sound(self._clock.arrival(at_ms, now_ms))
        if onset and not voice.sounds:
            model.answers.spoke_freely()
        news = model.answers.caller.heard(vad.speaking, now_ms)
        if self._echo.refusals.pending:
            self._echo.refusals.advance(self._clock.call_ms(now_ms))
        if onset or self._phase is _OVERLAP:
            return self._judge(onset, voiced, audible, len(payload) // BYTES_PER_MS, now_ms) or news
        return news

    def missing(self, now_ms: float) -> None:
        """Called on every tick: if no frame has come for a while, the caller is taken to have stopped speaking."""
        missing_ms = round(now_ms - self._arrivals.frame_ms)
        if missing_ms < MISSING_MS:
            return
        self._arrivals.frame_ms = now_ms
        self._vad.quiet(missing_ms)
        self._model.answers.caller.heard(self._vad.speaking, now_ms)
        self._model.ear.flush(now_ms)
        if self._phase is _OVERLAP:
            self._judge(onset=False, voiced=False, audible=True, ms=missing_ms, now_ms=now_ms, missing=True)

    def _judge(
        self, onset: bool, voiced: bool, audible: bool, ms: int, now_ms: float, *, missing: bool = False
    ) -> bool:
        if onset and audible and self._phase is not _OVERLAP:
            onset = (
                self._phase is not Phase.CUTTING
                and self.interruptible
                and not self._voice.protected(now_ms)
                and self._is_caller(now_ms)
            )
        match self._bargein.caller_frame(onset, voiced, audible, ms, now_ms):
            case None:
                return False
            case Verdict.CLEAR:
                self._clear(now_ms)
            case _ if self._echo.was_itself(now_ms):
                self._take_back("echo", now_ms)
            case Verdict.CUT:
                self._phase = Phase.CUTTING
                self._decided("kept_speaking", now_ms)
                self._model.cut()
            case Verdict.RESUME:
                self._echo.taken_back()
                self._take_back("no_audio" if missing else "fell_silent", now_ms)
        self.settle(now_ms)
        return True

    def _is_caller(self, now_ms: float) -> bool:
        """Return whether an onset is not the agent's echo."""
        if self._echo.passes(self._vad.level_db, self._vad.loud_frames, now_ms):
            self._echo.refusals.passed()
            return True
        self._echo.refusals.refused(self._clock.call_ms(now_ms), self._vad.why)
        return False

    def _take_back(self, reason: Reason, now_ms: float) -> None:
        self._phase = Phase.RESUMING
        self._decided(reason, now_ms)
        self._model.taken_back(free=self._unsaid())

    def _decided(self, reason: Reason, now_ms: float) -> None:
        overlap = self._overlap
        overlap.reason, overlap.decided_ms = reason, self._clock.call_ms(now_ms)
        overlap.spoken_ms = self._bargein.spoken_ms

    def _clear(self, now_ms: float) -> None:
        voice, answers = self._voice, self._model.answers
        # While the model is still speaking, it is unknown which second will be its last; and a filler needs no reply.
        more = answers.active or not voice.speaks(now_ms)
        answers.overlap_began(float("inf") if more else voice.remaining_ms(now_ms))
        item_id, heard_ms = voice.clear(now_ms)
        again = self._phase is Phase.RESUMING  # spoke again before the tail was sent
        self._phase = Phase.OVERLAP
        if not again:
            first_ms = self._arrivals.voiced_ms
            voiced_ms = now_ms if first_ms is None else first_ms
            self._overlap = _Overlap(self._clock.call_ms(now_ms), item_id, heard_ms, voiced_ms, self._vad.why)

    def cleared(self, now_ms: float) -> None:
        """The `clear` is written."""
        if not self._overlap.cleared_ms:  # of two, the first is what the caller waited for
            self._overlap.cleared_ms = now_ms

    def drop(self, now_ms: float) -> None:
        """Stop the agent for good: what it was saying is gone, and the floor stays with it."""
        self.interruptible = self._bargein.held = False
        self._model.cut()
        if self._phase is _FREE:
            self._voice.clear(now_ms)
        self._phase = Phase.DROPPING
        self.settle(now_ms)

    def settle(self, now_ms: float) -> None:
        """Carry out a verdict, once it is known where the caller stopped hearing."""
        if self._phase is _FREE or self._phase is _OVERLAP or not self._voice.settled(now_ms):
            return
        if self._phase is Phase.DROPPING:
            self._phase = Phase.FREE
            self._voice.cut(now_ms, unsaid=False, keep_keys=False)
            self._model.settled(now_ms)
            return
        voice, unsaid = self._voice, self._unsaid()
        if unsaid and self._phase is Phase.RESUMING:
            if self._model.answers.owed:  # they have said something that it does not answer
                self._phase = Phase.CUTTING
                self._model.cut()
            elif self._model.answers.caller.speaks(now_ms):
                return
        cutting = self._phase is Phase.CUTTING
        settled = self._barged_in("cut" if cutting else "resumed")
        if not cutting:
            voice.resume(now_ms)
        else:
            self._model.unsaid(voice.cut(now_ms, unsaid=unsaid, keep_keys=True))
        if not unsaid:
            voice.barged_in(settled)
        self._model.settled(now_ms)

    def _unsaid(self) -> bool:
        """Whether the caller spoke into the beginning of what the agent said, and not over it."""
        overlap = self._overlap
        return not overlap.heard_ms or self._voice.unsaid(overlap.item_id, overlap.voiced_ms - self._clock.one_way_ms)

    def end(self, now_ms: float) -> None:
        """The call is over: a pending overlap is reported as it is.  The agent is not heard again after it."""
        self._echo.refusals.end()
        if self._phase is _FREE or self._phase is Phase.DROPPING:
            return
        if self._phase is _OVERLAP:
            self._decided("call_ended", now_ms)
        self._voice.give_up(now_ms)
        unsaid, overlap = self._unsaid(), self._barged_in("resumed" if self._phase is Phase.RESUMING else "cut")
        if not unsaid:
            self._voice.barged_in(overlap)

    def _barged_in(self, verdict: Literal["cut", "resumed"]) -> BargedIn:
        """The overlap is over."""
        overlap, self._phase = self._overlap, Phase.FREE
        heard_ms = self._voice.heard_ms(overlap.item_id, otherwise=overlap.heard_ms)
        # The `clear` may not be written yet, if the call ends at the same moment.
        reaction_ms = round(max(0.0, overlap.cleared_ms - overlap.voiced_ms))
        return BargedIn(
            overlap.at_ms,
            overlap.item_id,
            heard_ms,
            reaction_ms,
            verdict,
            onset=overlap.onset,
            reason=overlap.reason,
            decided_ms=overlap.decided_ms,
            spoken_ms=overlap.spoken_ms,
        )
