"""The timer, on a clock that the test sets."""

import asyncio

from structlog.testing import capture_logs

from media import metrics
from media.ticker import Lag, Ticker
from tests.support.waits import patience


class Hand:
    """A clock that is set by hand, in ms."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


def paced(hand: Hand, period: float = 20.0) -> tuple[Ticker, list[float]]:
    ticks: list[float] = []
    return Ticker(period, hand, ticks.append), ticks


def test_ticks_lie_on_a_grid_that_does_not_drift() -> None:
    hand = Hand()
    ticker, ticks = paced(hand)
    for late in (0.0, 3.0, 1.0, 7.0):
        hand.at = 1_020.0 + 20.0 * len(ticks) + late
        assert ticker.beat() == 20.0 - late
    assert ticks == [1_020.0, 1_043.0, 1_061.0, 1_087.0]


def test_a_timer_that_fires_early_does_not_tick() -> None:
    hand = Hand()
    ticker, ticks = paced(hand)
    hand.at = 1_019.5
    assert ticker.beat() == 0.5
    assert ticks == []


def test_missed_ticks_are_skipped_and_not_made_up() -> None:
    hand = Hand()
    ticker, ticks = paced(hand)
    hand.at = 1_130.0
    assert ticker.beat() == 10.0
    assert ticks == [1_130.0]
    hand.at = 1_140.0
    assert ticker.beat() == 20.0
    assert ticks == [1_130.0, 1_140.0]


def test_a_sweep_that_takes_longer_than_a_tick_does_not_starve_the_loop() -> None:
    hand = Hand()

    def slow(_: float) -> None:
        hand.at += 50.0

    ticker = Ticker(20.0, hand, slow)
    hand.at = 1_020.0
    assert ticker.beat() == 0.0
    assert ticker.beat() == 0.0
    assert hand.at == 1_120.0


def test_lag_is_the_worst_of_the_last_second() -> None:
    lag = Lag()
    for at, late in ((0, 5), (400, 80), (600, 2), (1_000, 1)):
        lag.add(late, at)
    assert lag.worst_ms == 80
    lag.add(3, 1_200)
    assert lag.worst_ms == 3
    lag.add(1, 9_000)
    assert lag.worst_ms == 1


def test_a_loop_that_hangs_lags_before_it_ticks_again() -> None:
    hand = Hand()
    ticker, _ = paced(hand)
    assert ticker.load.worst_ms <= 0
    hand.at = 1_100.0
    assert ticker.load.worst_ms == 80.0
    ticker.beat()
    assert ticker.load.worst_ms == 80.0


def test_what_is_usual_is_no_hiccup_and_counts_the_ticks_that_never_came() -> None:
    hand = Hand()
    ticker, _ = paced(hand)

    def pass_ms(ms: int, late_ms: float) -> None:
        until = hand.at + ms
        while hand.at < until:
            hand.at += ticker.beat() + late_ms

    pass_ms(6_000, 0.5)
    assert 0.3 < ticker.load.usual_ms < 0.7
    hand.at += 150
    ticker.beat()
    assert ticker.load.worst_ms > 120 and ticker.load.usual_ms < 10, "one stall of 150 ms"
    pass_ms(6_000, 70)
    assert ticker.load.usual_ms > 55, "three ticks of four are lost"
    pass_ms(9_000, 0.5)
    assert ticker.load.usual_ms < 5


def test_a_sweep_that_raises_ends_neither_its_tick_nor_the_ticker() -> None:
    hand, ticks = Hand(), []

    def sweep(now_ms: float) -> None:
        ticks.append(now_ms)
        if len(ticks) < 4:
            raise OSError(28, "No space left on device")

    ticker, failed = Ticker(20.0, hand, sweep), metrics.TICKS_FAILED._value.get()
    with capture_logs() as logged:
        for _ in range(5):
            hand.at += 20.0
            assert ticker.beat() == 20.0
    assert len(ticks) == 5
    assert metrics.TICKS_FAILED._value.get() - failed == 3
    assert len(logged) == 1, "not fifty a second"


async def test_a_sweep_that_raises_is_followed_by_the_next_on_the_loop() -> None:
    ticks = []
    loop = asyncio.get_running_loop()

    def sweep(_: float) -> None:
        ticks.append(loop.time())
        raise ZeroDivisionError

    ticker = Ticker(1.0, lambda: loop.time() * 1000, sweep)
    ticker.start()
    async with patience():
        while len(ticks) < 5:
            await asyncio.sleep(0.005)
    ticker.stop()


async def test_it_ticks_on_the_running_loop_until_it_is_stopped() -> None:
    ticked = asyncio.Event()
    loop = asyncio.get_running_loop()
    ticker = Ticker(1.0, lambda: loop.time() * 1000, lambda _: ticked.set())
    ticker.start()
    await asyncio.wait_for(ticked.wait(), 30)
    ticker.stop()
    assert ticker._timer is None
