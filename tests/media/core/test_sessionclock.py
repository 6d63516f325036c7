"""Where on the call's clock the server heard something, which counts only the audio that it was sent."""

from media.core.sessionclock import MOST_ANCHORS, SessionClock

FRAME = 160


def heard(*at_ms: int) -> SessionClock:
    clock = SessionClock()
    for each in at_ms:
        clock.add(FRAME, each)
    return clock


def test_before_any_audio_they_are_the_same() -> None:
    assert SessionClock().call_ms(40) == 40


def test_without_a_gap_they_differ_by_where_the_session_began() -> None:
    clock = heard(500, 520, 540)
    assert [clock.call_ms(at) for at in (0, 30, 60, 1_000)] == [500, 530, 560, 1_500]


def test_after_a_gap_the_difference_is_another_and_before_it_the_same_as_ever() -> None:
    clock = heard(0, 20, 5_040, 5_060, 5_080)
    assert [clock.call_ms(at) for at in (0, 39, 40, 60, 100)] == [0, 39, 5_040, 5_060, 5_100]


def test_a_carriers_clock_that_is_set_back_is_followed() -> None:
    assert heard(6_000, 6_020, 0, 20).call_ms(60) == 20


def test_uneven_timestamps_are_no_gap_until_they_add_up() -> None:
    clock = heard(0, 25, 38, 60)
    assert clock.call_ms(70) == 70
    for at_ms in range(80, 800, 21):
        clock.add(FRAME, at_ms)
    assert abs(clock.call_ms(80 + 35 * 20) - (80 + 35 * 21)) <= 20


def test_of_very_many_gaps_the_latest_are_known() -> None:
    clock = heard(*(n * 100 for n in range(2 * MOST_ANCHORS)))
    assert clock.call_ms((2 * MOST_ANCHORS - 1) * 20) == (2 * MOST_ANCHORS - 1) * 100
    assert clock.call_ms(0) == MOST_ANCHORS * 100 - MOST_ANCHORS * 20


def test_another_session_hears_again_what_the_last_one_missed_gaps_included() -> None:
    clock = heard(0, 20, 5_000, 5_020)
    clock.restart(3 * FRAME)
    clock.add(FRAME, 9_000)
    assert [clock.call_ms(at) for at in (0, 19, 20, 59, 60, 70)] == [20, 39, 5_000, 5_039, 9_000, 9_010]
    clock.restart(0)
    clock.add(FRAME, 12_000)
    assert clock.call_ms(10) == 12_010
