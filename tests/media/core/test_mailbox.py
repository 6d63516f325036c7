"""The mailbox in virtual time: a carrier that plays and a caller who speaks, judged by what the caller heard and what they sent."""

from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.core.audio import from_linear
from media.core.beep import BEEP_MS, beep
from media.core.commands import Command, DecisionResult, EndCall, Inform, LeaveStream, Listen
from media.core.legmessages import Audio, Clear, Digit, HangUp, Leave, Mark, MoveOn, Play
from media.core.mailbox import Mailbox
from media.core.plans import MailboxPlan, Prompt
from media.core.types import (
    Action,
    CallEnded,
    CommandReply,
    Digits,
    MessageTaken,
    RecordAgent,
    RecordCaller,
    Report,
    StartMessage,
    TurnEnded,
)
from media.legs import twiliowire
from tests.support.examples import examples
from tests.support.plans import mailbox_plan
from tests.support.present import present
from tests.support.simulation import Carrier, World, voice

RANDOM = Random(5)
GREETING = Prompt("Please leave a message", RANDOM.randbytes(8_000))
THANKS = Prompt("Thank you", RANDOM.randbytes(4_000))
Told = TypeVar("Told")

GOODBYE = Prompt("Goodbye", RANDOM.randbytes(3_200))
PLAN = mailbox_plan(
    openings=(GREETING,), thanks=THANKS, goodbye=GOODBYE, apology=Prompt("Sorry", RANDOM.randbytes(1_600))
)
QUIET = b"\xff" * 160


class Caller:
    """A stream into a mailbox: what was sent on it, frame by frame, and everything that the mailbox did."""

    def __init__(
        self, plan: MailboxPlan = PLAN, delay: float = 40.0, jitter: float = 0.0, seed: int = 0, disk_full: bool = False
    ) -> None:
        self.world = World()
        self.carrier = Carrier(self.world, self._from_carrier, delay, jitter, seed)
        self.talk = Mailbox(plan)
        self.encoder = twiliowire.MessageEncoder(Carrier.SID)
        self.actions: list[tuple[float, Action]] = []
        self.sent: list[bytes] = []
        self.frames: list[bytes] = []
        self.disk_full, self.rests_on = disk_full, QUIET
        self.carrier.start(token="t")
        self.world.every(20, self._frame, self.world.now + 5)
        self.world.every(20, self._tick, self.world.now + 9)

    def _tick(self) -> None:
        if self.talk.due_ms <= self.world.now:
            self.carry(self.talk.tick(self.world.now))

    def _frame(self) -> None:
        frame = self.frames.pop(0) if self.frames else self.rests_on
        self.sent.append(frame)
        self.carrier.frame(frame)

    def _from_carrier(self, payload: bytes) -> None:
        event = twiliowire.decode(payload)
        if event is not None:
            self.carry(self.talk.from_leg(event, self.world.now))

    def carry(self, actions: list[Action]) -> None:
        for action in actions:
            self.actions.append((self.world.now, action))
            if isinstance(action, (Play, Mark, Clear)):
                for payload in self.encoder.encode([action]):
                    self.carrier.out.send(payload)
            if isinstance(action, StartMessage) and self.disk_full:
                self.carry(self.talk.message_failed(self.world.now))

    def after(self, ms: int) -> None:
        self.world.run(self.world.now + ms)

    def until(self, true: Callable[[], object], ms: int = 60_000) -> None:
        """Wait for a condition of the call, for so long."""
        limit = self.world.now + ms
        while not true() and self.world.now < limit:
            self.after(20)
        assert true()

    def press(self, digit: str) -> None:
        self.carrier.dtmf(digit)

    def of(self, kind: type[Told]) -> list[Told]:
        return [action for _, action in self.actions if isinstance(action, kind)]

    def reported(self, kind: type[Told]) -> list[Told]:
        return [each.event for each in self.of(Report) if isinstance(each.event, kind)]

    @property
    def ended(self) -> str | None:
        """The reason, once the call has left."""
        return next((each.outcome.reason for each in self.of(Leave)), None)

    @property
    def recording(self) -> bool:
        return bool(self.of(StartMessage))

    @property
    def pieces(self) -> list[RecordCaller]:
        """The message, while nobody listens."""
        return [piece for start in self.of(StartMessage) for piece in start.spoken] + self.of(RecordCaller)

    @property
    def message(self) -> bytes:
        return b"".join(each.payload for each in self.pieces)

    def command(self, command: Command) -> None:
        self.carry(self.talk.command(command, self.world.now))

    def heard(self) -> bytes:
        """Everything that the caller's earpiece played."""
        return b"".join(audio for _, audio in self.carrier.played)

    def beeped_ms(self) -> float:
        """When, on the carrier's clock, the first beep had been played to its end."""
        for start, audio in self.carrier.played:
            if (at := audio.find(beep())) >= 0:
                return start - (self.world_begin) + (at + len(beep())) / 8
        raise AssertionError("no beep was heard")

    @property
    def world_begin(self) -> float:
        return 1_000.0 + 5  # the carrier's first frame


