"""Hearing a caller over the agent, frame by frame; the detector's probabilities are given."""

from collections.abc import Callable, Iterator
from math import pi, sin
from random import Random

import pytest

from media.core.audio import from_linear, silence, to_linear
from media.core.onsetdetector import (
    BROKEN_FRAMES,
    DEAF_FRAMES,
    OTHERWISE_FRAMES,
    RISE_FRAMES,
    STEADY_FRAMES,
    breaks,
    glides,
    has_moved,
    is_tone,
    leaps,
)
from media.core.vad import Vad

HISTORY = 32 * 160
QUIET = [silence(20)] * (STEADY_FRAMES + RISE_FRAMES)


def noise(frames: int, peak: int, seed: int = 1) -> Iterator[bytes]:
    random = Random(seed)
    for _ in range(frames):
        pcm = b"".join(int(random.gauss(0, peak)).to_bytes(2, "little", signed=True) for _ in range(160))
        yield from_linear(pcm)


def sung(ms: int, first_hz: int, last_hz: int, peak: int = 6_000, open_mouth: bool = False) -> list[bytes]:
    """A sound with ten harmonics whose pitch goes from `first_hz` to `last_hz`; of an open mouth, the higher ones are heard."""
    pcm, phase, count = b"", 0.0, ms * 8
    for n in range(count):
        phase += 2 * pi * (first_hz + (last_hz - first_hz) * n / count) / 8_000
        pcm += round(peak * sum(sin(k * phase) / (1 if open_mouth else k) for k in range(1, 11)) / 2).to_bytes(
            2, "little", signed=True
        )
    ulaw = from_linear(pcm)
    return [ulaw[at : at + 160] for at in range(0, len(ulaw), 160)]


class Detector:
    def __init__(self, *probabilities: float) -> None:
        self.probabilities = list(probabilities)
        self.calls: list[tuple[int, bool]] = []

    def __call__(self, audio: bytes, fresh: bool) -> float:
        self.calls.append((len(audio), fresh))
        return self.probabilities.pop(0) if self.probabilities else 0.95


def draw(vad: Vad, frames: list[bytes]) -> str:
    """One character per frame over the agent: '!' an onset, '#' voiced, '.' not."""
    told = (vad.caller_frame(frame, True) for frame in frames)
    return "".join("!" if onset else "#" if voiced else "." for voiced, onset in told)


def after(line: list[bytes], sound: list[bytes], *probabilities: float) -> str:
    """The verdict on each frame of `sound`, which follows `line`."""
    detector = Detector(*[0.0] * len(line))
    vad = Vad(detector)
    draw(vad, line)
    detector.probabilities = list(probabilities)
    return draw(vad, sound)


def restless() -> list[bytes]:
    """A line whose level is never steady, so that nothing breaks it."""
    return [frame for n in range(30) for frame in noise(4, 500 if n % 2 else 5_000, seed=n)]


def test_the_first_voiced_frame_that_breaks_a_silence_is_an_onset(make_voice: Callable[..., list[bytes]]) -> None:
    assert after(QUIET, make_voice(100), 0.55, 0.95) == "..!!!"


def test_a_sounds_first_frame_goes_to_the_detector_with_the_second(make_voice: Callable[..., list[bytes]]) -> None:
    assert after(QUIET, make_voice(60), 0.99) == ".!!"
    click = Detector()
    draw(Vad(click), QUIET + make_voice(20) + QUIET)
    assert click.calls == []


def test_who_is_believed_goes_on_with_less(make_voice: Callable[..., list[bytes]]) -> None:
    assert after(QUIET, make_voice(300), 0.95, 0.8, 0.8) == "." + "!" * 14
    assert after(QUIET, make_voice(160), 0.95, 0.7, 0.5) == ".!!!!!.."


def test_where_nothing_was_broken_it_takes_two(make_voice: Callable[..., list[bytes]]) -> None:
    assert after(restless(), make_voice(100), 0.95, 0.85, 0.95, 0.95) == "#.#!!"


def test_a_voice_that_leaps_out_of_what_was_never_steady_needs_one_frame(
    make_voice: Callable[..., list[bytes]],
) -> None:
    """As after a breath, or on a line whose noise has just set in."""
    breath = [*noise(5, 60), *noise(5, 200, seed=2)] * 3
    assert after(breath, make_voice(60), 0.1, 0.95, 0.1) == ".!!"
    assert after([*noise(5, 1_500), *noise(5, 5_000, seed=2)] * 3, make_voice(60), 0.1, 0.95, 0.1) == ".#."


