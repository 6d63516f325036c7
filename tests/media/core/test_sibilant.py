from math import pi, sin
from random import Random

import pytest

from media.core.onsetdetector import HISSED
from media.core.sibilant import breath, hiss


def pcm(samples: list[float]) -> bytes:
    return b"".join(max(-32_768, min(32_767, round(each))).to_bytes(2, "little", signed=True) for each in samples)


def noise(peak: int = 3_000, seed: int = 1, count: int = 162) -> list[float]:
    random = Random(seed)
    return [random.gauss(0, peak) for _ in range(count)]


def an_s(seed: int) -> list[float]:
    """Noise whose level rises by 12 dB per octave, as that of an s does."""
    sound = noise(seed=seed)
    return [sound[n] - 2 * sound[n - 1] + sound[n - 2] for n in range(2, 162)]


def a_sharp_s(seed: int) -> list[float]:
    """The same three times over: nearly all of it is above 3 kHz."""
    sound = noise(peak=600, seed=seed, count=166)
    for _ in range(3):
        sound = [sound[n] - 2 * sound[n - 1] + sound[n - 2] for n in range(2, len(sound))]
    return sound


def tones(*hertz: float) -> list[float]:
    return [sum(8_000 * sin(2 * pi * hz * n / 8_000) for hz in hertz) for n in range(160)]


@pytest.mark.parametrize("seed", range(20))
def test_an_s_hisses(seed: int) -> None:
    assert 0.3 < hiss(pcm(an_s(seed))) <= 0.5


@pytest.mark.parametrize("seed", range(20))
def test_a_sharp_s_hisses_most(seed: int) -> None:
    assert 0.45 < hiss(pcm(a_sharp_s(seed))) <= 0.5


def test_a_tone_does_not_in_louder_noise_either() -> None:
    loud = [noise(1_600, seed, 160) for seed in range(100)]  # 11 dB below the tone
    told = [hiss(pcm([tone + each for tone, each in zip(tones(2_900), line, strict=True)])) for line in loud]
    assert sum(map(bool, told)) == 0


def test_breath_is_noise_above_a_voice() -> None:
    assert breath(pcm(an_s(1))) and breath(pcm(noise(count=160)))
    assert not breath(pcm(tones(150, 300, 450, 600, 900)))
    assert not breath(b"")


def test_white_noise_hardly_does() -> None:
    told = [hiss(pcm(noise(seed=seed, count=160))) for seed in range(300)]
    in_a_row = [0.0]
    for each in told:
        in_a_row.append(in_a_row[-1] + each if each else 0.0)
    assert max(told) < 0.25
    assert max(in_a_row) < HISSED


@pytest.mark.parametrize("hertz", [(2_100,), (2_900,), (3_400,), (2_100, 2_750), (1_633, 2_800), (150, 3_000)])
def test_a_tone_does_not(hertz: tuple[float, ...]) -> None:
    assert not hiss(pcm(tones(*hertz)))
    assert not hiss(pcm([tone + faint for tone, faint in zip(tones(*hertz), noise(800, count=160), strict=True)]))


def test_a_voice_and_silence_do_not() -> None:
    assert not hiss(pcm(tones(150, 300, 450, 600, 900)))
    assert not hiss(bytes(320))
    assert not hiss(b"")
