from random import Random

from media.core.audio import from_linear, silence
from media.core.vad import Vad, echo_gate_open


def noise(frames, peak, seed=1):
    random = Random(seed)
    for _ in range(frames):
        pcm = b"".join(int(random.gauss(0, peak)).to_bytes(2, "little", signed=True) for _ in range(160))
        yield from_linear(pcm)


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
    detector = Detector(0.1, 0.5, 0.9)
    vad = Vad(detector)
    assert "!" in draw(vad, make_voice(100)) and detector.calls == []
    draw(vad, [silence(20)] * 20, audible=True)
    assert detector.calls == []
    assert draw(vad, make_voice(120), audible=True) == "##..!!"  # a frame that is no speech is not voiced
    assert detector.calls == [(16 * 160, True), (160, False), (160, False)]


def test_a_sound_that_breaks_a_silence_stops_the_agent_on_less_and_is_a_voice_only_later(make_voice):
    vad = Vad(Detector(0.6, 0.7, 0.7, 0.5, 0.95))
    draw(vad, [silence(20)] * 20, audible=True)
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


def test_a_sound_that_only_rises_a_little_must_be_sure(make_voice):
    vad = Vad(Detector(*[0.7] * 20))
    draw(vad, noise(400, 300), audible=True)
    assert "!" not in draw(vad, make_voice(300, peak=2_000), audible=True)


def test_speech_that_was_believed_is_judged_a_few_frames_at_a_time(make_voice):
    detector = Detector(0.95, 0.95, 0.0, 0.0, 0.0)
    vad = Vad(detector)
    draw(vad, [silence(20)] * 20, audible=True)
    assert draw(vad, make_voice(300), audible=True) == "##!!!!!!!!!!..."
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