def test_a_sound_that_has_gone_on_breaks_nothing_any_more(make_voice: Callable[..., list[bytes]]) -> None:
    assert after(restless(), make_voice(40), 0.99) == "!!"
    sound = make_voice((BROKEN_FRAMES + 8) * 20)
    assert after(QUIET, sound, *[0.1] * (BROKEN_FRAMES + 1), 0.95, 0.1, *[0.1] * 20).count("!") == 0
    assert after(QUIET, sound, *[0.1] * (BROKEN_FRAMES - 1), 0.95, *[0.1] * 20).count("!") >= 1


def test_the_detector_starts_afresh_with_each_sound_and_hears_all_of_it(make_voice: Callable[..., list[bytes]]) -> None:
    detector = Detector(*[0.1] * 20)
    vad = Vad(detector)
    draw(vad, QUIET + QUIET)
    assert detector.calls == []
    draw(vad, make_voice(60) + [silence(20)] * 5 + make_voice(20))
    assert detector.calls == [(HISTORY, True), (160, False), (6 * 160, False)]
    draw(vad, [silence(20)] * 20 + make_voice(40))
    assert detector.calls[3:] == [(HISTORY, True)]


def test_a_sound_that_began_before_the_agent_spoke_is_heard_with_its_history(
    make_voice: Callable[..., list[bytes]],
) -> None:
    detector = Detector()
    vad = Vad(detector)
    for frame in QUIET + make_voice(400):
        vad.caller_frame(frame, False)
    assert detector.calls == []
    assert "!" in draw(vad, make_voice(60))
    assert detector.calls[0] == (HISTORY, True)


def test_what_is_believed_is_judged_five_frames_at_a_time(make_voice: Callable[..., list[bytes]]) -> None:
    detector = Detector(0.95, 0.95, 0.0, 0.0)
    vad = Vad(detector)
    draw(vad, QUIET + QUIET)
    assert draw(vad, make_voice(260)) == ".!!!!!!!!!!.."
    assert detector.calls == [(HISTORY, True), (800, False), (800, False), (160, False)]


def test_a_detector_that_heard_nothing_for_a_second_starts_afresh_when_it_swells() -> None:
    detector = Detector(*[0.05] * 400)
    vad = Vad(detector)
    music = list(noise(DEAF_FRAMES + 20, 800))
    draw(vad, QUIET + music)
    before = [fresh for _, fresh in detector.calls].count(True)
    draw(vad, list(noise(1, 800, seed=5)))
    assert [fresh for _, fresh in detector.calls].count(True) == before
    draw(vad, list(noise(3, 5_000)))
    assert [fresh for _, fresh in detector.calls].count(True) == before + 1


def test_less_is_enough_after_a_break_once_the_pitch_has_moved(make_voice: Callable[..., list[bytes]]) -> None:
    assert after(QUIET, sung(300, 150, 250), *[0.55] * 20).count("!") >= 10
    assert "!" not in after(QUIET, sung(300, 150, 152), *[0.45] * 20), "it has hardly moved"
    assert "!" not in after(QUIET, make_voice(300), *[0.55] * 20), "it has no pitch"
    assert "!" not in after(restless(), sung(300, 150, 250), *[0.85] * 20), "it breaks nothing"


@pytest.mark.parametrize("hz", [50, 60, 100, 150, 320])
def test_a_tone_or_a_hum_is_no_voice_however_sure_the_detector_is(hz: int) -> None:
    told = after(QUIET, sung(600, hz, hz), *[0.3, 0.6], *[0.97] * 40)
    assert told.strip(".") == ""


def test_another_note_is_no_movement() -> None:
    notes = [frame for hz in (120, 160, 215, 290) for frame in sung(60, hz, hz)]
    assert "!" not in after(QUIET, notes, *[0.6] * 20)


def test_an_onset_waits_for_a_second_pitch_and_not_for_more() -> None:
    told = after(QUIET, sung(200, 120, 160), 0.4, 0.4, *[0.95] * 20)
    assert told.index("!") <= 4