def at_the_beep(**options: Any) -> Caller:
    caller = Caller(**options)
    caller.until(lambda: caller.recording)
    return caller


def audio_of(prompt: Prompt | None) -> bytes:
    return present(present(prompt).audio)


def kept(caller: Caller) -> list[bool]:
    return [each.kept for each in caller.reported(MessageTaken)]


@pytest.mark.parametrize("network", [{"delay": 0.0}, {"delay": 40.0}, {"delay": 150.0, "jitter": 40.0, "seed": 3}])
def test_a_message_is_recorded_from_the_beep_on_sample_by_sample(network: dict[str, Any]) -> None:
    caller = Caller(**network)
    caller.frames = [RANDOM.randbytes(160) for _ in range(75)]  # speaks into the greeting
    caller.until(lambda: caller.recording)
    spoken = voice(4_000, seed=8)
    caller.frames = list(spoken)
    caller.after(3_000)
    caller.press("#")
    caller.until(lambda: caller.ended)
    assert (caller.ended, kept(caller)) == ("message_taken", [True])
    assert caller.heard() == audio_of(GREETING) + beep() + audio_of(THANKS)
    first = caller.of(StartMessage)[0].at_ms // 20
    assert abs(caller.beeped_ms() - 20 * first) <= 30, "from the frame in which the beep ended"
    count = len(caller.message) // 160
    assert caller.message == b"".join(caller.sent[first : first + count])
    assert b"".join(spoken[:140]) in caller.message
    assert [(turn.text, turn.interrupted) for turn in caller.reported(TurnEnded)] == [
        ("Please leave a message", False),
        ("Thank you", False),
    ]


def test_whoever_speaks_into_the_beep_is_recorded_from_its_end() -> None:
    caller = Caller(delay=200.0)
    caller.frames = voice(6_000, seed=4)
    caller.until(lambda: caller.recording)
    caller.after(400)
    first = caller.of(StartMessage)[0].at_ms // 20
    assert abs(20 * first - caller.beeped_ms()) <= 40
    assert caller.message.startswith(caller.sent[first])


def test_nothing_is_recorded_before_the_beep() -> None:
    caller = Caller()
    caller.frames = voice(1_000)
    caller.after(1_000 + BEEP_MS - 100)
    assert not caller.recording
    caller.carrier.stop()
    caller.after(500)
    assert (caller.ended, kept(caller), caller.message) == ("caller", [], b"")
    assert [(turn.heard_text, turn.interrupted) for turn in caller.reported(TurnEnded)] == [
        ("Please leave a message", False)
    ]


def test_a_hang_up_in_the_greeting_leaves_nothing_but_the_words_that_were_heard() -> None:
    caller = Caller()
    caller.after(600)
    caller.carrier.stop()
    caller.after(500)
    (turn,) = caller.reported(TurnEnded)
    assert (caller.ended, kept(caller), turn.interrupted) == ("caller", [], True)
    assert 0 < len(turn.heard_text) < len(turn.text)


def test_a_hang_up_in_the_message_keeps_what_there_is() -> None:
    caller = at_the_beep()
    caller.frames = voice(2_000)
    caller.after(1_500)
    caller.carrier.stop()
    caller.after(500)
    assert (caller.ended, kept(caller)) == ("caller", [True])
    assert len(caller.message) >= 8 * 1_400


@pytest.mark.parametrize("lose", ["stream", "protocol"])
def test_a_stream_that_is_lost_keeps_what_there_is(lose: str) -> None:
    caller = at_the_beep()
    caller.frames = voice(2_000)
    caller.after(1_000)
    if lose == "stream":
        caller.carry(caller.talk.leg_gone(caller.world.now, HangUp("carrier_lost")))
    else:
        caller.carrier.start()
        caller.after(100)
    assert (caller.ended, kept(caller)) == ("carrier_lost" if lose == "stream" else "carrier_protocol", [True])


def test_silence_ends_the_message() -> None:
    caller = at_the_beep()
    caller.frames = voice(1_500)
    began = caller.world.now
    caller.until(lambda: caller.ended)
    assert caller.ended == "message_taken"
    assert 7_000 <= caller.world.now - began <= 9_500
    assert caller.heard().endswith(audio_of(THANKS))


def test_whoever_says_nothing_leaves_nothing_and_is_told_goodbye() -> None:
    caller = at_the_beep()
    caller.until(lambda: caller.ended)
    assert (caller.ended, kept(caller)) == ("no_message", [False])
    assert caller.heard() == audio_of(GREETING) + beep() + audio_of(GOODBYE)


