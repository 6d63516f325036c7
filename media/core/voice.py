"""The agent's voice: audio of the model and clips through one ledger, and what follows from what was heard of it:
turns, latency, the recording's agent channel, the proof that the announcement was played.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from media.core import realtime
from media.core.audio import to_ms
from media.core.carrierclock import CarrierClock
from media.core.clips import Clips, heard_text
from media.core.inflight import Item, Span
from media.core.latency import Latency
from media.core.playout import Playout
from media.core.turns import Transcript, Turns
from media.core.types import (
    Action,
    AnnouncementPlayed,
    BargedIn,
    CallPlan,
    ClipKind,
    RecordAgent,
    Report,
    StartRecording,
    TurnEnded,
)

PROOF_MS = 1_000.0  # how long the announcement's last mark may be under way

Emit = Callable[[Action], None]


_SPENT = Transcript()


@dataclass(slots=True)
class Voice:
    plan: CallPlan
    clock: CarrierClock
    emit: Emit
    tell_model: Callable[[bytes], None]  # drops what no session can hear
    clips: Clips = field(init=False)
    playout: Playout = field(init=False)
    turns: Turns = field(init=False)
    latency: Latency = field(default_factory=Latency)
    recording: bool = False
    asked_by: str | None = None  # the caller's last turn, by its id in this session
    _open: dict[str, Item] = field(default_factory=dict)  # the model is still making these
    _transcripts: dict[str, Transcript] = field(default_factory=dict)
    _overlaps: list[BargedIn] = field(default_factory=list)  # until the turns that were spoken over have their numbers
    _announcement: Item | None = None
    _recorded_ms: int = 0

    def __post_init__(self) -> None:
        self.clips = Clips(self.plan)
        self.turns = Turns(self.plan.transcript_deadline_ms)
        self.playout = Playout(self.clock, self.plan.lead_low_ms, self.plan.message_ms)

    # What the agent is about to say.

    def play(self, kind: ClipKind) -> bool:
        """Queue a clip; False if it has no audio."""
        item = self.clips.item(kind)
        if item is None:
            return False
        self._queue(item)
        return True

    def fill(self) -> None:
        """Queue the next filler, before whatever the model has begun and not said anything of."""
        line = self.playout.line
        place = len(line)
        while place and not line[place - 1].generated:
            place -= 1
        line.insert(place, self.clips.filler())

    def speaks(self, now_ms: float) -> bool:
        """Whether the agent is heard, or is about to be, with something else than a filler: that is in nobody's way."""
        if not self.playout.audible(now_ms):
            return False
        said = [item.clip for item in self.playout.line if item.generated]
        return not said or any(clip is not ClipKind.FILLER for clip in said)

    @property
    def answering(self) -> bool:
        """Whether audio has come of what the model is saying."""
        return any(item.generated for item in self._open.values())

    def open_item(self, item_id: str, clip: ClipKind | None) -> None:
        """The model begins an item, in place of `clip` if that is given."""
        if item_id not in self._transcripts:
            self._open[item_id] = Item(item_id, clip)
            self._transcripts[item_id] = Transcript()
            self._queue(self._open[item_id])

    def add_audio(self, item_id: str, ulaw: bytes, now_ms: float) -> None:
        """Audio of an open item; of any other it is ignored, since its answer was cut."""
        item = self._open.get(item_id)
        if item is None:
            return
        first = not item.audio
        if first:
            self.latency.first_delta(now_ms)
            if self.playout.audible(now_ms):
                self.latency.first_sent(now_ms)  # it waits behind a filler, which is no delay of ours
        item.audio += ulaw
        self.pump(now_ms)

    def add_text(self, item_id: str, delta: str) -> None:
        item = self._open.get(item_id)
        if item is not None:
            self._transcripts[item_id].add(delta, item.generated)

    def final_text(self, item_id: str, text: str) -> None:
        if item_id in self._open:
            self._transcripts[item_id].final(text)

    def close_item(self, item_id: str) -> None:
        item = self._open.pop(item_id, None)
        if item is not None:
            item.complete = True

    def close_all(self) -> None:
        for item_id in list(self._open):
            self.close_item(item_id)

    def orphan_all(self) -> None:
        """The session that made these items is gone; the next one knows of them only what it is told."""
        self.close_all()
        for item in self.playout.line:
            item.of_model = False

    def protected(self, now_ms: float) -> bool:
        """Whether the announcement is being played and nobody may talk it away: until its mark is back, since a clear
        in between would flush the proof.
        """
        item = self._announcement
        if item is None or not self.plan.protect_announcement:
            return False
        line = self.playout.line
        return line[0] is item if line and not item.finished else now_ms < item.ended_ms + PROOF_MS

    # What leaves, and what was heard.

    def pump(self, now_ms: float) -> None:
        sends = self.playout.pump(now_ms)
        for action in sends:
            self.emit(action)
        if sends:
            self.latency.first_sent(now_ms)

    def advance(self, now_ms: float) -> None:
        """Account for what was heard since the last call."""
        spans, finished = self.playout.advance(now_ms)
        for span in spans:
            self._heard(span)
        for item in finished:
            self._finished(item)
        if self._announcement is not None and self._announcement.played:
            self._announced(self._announcement)

    def start_recording(self, at_ms: int) -> None:
        if self.plan.recording and not self.recording:
            self.recording = True
            self.emit(StartRecording(at_ms))

    def clear(self, now_ms: float) -> tuple[str, int]:
        """Stop at once: the item that was being heard, and how much of it in ms."""
        for action in self.playout.clear(now_ms):
            self.emit(action)
        self.advance(now_ms)
        line = self.playout.line
        return (line[0].id, to_ms(line[0].heard)) if line else ("", 0)

    def cut(self, now_ms: float) -> None:
        """The unheard tail is gone, here and at the model.  Only once the ledger has settled."""
        self.advance(now_ms)
        for item in self.playout.drop():
            self._open.pop(item.id, None)
            heard_ms = to_ms(item.heard)
            if item.of_model:
                # 0 ms is refused by the server, and so is anything beyond the item's length.
                wire = realtime.item_truncate(item.id, heard_ms) if heard_ms else realtime.item_delete(item.id)
                self.tell_model(wire)
            self._ended(item, interrupted=True)

    def barged_in(self, overlap: BargedIn) -> None:
        """Report it behind its turn; at once if the caller heard nothing of that."""
        if self.turns.waits(overlap.item_id):
            self._overlaps.append(overlap)
        else:
            self.emit(Report(overlap))

    def report_turns(self, now_ms: float) -> None:
        for item_id, turn in self.turns.ready(now_ms):
            self._report_turn(item_id, turn)

    def flush(self, now_ms: float) -> None:
        """The call is over: what was heard is all that will be."""
        self.advance(now_ms)
        for item in self.playout.drop():
            self._ended(item, interrupted=True)
        for item_id, turn in self.turns.flush():
            self._report_turn(item_id, turn)

    def _queue(self, item: Item) -> None:
        if item.clip is ClipKind.ANNOUNCEMENT:
            self._announcement = item
        self.playout.line.append(item)

    def _heard(self, span: Span) -> None:
        item = span.item
        at_ms = self.clock.call_ms(span.at_ms)
        if span.start == 0:
            self.turns.agent_began(item.id, at_ms)
            self.latency.agent_heard(item.id, item.of_model, span.at_ms)
        if self.recording:
            # Corrections of a few ms must not make spans overlap.
            at_ms = max(at_ms, self._recorded_ms)
            payload = bytes(item.audio[span.start : span.end])
            self._recorded_ms = at_ms + to_ms(len(payload))
            self.emit(RecordAgent(payload, at_ms))

    def _finished(self, item: Item) -> None:
        self._ended(item, interrupted=False)
        if item is not self._announcement:
            item.audio = bytearray()

    def _ended(self, item: Item, interrupted: bool) -> None:
        transcript = self._transcripts.get(item.id)
        if transcript is not None:
            self._transcripts[item.id] = _SPENT  # its id stays known; a long call must not keep where each word lay
        if not item.heard:
            return
        if transcript is not None:
            text, heard = transcript.text, transcript.heard(item.heard, item.generated)
        else:
            text, heard = item.text, heard_text(item.text, item.heard, item.generated)
        if heard and not item.of_model:
            # The model may have begun the answer that a filler was heard before.
            after = self.asked_by if item.clip is ClipKind.FILLER else None
            self.tell_model(realtime.message_create("agent", heard, after))
        self.turns.agent_ended(item.id, text, heard, self.clock.call_ms(item.ended_ms), interrupted)

    def _announced(self, item: Item) -> None:
        self._announcement = None
        at_ms = self.clock.call_ms(item.ended_ms)
        self.emit(Report(AnnouncementPlayed(at_ms)))
        self.start_recording(at_ms)

    def _report_turn(self, item_id: str, turn: TurnEnded) -> None:
        self.emit(Report(turn))
        measured = self.latency.measured(item_id)
        if measured is not None:
            self.emit(Report(replace(measured, turn_seq=turn.seq)))
        over = [each for each in self._overlaps if each.item_id == item_id]
        for overlap in over:
            self._overlaps.remove(overlap)
            self.emit(Report(replace(overlap, turn_seq=turn.seq)))