def hiss(frames: int, sign: int = 1, peak: int = 1_500, seed: int = 4) -> list[bytes]:
    """Noise that rises with the frequency, as an s does; falls with it where the sign is -1."""
    random, last, pcm = Random(seed), 0.0, b""
    for _ in range(frames * 160):
        last, before = random.gauss(0, peak), last
        pcm += max(-32_768, min(32_767, round(last - sign * before))).to_bytes(2, "little", signed=True)
    ulaw = from_linear(pcm)
    return [ulaw[at : at + 160] for at in range(0, len(ulaw), 160)]


def test_a_word_that_begins_with_an_s_stops_the_agent_before_its_voice() -> None:
    assert after(QUIET, hiss(8), *[0.05] * 20).find("!") in (1, 2, 3)
    assert "!" not in after(QUIET, hiss(8, sign=-1), *[0.05] * 20), "a cough"
    assert "!" not in after(QUIET, [*hiss(1), silence(20)] * 4, *[0.05] * 20), "clicks"
    assert "!" not in after(restless(), hiss(8), *[0.05] * 20), "it breaks nothing"


def test_after_a_breath_the_first_frame_of_a_voice_stops_the_agent(make_voice: Callable[..., list[bytes]]) -> None:
    """As in a word that begins with t or k, in whose voice the detector is not sure at once."""
    breath, voice = list(noise(4, 300)), make_voice(60)
    assert after(QUIET, breath + voice, 0.1, 0.1, 0.1, 0.65, 0.95) == "....!!!"
    assert after(QUIET, breath + voice, 0.1, 0.1, 0.1, 0.55, 0.95) == ".....!!"


def test_a_pitch_that_glides_is_a_voice_before_the_detector_knows_it() -> None:
    """As in words that begin with m, in which the detector hears nothing for 200 ms."""
    told = after(QUIET, sung(300, 150, 200, open_mouth=True, peak=2_000), *[0.15] * 20)
    assert told.index("!") in (3, 4, 5) and told.count("!") >= 5
    assert "!" not in after(QUIET, sung(300, 150, 200, open_mouth=True, peak=2_000), *[0.05] * 20)
    assert "!" not in after(QUIET, sung(300, 150, 152, open_mouth=True, peak=2_000), *[0.15] * 20), "it stands still"
    assert "!" not in after(QUIET, sung(300, 150, 200), *[0.15] * 20), "like a sine, it has hardly a harmonic"


def test_a_pitch_that_begins_late_is_no_tones() -> None:
    consonant = list(noise(4, 300))
    told = after(QUIET, consonant + sung(100, 150, 151), *[0.1] * 3, *[0.95] * 9)
    at_once = after(QUIET, sung(100, 150, 151), *[0.95] * 9)
    assert told.count("!") >= 3 and "!" not in at_once


def test_the_pitch_of_a_tone_stands_still_and_that_of_a_voice_moves() -> None:
    assert is_tone([0.0, 0.0, 0.0, 80.0])
    assert is_tone([0.0, 0.0, 80.0, 80.1])
    assert is_tone([80.0, 80.4, 80.0, 80.5])
    assert not is_tone([80.0, 80.4, 82.0, 82.3])
    assert not is_tone([80.0, 80.0, 80.0, 0.0])
    assert not is_tone([0.0, 0.0, 80.0, 82.0])
    assert is_tone([80.0, 80.4, 0.0, 160.1]) and is_tone([80.0, 80.4, 0.0, 40.1]), "an octave is the same note"
    assert (
        glides([80.0, 81.5, 83.0, 85.0])
        and not glides([80.0, 80.1, 83.0, 85.0])
        and not glides([0.0, 81.0, 83.0, 85.0])
    )
    assert has_moved([0.0, 80.0, 82.0, 0.0])
    assert not has_moved([80.0, 0.0, 82.0, 120.0])


def test_steady_is_what_stayed_and_broken_what_is_louder_than_all_of_it() -> None:
    def broke(*levels_db: float) -> bool:
        return breaks([*levels_db, -10.0], len(levels_db) - 1)  # later frames are not examined

    line = [-40.0 + (n + 1) % 5 for n in range(STEADY_FRAMES)]  # up to -36
    rise = [-36.0] * RISE_FRAMES
    assert broke(*line, *rise, -32.0)
    assert not broke(*line, *rise, -34.0)
    assert broke(*line, -36.0, -30.0, -20.0, -20.0)  # it may rise slowly
    assert not broke(*line, *[-20.0] * (RISE_FRAMES + 2))  # and has broken it once
    assert not broke(-46.0, *line[1:], *rise, -20.0)  # was not steady
    assert not broke(-20.0, *line[1:], *rise, -18.0)
    assert not broke(*line[1:], *rise, -20.0)  # not for long enough
    soft = [-96.0, -70.0] * 20 + [-96.0] * RISE_FRAMES
    assert broke(*soft, -60.0)  # so soft that it does not matter
    assert not broke(*soft, -64.0)


