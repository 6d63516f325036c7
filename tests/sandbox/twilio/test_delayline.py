from hypothesis import given
from hypothesis import strategies as st

from sandbox.twilio.delayline import DelayLine


def test_a_message_arrives_after_the_delay_and_not_before() -> None:
    line: DelayLine[str] = DelayLine(delay_ms=80)
    line.send(10, "a")
    assert line.next_ms() == 90
    assert line.arrived(89.9) == []
    assert line.arrived(95) == [(90, "a")]
    assert line.next_ms() is None


@given(st.lists(st.floats(0, 30), max_size=50), st.integers(0, 9))
def test_jitter_never_reorders_and_stays_in_its_bounds(pauses: list[float], seed: int) -> None:
    line: DelayLine[int] = DelayLine(delay_ms=50, jitter_ms=40, seed=seed)
    sent, now = [], 0.0
    for number, pause in enumerate(pauses):
        now += pause
        sent.append(now)
        line.send(now, number)
    arrived = line.arrived(now + 90)
    assert [item for _, item in arrived] == list(range(len(pauses)))
    assert all(50 <= at - sent[item] <= 90 + 1e-6 for at, item in arrived)


def test_the_seed_decides() -> None:
    def arrivals(seed: int) -> list[tuple[float, int]]:
        line: DelayLine[int] = DelayLine(jitter_ms=40, seed=seed)
        for number in range(5):
            line.send(number * 20, number)
        return line.arrived(1000)

    assert arrivals(1) == arrivals(1) != arrivals(2)
