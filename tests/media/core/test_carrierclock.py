from random import Random

import pytest

from media.core.carrierclock import WINDOW_MS, CarrierClock, WindowedMin


def test_a_window_forgets_what_is_old() -> None:
    least = WindowedMin()
    least.add(1.0, 0)
    least.add(5.0, WINDOW_MS + 1)
    assert least.value == 1.0
    least.add(6.0, 2 * WINDOW_MS + 3)
    assert least.value == 5.0


@pytest.mark.parametrize("count", [20, 200])
def test_the_delay_is_told_from_the_jitter(count: int) -> None:
    errors = []
    for seed in range(50):
        random, clock = Random(seed), CarrierClock(40.0)
        for n in range(count):
            clock.round_trip(160.0 + random.uniform(0, 40) + random.uniform(0, 40), 100.0 * n)
        errors.append(clock.one_way_ms - 80.0)
    assert abs(sum(errors) / 50) < 2.0
    assert max(map(abs, errors)) < 12.0  # with round trips that are 0 to 80 ms late


def test_the_clock_learns_delay_from_marks_and_the_call_clock_from_frames() -> None:
    clock = CarrierClock(40.0)
    assert clock.call_ms(123.0) == 0
    for now in range(1_000, 2_000, 100):
        clock.round_trip(160.0, now)
        clock.caller_frame(now - 1_000, now + 80)
    assert (clock.one_way_ms, clock.jitter_ms) == (80.0, 0.0)
    assert clock.call_ms(1_500.0) == 500
    assert clock.emitted_between(2_010.0) == (900.0, 920.0)  # the carrier's own time