def test_comfort_noise_is_silence_and_what_defeats_the_detector_ends_too() -> None:
    random = Random(2)
    noise = from_linear(b"".join(int(random.gauss(0, 60)).to_bytes(2, "little", signed=True) for _ in range(160 * 50)))
    caller = Caller(mailbox_plan(openings=(GREETING,), thanks=THANKS, goodbye=GOODBYE))
    caller.frames = [noise[at : at + 160] for at in range(0, len(noise), 160)] * 60
    caller.until(lambda: caller.ended)
    assert caller.ended == "no_message", "the detector knows the line's noise from the greeting"

    caller = at_the_beep(plan=mailbox_plan(openings=(GREETING,), thanks=THANKS, longest_ms=20_000))
    caller.frames = (voice(600) + [QUIET] * 20) * 60
    began = caller.world.now
    caller.until(lambda: caller.ended)
    assert (caller.ended, kept(caller)) == ("message_taken", [True])
    assert 20_000 <= caller.world.now - began <= 22_000
    assert 8 * 19_900 <= len(caller.message) <= 8 * 20_200


def test_a_line_that_sends_no_frames_any_more_ends_by_the_wall_clock() -> None:
    caller = at_the_beep()
    caller.frames = voice(1_000)
    caller.after(1_000)
    caller._frame = lambda: None  # type: ignore[method-assign]
    caller.carrier.frame = lambda *_: None  # type: ignore[method-assign]
    caller.until(lambda: caller.ended, 15_000)
    assert (caller.ended, kept(caller)) == ("message_taken", [True])


@pytest.mark.parametrize("key", ["#", "*"])
def test_a_key_skips_the_greeting(key: str) -> None:
    caller = Caller(mailbox_plan(openings=(Prompt("A very long greeting", RANDOM.randbytes(80_000)),), thanks=THANKS))
    caller.after(700)
    caller.press(key)
    caller.until(lambda: caller.recording, 2_000)
    assert beep() in caller.heard()
    assert [turn.interrupted for turn in caller.reported(TurnEnded)] == [True]
    caller.frames = voice(1_000)
    caller.after(1_200)
    caller.press(key)
    caller.until(lambda: caller.ended)
    assert caller.ended == "message_taken"


def test_other_keys_belong_to_the_message_and_are_told_to_nobody() -> None:
    caller = at_the_beep()
    caller.frames = voice(1_000)
    for digit in "0123456789":
        caller.press(digit)
        caller.after(50)
    assert caller.ended is None and not kept(caller)
    assert caller.reported(Digits) == [], "they may be a card's: a caller who was sent to the mailbox may go on typing"


def test_a_carrier_that_returns_no_marks_loses_nobody_their_message() -> None:
    caller = Caller()
    caller.carrier.echoes_marks = False
    caller.frames = voice(20_000)
    caller.until(lambda: caller.recording, 5_000)
    assert abs(caller.of(StartMessage)[0].at_ms - caller.beeped_ms()) <= 120


def test_a_message_that_can_not_be_stored_is_no_thanks() -> None:
    caller = Caller(disk_full=True)
    caller.until(lambda: caller.ended)
    assert (caller.ended, kept(caller)) == ("message_failed", [])
    assert caller.heard() == audio_of(GREETING) + beep() + audio_of(PLAN.apology)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (EndCall("hang_up"), "hang_up"),
        (EndCall("drained", spoken=True), "drained"),
        (LeaveStream(MoveOn("transfer"), "c1"), "transfer"),
    ],
)
def test_control_ends_it_and_what_was_said_is_kept(command: EndCall | LeaveStream, reason: str) -> None:
    caller = at_the_beep()
    caller.frames = voice(2_000)
    caller.after(1_000)
    caller.carry(caller.talk.command(command, caller.world.now))
    caller.until(lambda: caller.ended)
    assert (caller.ended, kept(caller)) == (reason, [True])
    assert caller.heard().endswith(audio_of(GOODBYE)) is (reason == "drained")
    left = reason == "transfer"
    assert [each.outcome for each in caller.reported(CommandReply)] == (["done"] if left else [])
    late = caller.talk.command(LeaveStream(MoveOn("transfer"), "c2"), caller.world.now)
    assert late == [Report(CommandReply("c2", "done" if left else "over"))]


@pytest.mark.parametrize("command", [Inform("c1", "Ada calls."), DecisionResult("c1", "Approved.")])
def test_what_is_for_an_agent_is_refused_at_once_in_each_phase(command: Inform | DecisionResult) -> None:
    caller = Caller()
    for phase in (lambda: True, lambda: caller.recording, lambda: caller.ended):
        caller.until(phase)
        caller.command(command)
    assert caller.reported(CommandReply) == [CommandReply("c1", "over")] * 3


