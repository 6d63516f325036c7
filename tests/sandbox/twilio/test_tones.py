"""Tones are told from voices, and the record of what was heard is whole."""

import numpy as np
import pytest

from realtime.audio import decode, encode
from sandbox.audio import BYTES_PER_MS, FRAME_BYTES
from sandbox.twilio import tones
from sandbox.twilio.heardaudio import HeardAudio, Playback, Wire


def frames(audio: bytes) -> list[bytes]:
    return [audio[at : at + FRAME_BYTES] for at in range(0, len(audio) - FRAME_BYTES, FRAME_BYTES)]


@pytest.mark.parametrize("hz", [350, 425, 1_000, 1_100, 1_400, 2_100, 2_400])
def test_every_frame_of_a_tone_has_its_pitch(hz: int) -> None:
    assert all(tones.pitch_hz(each) == pytest.approx(hz, abs=30) for each in frames(tones.tone([hz], 300)))


def test_a_voice_has_no_pitch_of_its_own_and_neither_have_keys_and_silence() -> None:
    for sound in (tones.voice("Hello, who is there?"), tones.key("5"), tones.silence(100)):
        assert {tones.pitch_hz(each) for each in frames(sound)} == {None}


@pytest.mark.parametrize("key", tones.KEYS)
def test_every_key_is_known_by_its_sound(key: str) -> None:
    assert {tones.key_of(each) for each in frames(tones.key(key))} == {key}


def test_nothing_else_is_a_key() -> None:
    for sound in (
        tones.voice("Hello, who is there?"),
        tones.tone([941], 200),
        tones.tone([1_000], 200),
        tones.silence(200),
    ):
        assert {tones.key_of(each) for each in frames(sound)} == {None}


def test_a_ringback_repeats() -> None:
    sound = Playback(tones.ringback("us"), 10.0, forever=True)
    assert sound.frame(10.0) == sound.frame(16.0) != sound.frame(13.0)


def test_a_sound_ends_in_silence() -> None:
    sound = Playback(b"\x00" * 240, 1.0)
    assert [sound.frame(at).count(0) for at in (1.0, 1.02, 1.04)] == [160, 80, 0]


def test_on_a_bridge_each_frame_is_heard_once() -> None:
    wire = Wire()
    wire.send(b"a" * FRAME_BYTES)
    assert [wire.frame(0.0)[:1], wire.frame(0.02)[:1]] == [b"a", b"\xff"]


def test_a_key_on_a_bridge_is_heard_whole() -> None:
    wire = Wire()
    wire.send(b"a" * FRAME_BYTES, "7")
    for _ in range(5):
        wire.send(b"a" * FRAME_BYTES)
    assert [tones.key_of(wire.frame(0.0)) for _ in range(5)] == ["7"] * 5
    assert wire.frame(0.0) == b"a" * FRAME_BYTES


def test_the_record_has_no_gaps() -> None:
    heard_audio = HeardAudio()
    heard_audio.switch("ringing", 1.0)
    heard_audio.add(b"r" * FRAME_BYTES)
    heard_audio.switch("bridge", 2.0)
    heard_audio.add(b"b" * FRAME_BYTES)
    heard_audio.close(3.0)
    assert [(each.what, each.start, each.end) for each in heard_audio.spans] == [
        ("ringing", 1.0, 2.0),
        ("bridge", 2.0, 3.0),
    ]
    assert heard_audio.of("bridge") == b"b" * FRAME_BYTES


def test_samples_survive_the_wire() -> None:
    samples = np.array([-30_000, -400, 0, 400, 30_000], np.int16)
    assert np.allclose(decode(encode(samples)), samples, atol=1_000)
    assert BYTES_PER_MS * 20 == FRAME_BYTES
