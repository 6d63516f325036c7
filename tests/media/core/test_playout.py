from collections.abc import Sequence
from random import Random

import pytest

from media.core.carrierclock import CarrierClock
from media.core.heardposition import Item, ItemAudio, Span
from media.core.legmessages import Audio, Mark, ToLeg
from media.core.plans import PromptKind
from media.core.playout import Playout
from media.core.turngate import TurnGate
from media.legs.twiliowire import MessageEncoder, decode
from tests.support.examples import sample
from tests.support.simulation import Carrier, World


class Desk:
    """A running ledger: pumped every 20 ms against a carrier in virtual time."""

    def __init__(
        self,
        world: World,
        make_carrier: type[Carrier],
        delay: float = 0.0,
        jitter: float = 0.0,
        seed: int = 0,
        guess: float = 40.0,
    ) -> None:
        self.world = world
        self.carrier = make_carrier(world, self.from_carrier, delay, jitter, seed)
        self.clock = CarrierClock(guess)
        self.ledger = Playout(self.clock, TurnGate(1_000, 9_000, 250))
        self.encoder = MessageEncoder(self.carrier.SID)
        self.spans: list[Span] = []
        self.finished: list[Item] = []
        self.tick()
        world.every(20, self.carrier.frame)
        world.every(20, self.tick, world.now + 7)

    def send(self, actions: Sequence[ToLeg]) -> None:
        for payload in self.encoder.encode(actions):
            self.carrier.out.send(payload)

    def from_carrier(self, payload: bytes) -> None:
        match decode(payload):
            case Audio(_, timestamp):
                self.clock.caller_frame(timestamp, self.world.now)
            case Mark(number):
                self.ledger.mark(number, self.world.now)
        self.check()

    def tick(self) -> None:
        spans, finished = self.ledger.advance(self.world.now)
        self.spans += spans
        self.finished += finished
        self.send(self.ledger.pump(self.world.now))
        self.check()

    def check(self) -> None:
        for item in self.ledger.line:
            assert 0 <= item.heard <= item.sent <= item.generated

    def say(self, size: int, name: str = "item", seed: int = 1) -> Item:
        item = Item(name, audio=ItemAudio(Random(seed).randbytes(size)), complete=True)
        self.ledger.line.append(item)
        self.tick()
        return item

    def after(self, ms: int) -> None:
        self.world.run(self.world.now + ms)


def whole(item: Item) -> bytes:
    return item.audio.read(0, item.audio.size)


def test_the_first_message_goes_at_once_and_the_lead_stays_between_its_bounds(
    world: World, make_carrier: type[Carrier]
) -> None:
    desk = Desk(world, make_carrier)
    item = desk.say(8 * 2_000)
    assert item.sent == 8 * 347
    leads = []
    for _ in range(60):
        desk.after(20)
        leads.append((item.sent - item.heard) / 8)
    assert min(leads) >= 180 and max(leads) <= 347


def test_small_pieces_go_as_they_come(world: World, make_carrier: type[Carrier]) -> None:
    desk = Desk(world, make_carrier)
    item = Item("slow")
    desk.ledger.line.append(item)
    for _ in range(10):
        item.audio.add(bytes(160))
        desk.tick()
    assert item.sent == 1_600


def test_items_play_in_order_and_finish_when_heard(world: World, make_carrier: type[Carrier]) -> None:
    desk = Desk(world, make_carrier, delay=50)
    first, second = desk.say(8 * 500, "a", 1), desk.say(8 * 300, "b", 2)
    desk.after(1_500)
    assert desk.finished == [first, second]
    assert first.played and second.played
    assert desk.carrier.heard(world.now) == whole(first) + whole(second)
    assert b"".join(s.item.audio.read(s.start, s.end) for s in desk.spans) == whole(first) + whole(second)


def test_a_flushed_mark_never_counts(world: World, make_carrier: type[Carrier]) -> None:
    desk = Desk(world, make_carrier, delay=80)
    desk.after(200)
    item = desk.say(8 * 2_000)
    desk.after(150)
    desk.send(desk.ledger.clear(world.now))
    desk.after(1_000)
    assert desk.carrier.flushed
    assert desk.ledger.settled(world.now)
    assert item.proven == 0
    assert item.heard == desk.carrier.heard_bytes(world.now) < item.sent


def test_of_the_message_that_a_clear_cut_the_heard_part_may_be_echoing(
    world: World, make_carrier: type[Carrier]
) -> None:
    desk = Desk(world, make_carrier, delay=40)
    desk.after(400)
    item = desk.say(8 * 2_000)
    desk.after(900)
    desk.send(desk.ledger.clear(world.now))
    desk.after(400)
    assert desk.ledger.settled(world.now)
    heard = desk.carrier.heard(world.now)
    assert len(heard) == item.heard
    assert heard[-8 * 300 :] in desk.ledger.recent(world.now, 600)


