"""Sound without a model, and (with the extra `speech`) sentences to sound and back."""

import io
import re

import numpy as np
import pytest
import soundfile

from realtime.audio import decode
from sandbox.speech import Speech, sound

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


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("kind", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_a_wav_of_any_kind_sounds_the_same(kind: str, channels: int, rate_hz: int) -> None:
    tone, file = sound.sine(440, 200, rate_hz), io.BytesIO()
    soundfile.write(file, np.repeat(tone[:, None] / 32_768, channels, axis=1), rate_hz, kind, format="WAV")
    samples, read_hz = sound.read_wav(file.getvalue())
    assert (read_hz, len(samples)) == (rate_hz, len(tone))
    coarse = {"PCM_U8": 256, "ULAW": 512, "ALAW": 512}.get(kind, 1)
    assert np.abs(samples.astype(int) - tone).max() <= coarse


def test_the_channels_of_a_wav_are_mixed() -> None:
    left, file = sound.sine(440, 100, 8_000), io.BytesIO()
    soundfile.write(file, np.stack([left, -left], axis=1), 8_000, "PCM_16", format="WAV")
    assert not sound.read_wav(file.getvalue())[0].any()


WAV = sound.write_wav(sound.sine(440, 100, 16_000), 16_000)
LOST = np.full(100, np.nan, np.float32)


def as_float(samples: "np.ndarray[tuple[int], np.dtype[np.float32]]", rate_hz: int = 8_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, "FLOAT", format="WAV")
    return file.getvalue()


@pytest.mark.parametrize(
    "file",
    [b"", b"RIFF", b"words" * 100, WAV[:30], WAV[:44], b"\0" * 44 + WAV[44:], as_float(LOST), as_float(LOST[:0])],
    ids=["empty", "short", "words", "half a head", "only a head", "no head", "no numbers", "no samples"],
)
def test_what_is_no_sound_is_told_so(file: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the file (is not a readable sound file|contains no sound)"):
        sound.read_wav(file)


def test_a_rate_that_no_sound_has_is_refused() -> None:
    with pytest.raises(ValueError, match="7 Hz"):
        sound.read_wav(as_float(np.zeros(100, np.float32), 7))


async def test_silence_says_nothing_and_needs_no_model() -> None:
    ears = Speech()
    assert await ears.hear(b"\xff" * 8_000) == ""
    assert await ears.hear(sound.sine(440, 100, 8_000), 8_000) == ""
    ears.close()


@pytest.mark.calls
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


@pytest.mark.parametrize(
    ("text", "seconds", "is_repeated"),
    [
        ("Tuesday. Tuesday.", 1.0, True),
        ("No, thank you. No, thank you. No, thank you.", 2.0, True),
        ("I would like to I would like to book", 2.0, True),
        ("one two three four five six seven eight nine ten eleven twelve", 1.0, True),
        ("L" + "'a" * 60, 2.0, True),
        ("No, no, I mean Tuesday.", 2.0, False),
        ("My number is three one seven, five five five, zero one two three.", 5.0, False),
        ("", 1.0, False),
        ("Yes.", 0.4, False),
    ],
)
@needs_speech
def test_a_text_that_repeats_itself_is_doubted(text: str, seconds: float, is_repeated: bool) -> None:
    from sandbox.speech.whisper import repeats

    assert repeats(text, seconds) == is_repeated


@needs_speech
async def test_speech_beyond_the_short_window_is_heard_to_its_end() -> None:
    speech = Speech()
    long = (
        "Hello, my name is Grace Hopper. Do you take my insurance? I work until five, so mornings are hard for me. My number is five five "
        "five, one two three four. There is a leak in the kitchen as well, but that is for the plumber. Please call me back tomorrow. "
        "How much is a cleaning? I would like to know before I come. Thank you very much for your help. Goodbye."
    )
    utterance = await speech.utter(long, "alloy", 8_000)
    heard = await speech.hear(utterance.samples)
    speech.close()
    assert len(utterance.samples) > 18 * 8_000
    assert heard.startswith("Hello, my name is Grace Hopper.") and heard.endswith("Goodbye.")
    assert "leak in the kitchen" in heard
