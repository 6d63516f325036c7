from hypothesis import given
from hypothesis import strategies as st

from sandbox.twilio.playout import CarrierPlayout, Echo, Gap


def ms(count: float) -> bytes:
    return bytes(round(count * 8))


def names(echoes: list[Echo]) -> list[tuple[str, float, str]]:
    return [(each.name, each.at_ms, each.reason) for each in echoes]


def spans(playout: CarrierPlayout) -> list[tuple[float, float]]:
    return [(each.start_ms, each.end_ms) for each in playout.segments]


def test_audio_starts_on_arrival_and_goes_on_seamlessly_while_the_queue_lasts() -> None:
    playout = CarrierPlayout()
    playout.receive(100, ms(100))
    playout.receive(150, ms(60))
    playout.advance(1000)
    assert spans(playout) == [(100, 260)]
    assert playout.gaps() == []


def test_the_queue_ends_when_all_of_it_has_been_played() -> None:
    playout = CarrierPlayout()
    assert playout.ends_ms == 0
    playout.receive(100, ms(100))
    playout.receive(150, ms(60))
    assert playout.ends_ms == 260
    playout.advance(1000)
    assert playout.ends_ms == 260


def test_what_is_forgotten_is_over_and_the_rest_goes_on() -> None:
    playout = CarrierPlayout()
    for at in (0, 200):
        playout.receive(at, ms(100))
        playout.mark(at, f"at {at}")
    playout.forget()
    assert spans(playout) == [(200, 200)]
    assert playout.next_mark_ms() == 300
    assert names(playout.advance(1000)) == [("at 200", 300, "played")]
    assert names(playout.echoes) == [("at 200", 300, "played")]


def test_a_dry_queue_is_a_gap_of_just_that_length() -> None:
    playout = CarrierPlayout()
    playout.receive(0, ms(100))
    playout.receive(130.5, ms(20))
    playout.advance(1000)
    assert spans(playout) == [(0, 100), (130.5, 150.5)]
    assert playout.gaps() == [Gap(100, 130.5)]
    assert playout.gaps(longest_ms=30) == []


def test_audio_that_comes_as_the_last_sample_ends_is_one_segment() -> None:
    playout = CarrierPlayout()
    playout.receive(10, ms(20))
    playout.receive(30, ms(20))
    playout.advance(60)
    assert spans(playout) == [(10, 50)]


def test_a_mark_comes_back_when_what_was_before_it_has_been_played() -> None:
    playout = CarrierPlayout()
    playout.receive(0, ms(50))
    assert playout.mark(10, "first") == []
    playout.receive(20, ms(50))
    assert playout.mark(20, "second") == []
    assert playout.next_mark_ms() == 50
    assert playout.advance(49.9) == []
    assert names(playout.advance(70)) == [("first", 50, "played")]
    assert names(playout.advance(500)) == [("second", 100, "played")]
    assert playout.next_mark_ms() is None


def test_a_mark_on_an_empty_queue_comes_back_at_once() -> None:
    assert names(CarrierPlayout().mark(33, "now")) == [("now", 33, "played")]


def test_clear_drops_the_rest_and_flushes_every_mark() -> None:
    playout = CarrierPlayout()
    playout.receive(0, ms(100))
    playout.mark(0, "a")
    playout.receive(0, ms(100))
    playout.mark(0, "b")
    echoes = playout.clear(120)
    assert names(echoes) == [("a", 100, "played"), ("b", 120, "cleared")]
    assert (playout.clears[0].received_at_ms, playout.clears[0].dropped_bytes) == (120, 640)
    assert playout.advance(1000) == []
    assert spans(playout) == [(0, 120)]


def test_silence_after_a_clear_is_no_gap_and_offsets_jump_over_what_was_dropped() -> None:
    playout = CarrierPlayout()
    playout.receive(0, ms(100))
    playout.clear(40)
    playout.receive(100, ms(20))
    playout.advance(200)
    assert playout.gaps() == []
    assert playout.segments[1].offset_bytes == 800
    assert (playout.heard_at(39), playout.heard_at(50), playout.heard_at(110)) == (312, None, 880)


def test_what_was_heard_lies_on_the_clock() -> None:
    playout = CarrierPlayout()
    playout.receive(10, b"\x01" * 80)
    playout.receive(30, b"\x02" * 80)
    playout.advance(100)
    assert playout.heard_audio() == b"\xff" * 80 + b"\x01" * 80 + b"\xff" * 80 + b"\x02" * 80
    assert playout.heard_audio(15) == b"\xff" * 80 + b"\x01" * 40
    assert playout.heard_between(15, 35) == b"\x01" * 40 + b"\x02" * 40


def test_more_than_there_is_room_for_is_discarded() -> None:
    playout = CarrierPlayout(max_queued_bytes=100)
    assert playout.receive(0, bytes(80)) == 0
    assert playout.receive(5, bytes(90)) == 30
    assert playout.receive(5, bytes(10)) == 10
    playout.advance(100)
    assert (playout.played_bytes, playout.discarded_bytes) == (140, 40)


STEPS = st.lists(
    st.tuples(st.sampled_from(["media", "mark", "clear", "wait"]), st.integers(0, 900), st.floats(0, 150)), max_size=60
)


@given(STEPS)
def test_nothing_is_lost_made_up_or_played_early(steps: list[tuple[str, int, float]]) -> None:
    playout, now, sent, echoed = CarrierPlayout(max_queued_bytes=2000), 0.0, [], []
    for number, (what, size, pause_ms) in enumerate(steps):
        now += pause_ms
        match what:
            case "media":
                playout.receive(now, bytes([number]) * size)
            case "mark":
                sent.append(str(number))
                echoed += playout.mark(now, str(number))
            case "clear":
                echoed += playout.clear(now)
            case "wait":
                echoed += playout.advance(now)
        accounted = playout.played_bytes + playout.cleared_bytes + playout.queued_bytes + playout.discarded_bytes
        assert accounted == playout.received_bytes
        assert all(each.end_ms <= now + 1e-3 for each in playout.segments)
        due = playout.next_mark_ms()
        assert due is None or due >= now - 0.125
    playout.advance(now + 10_000)
    assert playout.queued_bytes == 0
    assert [each.name for each in playout.echoes] == sent
    times = [each.at_ms for each in playout.echoes]
    assert times == sorted(times)
    assert all(a.end_ms <= b.start_ms + 1e-3 for a, b in zip(playout.segments, playout.segments[1:], strict=False))
