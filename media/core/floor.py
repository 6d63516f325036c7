"""The floor: who may speak, and the outcome of each overlap of the caller's voice with the agent's.

Theory of operation.  `frame` brings 20 ms of caller audio, `missing` stands in for frames that do not come, and
`carry_out_verdict` is called whenever the position at which the caller stopped hearing may have become known.

    FREE       no overlap
    OVERLAP    the agent was silenced at the onset (`clear`); the verdict is pending
    CUTTING    verdict "cut"; the heard position is pending
    RESUMING   verdict "resume", a false interruption; the heard position is pending
    DROPPING   the agent was silenced for good; the heard position is pending

    FREE      ── onset over an audible, interruptible agent; not its echo ──▶ OVERLAP
    OVERLAP   ── the caller keeps speaking ──▶ CUTTING
    OVERLAP   ── the caller falls silent, or it was the agent's echo ──▶ RESUMING
    RESUMING  ── another onset before the tail is sent ──▶ OVERLAP
    RESUMING  ── the tail counts as unsaid, and the caller's turn is owed a response ──▶ CUTTING
    CUTTING   ── position known: truncate the item there ──▶ FREE
    RESUMING  ── position known: send the tail again (an unsaid one once the caller is silent) ──▶ FREE
    any       ── drop() ──▶ DROPPING ── position known: discard the tail ──▶ FREE

Example, with a cut after 350 ms of voice and a resume after 200 ms of silence:

        0 ms  OVERLAP   onset: `clear` and its mark are sent
       80 ms            the mark is back: 1,240 ms of the item were heard
      360 ms  CUTTING   the caller still speaks: the response is cancelled
      360 ms  FREE      the item is truncated at 1,240 ms

A cough until 100 ms instead: at 300 ms the verdict is "resume", and the audio from 1,240 ms on is sent again.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

from media.core.audio import BYTES_PER_MS, FRAME_MS
from media.core.bargein import BargeIn, Verdict
from media.core.carrierclock import CarrierClock
from media.core.modelside import ModelSide
from media.core.onsetdetector import Confirm
from media.core.onsetgate import OnsetGate
from media.core.plans import TurnTaking
from media.core.types import BargedIn, Emit, Onset, Reason
from media.core.vad import FIRST_STAGE_MS, Vad
from media.core.voice import Voice

#: Without a frame for this long, the caller counts as silent.
MISSING_MS: Final = 5 * FRAME_MS

#: A candidate onset that is not confirmed within this time is noise.
LONGEST_ONSET_MS: Final = 1_000.0


class FloorPhase(Enum):
    FREE = auto()
    OVERLAP = auto()  # cleared; no verdict yet
    CUTTING = auto()  # heard position pending
    RESUMING = auto()
    DROPPING = auto()


# Compared on every frame: the lookup of an enum member would be most of the cost.
_FREE: Final = FloorPhase.FREE
_OVERLAP: Final = FloorPhase.OVERLAP


@dataclass(slots=True)
class _Overlap:
    """One overlap, as it will be reported."""

    at_ms: int = 0
    item_id: str = ""
    heard_ms: int = 0
    # The earliest time at which the first voiced frame can have arrived.
    voiced_ms: float = 0.0
    onset: Onset = "voice"
    cleared_ms: float = 0.0  # when the `clear` was written
    decided_ms: int = 0
    spoken_ms: int = 0
    reason: Reason = "call_ended"


@dataclass(slots=True)
class _Arrivals:
    """Arrival times of the caller's audio."""

    frame_ms: float = 0.0  # the last frame
    # The earliest time at which the first voiced frame of the current sound can have arrived.
    voiced_ms: float | None = None

    def sound(self, arrived_ms: float) -> None:
        """Record a frame of a sound."""
        if self.voiced_ms is None or arrived_ms - self.voiced_ms > LONGEST_ONSET_MS:
            self.voiced_ms = arrived_ms


