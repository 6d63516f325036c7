from collections.abc import Callable, Iterable, Iterator
from random import Random

from media.core.audio import from_linear, silence
from media.core.vad import Vad


def noise(frames: int, peak: int, seed: int = 1) -> Iterator[bytes]:
    random = Random(seed)
    for _ in range(frames):
        pcm = b"".join(int(random.gauss(0, peak)).to_bytes(2, "little", signed=True) for _ in range(160))
        yield from_linear(pcm)


def draw(vad: Vad, frames: Iterable[bytes], audible: bool = False) -> str:
    """One character per frame: '!' an onset, '#' voiced, '.' not."""
    told = (vad.caller_frame(frame, audible) for frame in frames)
    return "".join("!" if onset else "#" if voiced else "." for voiced, onset in told)


def test_three_voiced_frames_of_four_are_an_onset(make_voice: Callable[..., list[bytes]]) -> None:
    assert draw(Vad(), [silence(20)] * 5 + make_voice(200)) == ".....##!#######"


def test_an_onset_is_told_once_and_again_over_the_agent(make_voice: Callable[..., list[bytes]]) -> None:
    vad, frames = Vad(), make_voice(400)
    assert draw(vad, frames[:8]).count("!") == 1
    assert draw(vad, frames[8:12]).count("!") == 0
    assert draw(vad, frames[12:], audible=True).count("!") == 8


def test_a_click_is_no_onset(make_voice: Callable[..., list[bytes]]) -> None:
    assert "!" not in draw(Vad(), [silence(20)] * 5 + make_voice(40) + [silence(20)] * 20)


def test_steady_noise_becomes_the_floor(make_voice: Callable[..., list[bytes]]) -> None:
    vad = Vad()
    draw(vad, noise(500, 100))
    assert "#" not in draw(vad, noise(50, 100, seed=2))
    assert "!" in draw(vad, make_voice(200))


def test_speech_ends_with_silence_and_with_a_stream_that_stops(make_voice: Callable[..., list[bytes]]) -> None:
    vad = Vad()
    speaking = list[bool]()
    for frames in (make_voice(200), [silence(20)] * 9, [silence(20)], make_voice(200)):
        draw(vad, frames)
        speaking.append(vad.speaking)
    vad.quiet(200)
    assert [*speaking, vad.speaking] == [True, True, False, True, False]


def test_frames_of_odd_lengths_are_judged_too() -> None:
    vad = Vad()
    assert [vad.caller_frame(frame, False) for frame in (b"", b"\x00", b"\x80" * 999)]


def test_the_level_and_the_loud_frames_in_a_row_are_known(make_voice: Callable[..., list[bytes]]) -> None:
    vad = Vad()
    draw(vad, [silence(20)] * 5 + make_voice(60))
    assert vad.loud_frames == 3 and -20 < vad.level_db < -10
    draw(vad, [silence(20)])
    assert vad.loud_frames == 0 and vad.level_db == -96


def test_the_better_detector_is_asked_over_the_agent_only(make_voice: Callable[..., list[bytes]]) -> None:
    asked = []

    def confirm(audio: bytes, fresh: bool) -> float:
        asked.append((len(audio), fresh))
        return 0.0

    vad = Vad(confirm)
    assert "!" in draw(vad, make_voice(200)) and asked == []
    assert vad.speaking
    assert "!" not in draw(vad, make_voice(200), audible=True) and len(asked) == 10
    assert not vad.speaking