def test_a_listener_hears_both_sides_once_before_the_message_in_it_and_after() -> None:
    caller = Caller()
    caller.after(100)
    caller.command(Listen(True))
    caller.frames = [RANDOM.randbytes(160) for _ in range(75)]
    caller.until(lambda: caller.recording)
    caller.frames = voice(4_000, seed=8)
    caller.after(2_000)
    caller.press("#")
    caller.until(lambda: caller.ended)
    frames = caller.of(RecordCaller)
    assert [each.at_ms for each in frames] == list(range(frames[0].at_ms, frames[-1].at_ms + 20, 20))
    first = frames[0].at_ms // 20
    assert b"".join(each.payload for each in frames) == b"".join(caller.sent[first : first + len(frames)])
    assert first < caller.of(StartMessage)[0].at_ms // 20
    agent = b"".join(each.payload for each in caller.of(RecordAgent))
    assert audio_of(GREETING).endswith(agent[: -len(beep() + audio_of(THANKS))])
    assert agent.endswith(beep() + audio_of(THANKS))


def test_once_nobody_listens_the_message_alone_is_recorded() -> None:
    caller = Caller()
    caller.command(Listen(True))
    caller.after(200)
    caller.command(Listen(False))
    before = len(caller.of(RecordCaller))
    caller.until(lambda: caller.recording)
    caller.after(400)
    kinds = [type(action) for _, action in caller.actions if isinstance(action, (RecordCaller, StartMessage))]
    assert 0 < kinds.index(StartMessage) == before < len(kinds) - 10
    assert caller.of(RecordAgent)


def test_a_mailbox_without_a_word_beeps() -> None:
    """The carrier has said it all."""
    caller = Caller(mailbox_plan())
    caller.until(lambda: caller.recording)
    caller.frames = voice(1_000)
    caller.after(1_100)
    caller.press("#")
    caller.until(lambda: caller.ended)
    assert (caller.ended, caller.heard()) == ("message_taken", beep())


def test_a_stream_that_speaks_before_its_start_violates_the_protocol() -> None:
    for event in (Mark(1), Digit("#"), Audio(QUIET, 0)):
        talk = Mailbox(PLAN)
        actions = talk.from_leg(event, 1.0)
        assert isinstance(actions[-1], Leave) and actions[-1].outcome.reason == "carrier_protocol"
        assert talk.from_leg(event, 2.0) == talk.tick(3.0) == []


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("speak"), st.integers(100, 3_000)),
        st.tuples(st.just("wait"), st.integers(20, 4_000)),
        st.tuples(st.just("press"), st.sampled_from("#*5")),
        st.tuples(st.sampled_from(["stop", "lose", "drain", "hang_up"]), st.just(0)),
    ),
    max_size=8,
)


@settings(max_examples=examples(60), deadline=None)
@given(
    acts=ACTS, delay=st.sampled_from([0.0, 40.0, 200.0]), jitter=st.sampled_from([0.0, 30.0]), seed=st.integers(0, 99)
)
def test_whatever_a_caller_does_the_message_is_what_they_sent(
    acts: list[tuple[str, Any]], delay: float, jitter: float, seed: int
) -> None:
    caller = Caller(mailbox_plan(openings=(GREETING,), thanks=THANKS, longest_ms=9_000), delay, jitter, seed)
    for act, value in acts:
        match act:
            case "speak":
                caller.frames += voice(value, seed=seed + len(caller.sent))
            case "wait":
                caller.after(value)
            case "press":
                caller.press(value)
            case "stop":
                caller.carrier.stop()
            case "lose":
                caller.carry(caller.talk.leg_gone(caller.world.now, HangUp("carrier_lost")))
            case "drain" | "hang_up":
                caller.carry(caller.talk.command(EndCall(act, spoken=act == "drain"), caller.world.now))
    caller.until(lambda: caller.ended, 40_000)
    assert len(caller.of(Leave)) == len(caller.reported(CallEnded)) == 1
    assert isinstance(caller.actions[-1][1], Leave), "nothing follows"
    assert len(caller.of(StartMessage)) == len(kept(caller)) <= 1
    seqs = [turn.seq for turn in caller.reported(TurnEnded)]
    assert seqs == list(range(1, len(seqs) + 1))
    if caller.recording:
        start_ms = caller.of(StartMessage)[0].at_ms
        assert start_ms >= caller.beeped_ms() - 60, "the beep comes first"
        if pieces := caller.pieces:
            first = pieces[0].at_ms // 20
            assert -20 < pieces[0].at_ms - start_ms <= 20, "a frame that was under way when the beep ended is whole"
            assert caller.message == b"".join(caller.sent[first : first + len(pieces)])