class Floor:
    """The floor of one call."""

    __slots__ = (
        "_arrivals",
        "_bargein",
        "_clock",
        "_gate",
        "_model",
        "_overlap",
        "_phase",
        "_voice",
        "interruptible",
        "vad",
    )

    def __init__(
        self,
        turns: TurnTaking,
        clock: CarrierClock,
        voice: Voice,
        model: ModelSide,
        confirm: Confirm | None,
        emit: Emit,
    ) -> None:
        # Whether the caller may take the floor.
        self.interruptible = turns.interruptible
        self._clock, self._voice, self._model = clock, voice, model
        self.vad = Vad(confirm)
        self._gate = OnsetGate(voice.playout, self.vad.history, emit)
        self._bargein = BargeIn(turns.cut_after_ms, turns.resume_after_ms, FIRST_STAGE_MS if confirm is None else 0)
        self._phase, self._overlap = FloorPhase.FREE, _Overlap()
        self._arrivals = _Arrivals()

    def follow(self, turns: TurnTaking) -> None:
        """Take turns as another agent does.  The coupling learned from the line is kept, as the line is the same."""
        self.interruptible = turns.interruptible
        self._bargein.cut_after_ms, self._bargein.resume_after_ms = turns.cut_after_ms, turns.resume_after_ms

    def begin(self, now_ms: float) -> None:
        """Expect frames from now on."""
        self._arrivals.frame_ms = now_ms

    @property
    def settled(self) -> bool:
        """Whether no overlap is pending."""
        return self._phase is _FREE

    def frame(self, payload: bytes, at_ms: int, now_ms: float) -> bool:
        """Process 20 ms of caller audio; return whether the next tick should come at once."""
        playout, vad, model = self._voice.playout, self.vad, self._model
        self._arrivals.frame_ms = now_ms
        # A cleared tail counts as audible: until it is resumed, the caller still speaks over the agent.
        audible = playout.audible(now_ms)
        # While a response is pending, only a voice may delay it and not noise: `hearing` judges then, too.
        voiced, onset = vad.caller_frame(payload, audible or model.expects_caller)
        if audible:
            loud, overlap = vad.loud_frames > 0, self._phase is not _FREE
            self._gate.frame(vad.level_db, now_ms, loud=loud, voiced=voiced, overlap=overlap)
        elif voiced:
            self._gate.turn_frame(vad.level_db)
        model.caller_frame(payload, at_ms, now_ms, voiced=voiced, speaking=voiced or vad.speaking)
        if not vad.recent:
            self._arrivals.voiced_ms = None
        else:
            self._arrivals.sound(self._clock.arrival(at_ms, now_ms))
        if onset and not playout.sounds:
            model.spoke_in_silence()
        changed = playout.turn_gate.update_voice(vad.speaking, now_ms)
        refusals = self._gate.refusals
        if refusals.pending:
            refusals.advance(self._clock.call_ms(now_ms))
        if onset or self._phase is _OVERLAP:
            return self._judge(onset, voiced, audible, len(payload) // BYTES_PER_MS, now_ms) or changed
        return changed

    def missing(self, now_ms: float) -> None:
        """Treat the caller as silent if no frame has come for MISSING_MS.  Called on every tick."""
        if now_ms - self._arrivals.frame_ms < MISSING_MS - 0.5:  # before `round`, which is a call
            return
        missing_ms = round(now_ms - self._arrivals.frame_ms)
        self._arrivals.frame_ms = now_ms
        self.vad.quiet(missing_ms)
        playout = self._voice.playout
        playout.turn_gate.update_voice(self.vad.speaking, now_ms)
        self._model.no_frames(now_ms)
        if self._phase is _OVERLAP:
            self._judge(onset=False, voiced=False, audible=True, ms=missing_ms, now_ms=now_ms, missing=True)

    def _judge(
        self, onset: bool, voiced: bool, audible: bool, ms: int, now_ms: float, *, missing: bool = False
    ) -> bool:
        """Advance the barge-in decision by `ms` of audio and act on its verdict; return whether there was one."""
        if onset and audible and self._phase is not _OVERLAP:
            onset = (
                self._phase is not FloorPhase.CUTTING
                and self.interruptible
                and not self._voice.protected(now_ms)
                and self._model.gives_way()
                and self._is_caller(now_ms)
            )
        match self._bargein.caller_frame(onset, voiced, audible, ms, now_ms):
            case None:
                return False
            case Verdict.CLEAR:
                self._clear(now_ms)
            case _ if self._gate.echo.was_agent(now_ms):
                self._take_back_interruption("echo", now_ms)
            case Verdict.CUT:
                self._phase = FloorPhase.CUTTING
                self._record_verdict("kept_speaking", now_ms)
                self._model.cut()
            case Verdict.RESUME:
                self._gate.echo.overlap_resumed()
                self._take_back_interruption("no_audio" if missing else "fell_silent", now_ms)
        self.carry_out_verdict(now_ms)
        return True

    def _is_caller(self, now_ms: float) -> bool:
        """Return whether an onset is the caller's."""
        vad, at_ms = self.vad, self._clock.call_ms(now_ms)
        return self._gate.passes(vad.level_db, vad.loud_frames, now_ms, at_ms, vad.why)

    def _take_back_interruption(self, reason: Reason, now_ms: float) -> None:
        """Decide that the agent resumes, as the interruption was a false one, for this reason."""
        self._phase = FloorPhase.RESUMING
        self._record_verdict(reason, now_ms)
        self._model.overlap_resumed(free=self._is_unsaid())

    def _record_verdict(self, reason: Reason, now_ms: float) -> None:
        """Record the verdict's reason and time."""
        overlap = self._overlap
        overlap.reason, overlap.decided_ms = reason, self._clock.call_ms(now_ms)
        overlap.spoken_ms = self._bargein.spoken_ms

    def _clear(self, now_ms: float) -> None:
        """Silence the agent at an onset."""
        self._model.overlap_began(now_ms)
        item_id, heard_ms = self._voice.clear(now_ms)
        # The caller spoke again before the tail was sent.
        same_overlap = self._phase is FloorPhase.RESUMING
        self._phase = FloorPhase.OVERLAP
        if not same_overlap:
            first_ms = self._arrivals.voiced_ms
            voiced_ms = now_ms if first_ms is None else first_ms
            self._overlap = _Overlap(self._clock.call_ms(now_ms), item_id, heard_ms, voiced_ms, self.vad.why)

    def clear_written(self, now_ms: float) -> None:
        """Record that the `clear` was written."""
        # Of two, the first one is what the caller waited for.
        if not self._overlap.cleared_ms:
            self._overlap.cleared_ms = now_ms

    def drop(self, now_ms: float) -> None:
        """Silence the agent for good: discard what it was saying, and let no caller interrupt what follows."""
        self.interruptible = self._bargein.undecided = False
        self._model.cut()
        if self._phase is _FREE:
            self._voice.clear(now_ms)
        self._phase = FloorPhase.DROPPING
        self.carry_out_verdict(now_ms)

    def carry_out_verdict(self, now_ms: float) -> None:
        """Carry out the verdict once the position at which the caller stopped hearing is known."""
        if self._phase is _FREE or self._phase is _OVERLAP or not self._voice.settled(now_ms):
            return
        if self._phase is FloorPhase.DROPPING:
            self._phase = FloorPhase.FREE
            self._voice.cut(now_ms, unsaid=False, keep_keys=False)
            self._model.settled(now_ms)
            return
        voice, model, unsaid = self._voice, self._model, self._is_unsaid()
        if unsaid and self._phase is FloorPhase.RESUMING:
            # The unheard response does not cover what the caller has said since.
            if model.owes_response:
                self._phase = FloorPhase.CUTTING
                model.cut()
            elif voice.playout.turn_gate.speaks(now_ms):
                return
        cutting = self._phase is FloorPhase.CUTTING
        settled = self._finish_overlap("cut" if cutting else "resumed")
        if not cutting:
            voice.resume(now_ms)
        else:
            model.owe_unsaid(voice.cut(now_ms, unsaid=unsaid, keep_keys=True), self._overlap.voiced_ms)
        if not unsaid:
            voice.transcript.barged_in(settled)
        model.settled(now_ms)

    def _is_unsaid(self) -> bool:
        """Return whether the caller spoke into the beginning of an utterance, before they could react to it."""
        overlap = self._overlap
        return not overlap.heard_ms or self._voice.counts_as_unsaid(
            overlap.item_id, overlap.voiced_ms - self._clock.one_way_ms
        )

    def end(self, now_ms: float) -> None:
        """End the call: report a pending overlap as it stands.  The agent is not heard again."""
        self._gate.refusals.end()
        if self._phase is _FREE or self._phase is FloorPhase.DROPPING:
            return
        if self._phase is _OVERLAP:
            self._record_verdict("call_ended", now_ms)
        self._voice.give_up(now_ms)
        unsaid = self._is_unsaid()
        overlap = self._finish_overlap("resumed" if self._phase is FloorPhase.RESUMING else "cut")
        if not unsaid:
            self._voice.transcript.barged_in(overlap)

    def _finish_overlap(self, verdict: Literal["cut", "resumed"]) -> BargedIn:
        """End the overlap and return its report."""
        overlap, self._phase = self._overlap, FloorPhase.FREE
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