@pytest.mark.parametrize("delay", [0, 30, 150])
def test_a_resumed_tail_is_sample_exact_without_jitter(world: World, make_carrier: type[Carrier], delay: int) -> None:
    desk = Desk(world, make_carrier, delay=delay)
    desk.after(400)
    item = desk.say(8 * 3_000)
    for pause in (333, 701, 512):
        desk.after(pause)
        desk.send(desk.ledger.clear(world.now))
        desk.after(310)
        assert desk.ledger.settled(world.now)
        desk.ledger.resume()
    desk.after(4_000)
    assert desk.carrier.heard(world.now) == whole(item)
    assert item.played


@pytest.mark.parametrize("seed", range(20))
def test_with_jitter_a_resume_loses_and_repeats_little(world: World, make_carrier: type[Carrier], seed: int) -> None:
    desk = Desk(world, make_carrier, delay=Random(seed).uniform(0, 150), jitter=40, seed=seed)
    desk.after(400)
    item = desk.say(8 * 3_000)
    desk.after(1_000)
    desk.send(desk.ledger.clear(world.now))
    desk.after(600)
    assert desk.ledger.settled(world.now)
    assert abs(desk.carrier.heard_bytes(world.now) - item.heard) < 20 * 8  # less than a frame
    sent_again = item.heard
    desk.ledger.resume()
    desk.after(4_000)
    assert desk.carrier.heard(world.now).endswith(item.audio.read(sent_again, item.audio.size))


def test_a_dropped_tail_is_gone_and_the_next_answer_starts_at_once(world: World, make_carrier: type[Carrier]) -> None:
    desk = Desk(world, make_carrier, delay=20)
    cut, unheard = desk.say(8 * 2_000, "cut", 1), desk.say(8 * 500, "unheard", 2)
    desk.after(400)
    desk.send(desk.ledger.clear(world.now))
    desk.after(300)
    assert desk.ledger.drop() == [cut, unheard]
    assert 0 < cut.heard < cut.generated and unheard.heard == 0
    assert not desk.ledger.audible(world.now)
    following = desk.say(8 * 200, "next", 3)
    desk.after(500)
    assert following.played


def test_an_echo_that_never_comes_settles_by_time(world: World, make_carrier: type[Carrier]) -> None:
    desk = Desk(world, make_carrier)
    desk.say(8 * 1_000)
    desk.after(100)
    desk.ledger.clear(world.now)  # lost on the way
    assert not desk.ledger.settled(world.now)
    assert desk.ledger.settled(world.now + 600)


def test_nonsense_marks_change_nothing(world: World, make_carrier: type[Carrier]) -> None:
    desk = Desk(world, make_carrier)
    item = desk.say(8 * 1_000)
    for number in (0, -1, 99, 10**14):
        desk.ledger.mark(number, world.now)
    assert item.heard == item.proven == 0


@pytest.mark.sampled
def test_heard_is_within_a_frame_of_the_truth(make_world: type[World], make_carrier: type[Carrier]) -> None:
    """With delays up to 150 ms and jitter up to 40 ms, the error's p99 is at most 20 ms, at any time and at a clear."""
    running, at_clear = [], []
    for seed in sample(range(120), 4):
        random = Random(seed)
        world = make_world()
        desk = Desk(world, make_carrier, random.uniform(0, 150), random.uniform(0, 40), seed, guess=40)
        desk.after(400)
        for turn in range(4):
            item = desk.say(8 * random.randrange(500, 4_000), f"turn{turn}", seed + turn)
            before = desk.carrier.heard_bytes(world.now)
            for _ in range(random.randrange(10, 100)):
                desk.after(20)
                desk.spans += desk.ledger.advance(world.now)[0]
                running.append(abs(item.heard - (desk.carrier.heard_bytes(world.now) - before)) / 8)
            desk.send(desk.ledger.clear(world.now))
            desk.after(620)
            assert desk.ledger.settled(world.now)
            at_clear.append(abs(item.heard - (desk.carrier.heard_bytes(world.now) - before)) / 8)
            desk.ledger.drop()
            desk.after(random.randrange(100, 900))
    for errors in (running, at_clear):
        errors.sort()
    assert running[int(len(running) * 0.99)] <= 20
    assert at_clear[int(len(at_clear) * 0.99)] <= 20


@pytest.mark.parametrize("keep", [False, True])
def test_keys_behind_a_dropped_tail_are_sent_if_they_are_still_wanted(
    world: World, make_carrier: type[Carrier], keep: bool
) -> None:
    desk = Desk(world, make_carrier, delay=20)
    cut, keys = desk.say(8 * 200, "cut", 1), desk.say(8 * 300, "keys", 2)
    keys.prompt = PromptKind.TONES
    desk.after(120)
    assert keys.sent and not keys.heard, "its beginning is on its way already"
    desk.send(desk.ledger.clear(world.now))
    desk.after(300)
    assert desk.ledger.drop(keep_keys=keep) == ([cut] if keep else [cut, keys])
    desk.after(600)
    assert keys.played == keep
    assert desk.carrier.heard(world.now).endswith(whole(keys)) == keep
