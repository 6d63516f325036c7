from math import pi, sin
from random import Random

from media.core.audio import from_linear, silence
from media.core.vad import BROKEN_FRAMES, RISE_FRAMES, STEADY_FRAMES, Vad, breaks, echo_gate_open

QUIET = [silence(20)] * (STEADY_FRAMES + RISE_FRAMES)


def noise(frames, peak, seed=1):
    random = Random(seed)
    for _ in range(frames):
        pcm = b"".join(int(random.gauss(0, peak)).to_bytes(2, "little", signed=True) for _ in range(160))
        yield from_linear(pcm)


def sung(ms, first_hz, last_hz, peak=6_000):
    """A sound with ten harmonics whose pitch goes from `first_hz` to `last_hz`."""
    pcm, phase, count = b"", 0.0, ms * 8
    for n in range(count):
        phase += 2 * pi * (first_hz + (last_hz - first_hz) * n / count) / 8_000
        pcm += round(peak * sum(sin(k * phase) / k for k in range(1, 11)) / 2).to_bytes(2, "little", signed=True)
    ulaw = from_linear(pcm)
    return [ulaw[at : at + 160] for at in range(0, len(ulaw), 160)]


def draw(vad, frames, audible=False):
    """One character per frame: '!' an onset, '#' voiced, '.' not."""
    told = (vad.caller_frame(frame, audible) for frame in frames)
    return "".join("!" if onset else "#" if voiced else "." for voiced, onset in told)


def test_three_voiced_frames_of_four_are_an_onset(make_voice):
    assert draw(Vad(), [silence(20)] * 5 + make_voice(200)) == ".....##!#######"


def test_an_onset_is_told_once_and_again_over_the_agent(make_voice):
    vad, frames = Vad(), make_voice(400)
    assert draw(vad, frames[:8]).count("!") == 1
    assert draw(vad, frames[8:12]).count("!") == 0
    assert draw(vad, frames[12:], audible=True).count("!") == 8


def test_a_click_is_no_onset(make_voice):
    assert "!" not in draw(Vad(), [silence(20)] * 5 + make_voice(40) + [silence(20)] * 20)


def test_steady_noise_becomes_the_floor(make_voice):
    vad = Vad()
    draw(vad, noise(500, 100))
    assert "#" not in draw(vad, noise(50, 100, seed=2))
    assert "!" in draw(vad, make_voice(200))


def test_speech_ends_with_silence_and_with_a_stream_that_stops(make_voice):
    vad = Vad()
    draw(vad, make_voice(200))
    assert vad.speaking
    draw(vad, [silence(20)] * 9)
    assert vad.speaking
    draw(vad, [silence(20)])
    assert not vad.speaking
    draw(vad, make_voice(200))
    vad.quiet(200)
    assert not vad.speaking


def test_frames_of_odd_lengths_are_judged_too():
    vad = Vad()
    assert [vad.caller_frame(frame, False) for frame in (b"", b"\x00", b"\x80" * 999)]


class Detector:
    def __init__(self, *probabilities):
        self.probabilities, self.calls = list(probabilities), []

    def __call__(self, audio, fresh):
        self.calls.append((len(audio), fresh))
        return self.probabilities.pop(0) if self.probabilities else 0.9


def test_the_detector_hears_candidates_only_and_only_over_the_agent(make_voice):
    detector = Detector(0.1, 0.2, 0.9)
    vad = Vad(detector)
    assert "!" in draw(vad, make_voice(100)) and detector.calls == []
    draw(vad, QUIET, audible=True)
    assert detector.calls == []
    assert draw(vad, make_voice(120), audible=True) == "##..!!"  # a frame that is not speech is not voiced
    assert detector.calls == [(16 * 160, True), (160, False), (160, False)]


def after(line, sound, *probabilities):
    """The verdict on each frame of `sound`, which follows `line` while the agent speaks."""
    detector = Detector(*[0.0] * len(line))
    vad = Vad(detector)
    draw(vad, line, audible=True)
    detector.probabilities = list(probabilities)
    return draw(vad, sound, audible=True)


def test_what_breaks_a_silence_stops_the_agent_on_less_and_is_a_voice_only_later(make_voice):
    vad = Vad(Detector(0.4, 0.5, 0.6, 0.3, 0.95))
    draw(vad, QUIET, audible=True)
    told = [vad.caller_frame(frame, True) for frame in make_voice(140)]
    assert told == [
        (True, False),
        (True, False),
        (False, False),
        (False, False),
        (False, True),
        (False, False),
        (True, True),
    ]


def test_it_may_break_a_steady_noise_as_well(make_voice):
    line = list(noise(400, 300))
    assert after(line, make_voice(140, peak=4_000), *[0.5] * 9) == "##..!!!"
    assert "!" not in after(line, make_voice(300, peak=4_000), *[0.45] * 20)


def test_what_breaks_nothing_must_be_sure_for_two_frames(make_voice):
    line = [frame for n in range(30) for frame in noise(4, 100 if n % 2 else 1_000, seed=n)]
    assert "!" not in after(line, make_voice(300), *[0.85] * 20)
    assert after(line, make_voice(180), 0.95, 0.8, 0.95, 0.8, 0.95, 0.92)[:6] == "#.#.#!"


