"""Sound without a model, and (with the extra `speech`) sentences to sound and back."""

import re

import numpy as np
import pytest

from sandbox.speech import Speech, sound
from sandbox.twilio.audio import decode

needs_speech = pytest.mark.skipif(not Speech.available(), reason="the extra `speech` is not installed")
SENTENCE = "Hello, I would like to book a table for the evening, please."


def test_mu_law_there_and_back_is_the_same_code() -> None:
    codes = bytes(each for each in range(256) if each != 0x7F)  # 0x7F is the second zero
    assert sound.encode(decode(codes)) == codes


def test_every_sample_is_coded_to_its_nearest_step() -> None:
    samples = np.arange(-32_000, 32_000, 7).astype(np.int16)
    error = np.abs(decode(sound.encode(samples)).astype(int) - samples)
    assert (error <= np.maximum(8, np.abs(samples.astype(int)) / 16)).all()


def test_a_word_sounds_the_same_wherever_it_stands() -> None:
    assert sound.pitch_hz(" Plumber,") == sound.pitch_hz("plumber")
    spoken = sound.tones("a plumber, please", 8_000)
    word = spoken.words[1]
    burst = spoken.samples[round(word.start_ms * 8) : round(word.end_ms * 8)].astype(float)
    found_hz = np.argmax(np.abs(np.fft.rfft(burst))) * 8_000 / len(burst)
    assert abs(found_hz - sound.pitch_hz("plumber")) <= 4
    assert "".join(each.text for each in spoken.words) == "a plumber, please"


def test_words_are_spread_over_the_whole_of_a_voice() -> None:
    spoken = sound.spread("one three", np.zeros(8_000, np.int16), 8_000)
    assert [each.text for each in spoken.words] == ["one", " three"]
    assert (spoken.words[0].start_ms, spoken.words[1].end_ms) == (0, 1_000)
    assert spoken.words[0].end_ms == spoken.words[1].start_ms


def test_a_wav_of_two_channels_is_mixed() -> None:
    assert sound.read_wav(sound.write_wav(sound.sine(440, 100, 16_000), 16_000))[1] == 16_000
    with pytest.raises(ValueError, match="not a WAV"):
        sound.read_wav(b"RIFF")


async def test_silence_says_nothing_and_needs_no_model() -> None:
    ears = Speech()
    assert await ears.hear(b"\xff" * 8_000) == ""
    assert await ears.hear(sound.sine(440, 100, 8_000), 8_000) == ""
    ears.close()


@pytest.mark.speech
@needs_speech
@pytest.mark.parametrize("voice", ["alloy", "caller"])
async def test_most_words_come_back(voice: str) -> None:
    speech = Speech()
    await speech.warm_up()
    heard = set(re.findall(r"\w+", (await speech.hear(await speech.say(SENTENCE, voice))).lower()))
    meant = set(re.findall(r"\w+", SENTENCE.lower()))
    assert len(heard & meant) >= 0.8 * len(meant)
    speech.close()


@pytest.mark.speech
@needs_speech
async def test_voices_differ_and_noise_is_not_speech() -> None:
    speech = Speech()
    assert await speech.say(SENTENCE, "alloy") != await speech.say(SENTENCE, "caller")
    noise = np.random.default_rng(1).normal(0, 2_000, 16_000).astype(np.int16)
    assert await speech.hear(noise, 8_000) == ""
    speech.close()