def test_a_leap_is_far_above_the_last_half_second() -> None:
    line = [-40.0, -60.0] * 13
    assert leaps([*line, -30.0, -20.0, -10.0, -25.0]) and not leaps([*line, -30.0, -20.0, -10.0, -29.0])
    assert not leaps([*line, *[-20.0] * 5]), "it has lasted"
    assert not leaps([*line[6:], -30.0, -20.0, -10.0, -25.0]), "not known for so long"


def test_over_music_a_voice_takes_three_frames_wherever_it_begins(make_voice: Callable[..., list[bytes]]) -> None:
    """A chord that breaks quiet notes is as likely as a voice, once or twice."""
    notes = list(noise(25, 1_000)) + list(noise(28, 20))  # loud for half a second, and steady for as long
    line = notes * (3 * OTHERWISE_FRAMES // len(notes)) + list(noise(10, 20))
    chord = sung(120, 180, 150, open_mouth=True)
    assert "!" not in after(line, chord, 0.95, 0.95, 0.5, 0.5, 0.5)
    assert after(line, chord, 0.95, 0.95, 0.95, 0.95, 0.95).index("!") == 3


def test_who_spoke_for_long_is_no_music(make_voice: Callable[..., list[bytes]]) -> None:
    line = make_voice(8_000) + QUIET
    assert after(line[-100:], make_voice(100), 0.55, 0.95) == "..!!!"
    detector = Detector(*[0.95] * 1_000)
    vad = Vad(detector)
    draw(vad, line)
    detector.probabilities = [0.55, 0.95]
    assert draw(vad, make_voice(100)) == "..!!!"


def test_in_noise_a_pitch_that_trembles_by_it_stands_still() -> None:
    trembling = [0.0, 66.3, 67.1, 65.9]  # a hum of 120 Hz, 10 dB over noise
    assert not is_tone(trembling) and is_tone(trembling, noisy=True)
    assert not is_tone([66.3, 63.0, 60.1, 57.2], noisy=True)  # a voice
    lost, tripled = [80.4, 80.1, 80.2, 0.0], [0.0, 0.0, 39.6, 119.7]
    assert is_tone(lost, noisy=True) and not is_tone(lost), "the noise hides a period, and a voice ends with breath"
    assert is_tone(tripled, noisy=True)
    assert not is_tone([66.3, 63.0, 60.1, 0.0], noisy=True)
    trembles = [78.9, 81.1, 79.2, 81.3]
    assert glides(trembles) and not glides(trembles, noisy=True)
    assert glides([85.0, 83.0, 81.5, 80.0], noisy=True)


@pytest.mark.parametrize("hz", [120, 150, 180])
def test_a_hum_in_noise_is_no_voice_however_sure_the_detector_is(hz: int) -> None:
    hum, line = sung(300, hz, hz, peak=2_400), list(noise(400, 400, seed=2))
    both = [mixed(a, b) for a, b in zip(hum, noise(len(hum), 400, seed=3), strict=True)]
    assert "!" not in after(line, both, *[0.95] * len(hum))


def mixed(one: bytes, other: bytes) -> bytes:
    samples = [memoryview(to_linear(each)).cast("h") for each in (one, other)]
    return from_linear(b"".join((a + b).to_bytes(2, "little", signed=True) for a, b in zip(*samples, strict=True)))


def test_an_onset_has_its_reason(make_voice: Callable[..., list[bytes]]) -> None:
    def why(sound: list[bytes], *probabilities: float) -> str:
        vad = Vad(Detector(*probabilities))
        assert any(vad.caller_frame(frame, True)[1] for frame in QUIET + sound)
        return vad.why

    assert why(make_voice(100), 0.95) == "voice"
    assert why(sung(300, 150, 250), *[0.55] * 20) == "pitch"
    assert why(list(noise(4, 300)) + make_voice(60), 0.1, 0.1, 0.1, 0.65) == "breath"
    assert why(hiss(8), *[0.05] * 20) == "hiss"