def test_a_sound_that_has_gone_on_breaks_nothing_any_more(make_voice):
    sound = make_voice((BROKEN_FRAMES + 12) * 20)
    assert "!" not in after(QUIET, sound, *[0.1] * BROKEN_FRAMES, *[0.8] * 20)
    assert "!" in after(QUIET, sound, *[0.1] * (BROKEN_FRAMES - 6), *[0.8] * 20)


def test_a_silence_that_was_broken_before_the_candidate_began_is_broken(make_voice):
    sound = make_voice(20) + [silence(20)] * 5 + make_voice(120)
    assert after(QUIET, sound, *[0.55] * 9) == "#.....##..!!"


def hiss(frames, sign=1, peak=1_500, seed=4):
    """Noise that rises with the frequency, as an s does; falls with it where the sign is -1."""
    random, last, pcm = Random(seed), 0.0, b""
    for _ in range(frames * 160):
        last, before = random.gauss(0, peak), last
        pcm += max(-32_768, min(32_767, round(last - sign * before))).to_bytes(2, "little", signed=True)
    ulaw = from_linear(pcm)
    return [ulaw[at : at + 160] for at in range(0, len(ulaw), 160)]


def test_a_word_that_begins_with_an_s_stops_the_agent_before_its_voice():
    assert after(QUIET, hiss(8), *[0.05] * 20).find("!") in (2, 3)
    assert "!" not in after(QUIET, hiss(8, sign=-1), *[0.05] * 20), "a cough"
    assert "!" not in after(QUIET, [*hiss(1), silence(20)] * 4, *[0.05] * 20), "clicks"


def test_after_a_breath_the_first_frame_of_a_voice_stops_the_agent():
    """As in a word that begins with t or k, in whose voice the model is not sure at once."""
    breath, voice = list(noise(4, 300)), sung(60, 120, 120)
    assert after(QUIET, breath + voice, 0.1, 0.1, 0.65, 0.95) == "##..!!!"
    assert after(QUIET, breath + voice, 0.1, 0.1, 0.55, 0.95) == "##...!!"
    assert after(QUIET, sung(80, 120, 120) + voice, 0.1, 0.1, 0.65, 0.95) == "##...!!", "without one"


def test_a_hiss_that_breaks_nothing_stops_nobody():
    line = [frame for n in range(30) for frame in noise(4, 100 if n % 2 else 1_000, seed=n)]
    assert "!" not in after(line, hiss(8), *[0.05] * 20)


def test_after_a_pause_in_a_candidate_one_frame_of_voice_is_enough(make_voice):
    sound = make_voice(60) + [silence(20)] * 5 + make_voice(60)
    assert after(QUIET, sound, 0.1, 0.95, 0.95).find("!") == 8
    assert "!" not in after(QUIET, sound, 0.1, 0.2, 0.2, 0.2)


def test_a_pitch_that_stands_still_must_be_sure():
    tone = sung(300, 150, 150)
    assert "!" not in after(QUIET, tone, *[0.8] * 20)
    assert after(QUIET, tone, 0.8, 0.8, 0.8, 0.95)[:6] == "##...!"


def test_a_pitch_that_has_moved_needs_less():
    assert after(QUIET, sung(300, 150, 250), *[0.35] * 20).count("!") >= 10
    assert "!" not in after(QUIET, sung(300, 150, 250), *[0.05] * 20)
    assert "!" not in after(QUIET, sung(300, 150, 150), *[0.35] * 20)


def test_a_pitch_that_has_moved_for_long_needs_least(make_voice):
    told = after(QUIET, sung(300, 150, 250), *[0.15] * 20)
    assert "!" in told
    assert told.index("!") > after(QUIET, sung(300, 150, 250), *[0.35] * 20).index("!")
    assert "!" not in after(QUIET, make_voice(300), *[0.15] * 20)


def test_another_note_is_no_movement():
    notes = [frame for hz in (120, 160, 215, 290) for frame in sung(60, hz, hz)]
    assert "!" not in after(QUIET, notes, *[0.35] * 20)


def test_steady_is_what_stayed_and_broken_what_is_louder_than_all_of_it():
    def broke(*levels_db):
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


def test_speech_that_was_believed_is_judged_a_few_frames_at_a_time(make_voice):
    detector = Detector(0.95, 0.95, 0.0, 0.0, 0.0)
    vad = Vad(detector)
    draw(vad, QUIET, audible=True)
    assert draw(vad, make_voice(300), audible=True) == "##!!!!!!!!!!!.."  # the average outlasts it by a frame
    assert detector.calls == [(16 * 160, True), (800, False), (800, False), (160, False), (160, False)]


def test_frames_without_a_voice_wait_for_one(make_voice):
    detector = Detector(*[0.1] * 9)
    vad = Vad(detector)
    draw(vad, [silence(20)] * 20, audible=True)
    draw(vad, make_voice(60), audible=True)
    draw(vad, [silence(20)] * 5, audible=True)
    assert len(detector.calls) == 1
    draw(vad, make_voice(20, seed=8), audible=True)
    assert detector.calls[1:] == [(6 * 160, False)]


def test_the_detector_starts_afresh_after_a_candidate(make_voice):
    detector = Detector()
    vad = Vad(detector)
    for _ in range(2):
        draw(vad, make_voice(100) + [silence(20)] * 15, audible=True)
    assert [fresh for _, fresh in detector.calls].count(True) == 2


def test_the_agents_own_echo_does_not_open_the_gate():
    assert not echo_gate_open(-40.0, -20.0)
    assert echo_gate_open(-28.0, -20.0)
    assert echo_gate_open(-60.0, -96.0)
