from collections.abc import Iterable
from math import pi, sin
from random import Random

import pytest

from media.core.pitch import period


def pcm(samples: Iterable[float]) -> bytes:
    return b"".join(max(-32_768, min(32_767, round(each))).to_bytes(2, "little", signed=True) for each in samples)


def harmonics(hz: float, count: int = 10, peak: int = 5_000) -> bytes:
    return pcm(peak * sum(sin(2 * pi * hz * k * n / 8_000) / k for k in range(1, count + 1)) for n in range(480))


@pytest.mark.parametrize("hz", [48.5, 50, 60, 72, 85, 99.5, 120, 147.3, 180, 233, 301, 380])
@pytest.mark.parametrize("count", [1, 2, 10])
def test_the_shortest_period_is_told_between_samples(hz: float, count: int) -> None:
    assert period(harmonics(hz, count)) == pytest.approx(8_000 / hz, rel=0.01)


def test_a_tone_that_stands_still_has_one_period_and_one_that_glides_has_not() -> None:
    assert period(harmonics(150)) == pytest.approx(period(harmonics(151)), rel=0.01)
    assert abs(period(harmonics(150)) / period(harmonics(155)) - 1) > 0.02


@pytest.mark.parametrize("hz", [20, 30, 40])
def test_what_is_lower_than_the_mains_has_no_pitch(hz: int) -> None:
    assert period(harmonics(hz, 1)) == 0.0


def test_loudness_does_not_matter_but_a_beginning_does() -> None:
    assert period(harmonics(120, peak=30)) == pytest.approx(8_000 / 120, rel=0.03)
    assert period(bytes(640) + harmonics(120)[640:]) == 0.0  # nothing to compare with


def test_noise_and_silence_have_no_pitch() -> None:
    random = Random(4)
    for _ in range(50):
        assert period(pcm(random.gauss(0, 3_000) for _ in range(480))) == 0.0
    assert period(bytes(960)) == 0.0
