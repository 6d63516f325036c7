"""The leg in virtual time: what the call gets of it, in which order, and what a line is sent."""

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hum.settings import MediaSettings
from media.core.audio import FRAME_BYTES
from media.core.conversation import Conversation
from media.core.legmessages import Audio, Clear, Mark, Play, Started, Stopped
from media.core.modelmessages import TurnModel
from media.core.plans import Prompt, PromptKind
from media.core.types import BargedIn, Report
from media.leg import Closing
from media.legs.browser import MAX_CATCH_UP_FRAMES, BrowserLeg
from media.legs.playoutqueue import PlayoutQueue
from tests.media.audio import tone, voice
from tests.support.plans import call_plan

GREETING = tone(8_000)
WORDS = [voice(20, seed=n) for n in range(60)]


class Line:
    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes]] = []
        self.is_up = True

    def send(self, packet: bytes, stamp: int) -> None:
        assert self.is_up
        self.packets.append((stamp, packet))

    def hang_up(self) -> None:
        self.is_up = False


class Shell:
    """Records what a call is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.gone = 0

    def from_leg(self, event: Any) -> None:
        self.events.append(event)

    def leg_gone(self, fault: str = "") -> None:
        self.gone += 1

    def take(self) -> list[Any]:
        events, self.events = self.events, []
        return events


def begun(now_ms: float = 1_000.0) -> tuple[Line, Shell, BrowserLeg]:
    line, shell = Line(), Shell()
    leg = BrowserLeg(line, MediaSettings(browser_tail_ms=100), now_ms)
    leg.begin(cast("Any", shell), "call_1", "browser:1", "token")
    return line, shell, leg


def test_it_starts_with_its_token_and_speaks_every_20_ms() -> None:
    line, shell, leg = begun()
    (started,) = shell.take()
    assert started == Started("browser:1", "call_1", {"token": "token"})
    for now_ms in (1_000, 1_019, 1_021, 1_060):
        leg.tick(now_ms)
    assert [each.at_ms for each in shell.take()] == [0, 20, 40, 60]
    assert [stamp for stamp, _ in line.packets] == [0, 960, 1_920, 2_880]


def test_a_mark_is_told_before_the_frame_of_its_instant_and_a_discarded_one_after_it() -> None:
    _, shell, leg = begun()
    leg.send([Play(b"\x01" * 100), Mark(1), Play(b"\x01" * 500), Mark(2)])
    leg.tick(1_000.0)
    shell.take()
    leg.send([Clear(), Mark(3)])
    leg.tick(1_020.0)
    first, audio, *others = shell.take()
    assert first == Mark(1) and isinstance(audio, Audio)
    assert others == [Mark(2), Mark(3)]


def test_a_process_that_stalls_sends_what_was_queued_and_then_leaves_a_gap() -> None:
    line, shell, leg = begun()
    leg.tick(1_000.0)
    leg.tick(6_000.0)
    assert len(line.packets) == 1 + MAX_CATCH_UP_FRAMES
    leg.tick(6_020.0)
    stamps = [stamp for stamp, _ in line.packets]
    assert stamps == sorted(stamps)
    assert stamps[-1] == 5_020 * 48, "the RTP clock is as late as the process was"
    times = [each.at_ms for each in shell.take() if isinstance(each, Audio)]
    assert times[-1] == 5_020


def test_it_is_closed_once_the_browser_has_played_what_it_was_sent() -> None:
    line, shell, leg = begun()
    leg.tick(1_000.0)
    leg.close(Closing.NORMAL)
    leg.tick(1_100.0)
    assert (line.is_up, shell.gone) == (True, 0)
    leg.tick(1_140.0)
    assert (line.is_up, shell.gone) == (False, 1)
    sent = len(line.packets)
    leg.tick(1_200.0)
    leg.gone(by_browser=True)
    assert (len(line.packets), shell.gone) == (sent, 1)


def test_a_browser_that_is_gone_is_told_once_with_its_reason() -> None:
    line, shell, leg = begun()
    leg.gone(by_browser=False)
    leg.gone(by_browser=True)
    assert shell.take()[1:] == [Stopped("connection_lost")]
    assert shell.gone == 1 and not line.is_up


class Counted(PlayoutQueue):
    """Counts the samples of the agent that were handed to the network: their bytes are none of silence."""

    sent = 0

    def next_frame(self) -> tuple[list[Any], bytes]:
        marks, sound = super().next_frame()
        self.sent += len(sound.rstrip(b"\xff"))
        return marks, sound


@settings(max_examples=10, deadline=None, phases=[Phase.generate])
@given(st.integers(0, 19), st.integers(60, 200), st.lists(st.floats(0, 12), min_size=20, max_size=20))
def test_the_ledger_knows_to_the_frame_what_was_sent_when_the_caller_interrupts(
    phase: int, begins: int, lateness: list[float]
) -> None:
    """The real call and the real leg in virtual time, on a process whose ticks are late: when the caller takes the floor, what
    the ledger says was heard is what the network was handed.
    """
    plan = call_plan("", TurnModel("m", "marin", "t"), prompts={PromptKind.GREETING: Prompt("Hello.", GREETING)})
    talk, now_ms = Conversation(plan), 1_000.0 + phase
    cuts: list[tuple[BargedIn, int]] = []

    class Caller:
        def from_leg(self, event: Audio | Mark | Started) -> None:
            for action in talk.from_leg(event, now_ms):
                self.carry(action)

        def carry(self, action: Any) -> None:
            if isinstance(action, Play | Mark | Clear):
                leg.send([action])
            elif isinstance(action, Report) and isinstance(action.event, BargedIn):
                cuts.append((action.event, sending.sent))

        def leg_gone(self, fault: str = "") -> None:
            pass

    leg, caller = BrowserLeg(Line(), MediaSettings(), now_ms), Caller()
    frames = iter([b"\xff" * FRAME_BYTES] * begins + WORDS)
    sending, returned = Counted(), list[Mark]()
    parts: Any = leg
    parts._jitter = SimpleNamespace(next=lambda now_ms: next(frames, b"\xff" * FRAME_BYTES))
    parts._queue, parts._encoder = sending, SimpleNamespace(encode=bytes)
    parts.send = lambda actions: returned.extend(sending.append(actions))
    leg.begin(cast("Any", caller), "call_1", "browser:1", "token")
    for n in range(begins + 120):
        now_ms = 1_000.0 + phase + 20 * n + lateness[n % 20]
        leg.tick(now_ms)
        for mark in [returned.pop(0) for _ in range(len(returned))]:
            caller.from_leg(mark)
        for action in talk.tick(now_ms):
            caller.carry(action)
        if cuts:
            break
    (cut, sent) = cuts[0]
    assert abs(cut.heard_ms - sent / 8) <= 20, (cut, sent / 8)
