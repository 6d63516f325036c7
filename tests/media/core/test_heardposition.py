from random import Random

import pytest

from media.core.carrierclock import CarrierClock
from media.core.heardposition import HeardPosition, Item, ItemAudio


def flight(one_way_ms: float = 50.0, size: int = 8 * 1_000) -> tuple[HeardPosition, Item]:
    return HeardPosition(CarrierClock(one_way_ms)), Item("item", audio=ItemAudio(bytes(size)), complete=True)


def send(model: HeardPosition, seq: int, item: Item, size: int, now_ms: float) -> None:
    model.sent(seq, item, item.audio.read(item.sent, item.sent + size), now_ms)


def test_audio_plays_from_when_it_arrives_without_a_gap() -> None:
    model, item = flight()
    send(model, 1, item, 800, 0.0)
    send(model, 2, item, 800, 10.0)
    assert model.hear(49.0) == []
    spans = model.hear(175.0)
    assert [(s.start, s.end, s.at_ms) for s in spans] == [(0, 800, 50.0), (800, 1_000, 150.0)]
    assert item.heard == 1_000 and item.ended_ms == 175.0


def test_after_running_dry_it_begins_anew() -> None:
    model, item = flight()
    send(model, 1, item, 800, 0.0)
    send(model, 2, item, 800, 300.0)
    assert [s.at_ms for s in model.hear(400.0)] == [50.0, 350.0]


def test_a_mark_proves_and_moves_what_follows() -> None:
    model, item = flight()
    for seq in (1, 2, 3):
        send(model, seq, item, 800, 0.0)
    model.played(1, 180.0)  # the delay is 40 ms, so the first ended at 140
    assert (item.proven, item.heard) == (800, 800)
    assert model.clock.one_way_ms == 40.0
    assert [s.at_ms for s in model.hear(1_000.0)] == [140.0, 240.0]


def test_a_mark_for_all_makes_up_for_the_others() -> None:
    model, item = flight()
    for seq in (1, 2, 3):
        send(model, seq, item, 800, 0.0)
    assert [(s.start, s.end) for s in model.played(3, 400.0)] == [(0, 800), (800, 1_600), (1_600, 2_400)]
    assert model.played(2, 410.0) == model.played(9, 410.0) == []
    assert item.proven == item.heard == 2_400


def test_heard_never_falls_though_a_mark_comes_late() -> None:
    model, item = flight()
    send(model, 1, item, 800, 0.0)
    send(model, 2, item, 800, 0.0)
    model.clock.round_trip(100.0, 0.0)
    model.clock.caller_frame(0, 50.0)
    model.hear(200.0)
    assert item.heard == 1_200
    model.clock.caller_frame(300, 350.0)
    model.played(1, 355.0)  # after the carrier's 300th ms: its playout had stalled
    assert model.hear(355.0) == [] and item.heard == 1_200
    assert model.hear(420.0) and item.heard > 1_200


def test_a_cut_leaves_what_was_heard_and_no_more() -> None:
    model, item = flight()
    send(model, 1, item, 1_600, 0.0)
    model.cut(125.5)
    assert item.heard == 604 and not model.out
    assert model.hear(1_000.0) == []


def test_a_mark_too_early_was_flushed() -> None:
    model, item = flight()
    send(model, 1, item, 800, 0.0)  # ends at 150, its mark is due at 200
    assert model.too_early(1, 160.0)
    assert not model.too_early(1, 180.0) and not model.too_early(2, 0.0)


def test_levels_are_those_of_what_plays_now() -> None:
    model, item = flight()
    item.audio = ItemAudio(bytes(800) + b"\xff" * 800)
    send(model, 1, item, 800, 0.0)
    send(model, 2, item, 800, 0.0)
    model.hear(300.0)
    assert model.level_db(200.0, 100.0) > -1.0
    assert model.level_db(240.0, 160.0) == -96.0


def test_what_was_sent_before_the_carriers_clock_was_known_ends_when_it_did() -> None:
    model, item = flight()
    send(model, 1, item, 800, 10_000.0)
    assert model.ends_ms == 10_150.0
    model.clock.caller_frame(0, 10_020.0)  # the clock is tied now: its 0 is at about 9,970
    assert model.clock.tied
    assert model.ends_ms == 10_150.0
    model.hear(10_030.0)
    assert model.ends_ms == 10_150.0


def test_what_was_heard_of_an_answer_is_dropped_and_offsets_stay() -> None:
    random = Random(3)
    whole, audio = b"", ItemAudio()
    for _ in range(200):
        piece = random.randbytes(random.choice((1, 160, 800, 4_000)))
        whole += piece
        audio.add(piece)
        heard = random.randrange(len(whole) - audio.kept, len(whole) + 1)
        audio.drop_before(heard)
        assert len(whole) - heard <= audio.kept < len(whole) - heard + 4_000, "what is not heard, and less than a piece"
        end = random.randrange(heard, len(whole) + 1)
        assert audio.read(heard, end) == whole[heard:end]
        if dropped := len(whole) - audio.kept:
            with pytest.raises(AssertionError):
                audio.read(dropped - 1, len(whole))
    assert audio.size == len(whole)
    item = Item("item", audio=audio, complete=True)
    assert not item.finished
    item.heard = len(whole)
    item.audio.drop()
    assert not item.audio.kept and item.finished
