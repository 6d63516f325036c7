"""Machine detection of far ends that speak real words; and a WAV as what somebody says."""

import asyncio
import base64

import numpy as np
import pytest

from realtime.audio import decode
from sandbox.speech import Speech, sound
from sandbox.twilio import Amd, Caller, farend, voiced
from sandbox.twilio.amd import AmdResult, Detector

WORDS = pytest.mark.skipif(not Speech.available(), reason="the extra `speech` is not installed")


def verdict(person: farend.Person, amd: Amd) -> AmdResult:
    """Who the detector takes them for, when nobody speaks to them."""

    async def main() -> farend.Person:
        speech = Speech()
        try:
            person.steps = await voiced(person.steps, speech)
        finally:
            speech.close()
        return person

    spoken = asyncio.run(main())
    caller, detector = Caller(spoken.steps, stay=spoken.stay), Detector(amd)
    while True:
        breath = caller.frame(False)
        if breath.act == "hang_up":
            return detector.hang_up()
        if (found := detector.frame(breath.payload)) is not None:
            return found


@WORDS
@pytest.mark.parametrize(
    ("kind", "enable", "at_the_end"),
    [
        ("human", "human", "human"),
        ("machine", "machine_start", "machine_end_beep"),
        ("machine_short_greeting", "machine_start", "machine_end_beep"),
        ("machine_without_beep", "machine_start", "machine_end_silence"),
        ("machine_full", "machine_start", "machine_end_other"),
        ("screening", "machine_start", "machine_end_silence"),
    ],
)
def test_words_are_judged_as_voices_are(kind: str, enable: str, at_the_end: str) -> None:
    assert verdict(farend.KINDS[kind](), Amd()).answered_by == enable
    assert verdict(farend.KINDS[kind](), Amd(until_end=True)).answered_by == at_the_end


def test_a_wav_is_said() -> None:
    wav = sound.write_wav(sound.sine(440, 100, 16_000), 16_000)
    caller = Caller([{"do": "say", "wav_b64": base64.b64encode(wav).decode()}], stay=True)
    heard = b"".join(caller.frame(False).payload for _ in range(5))
    assert np.abs(decode(heard)).max() == pytest.approx(sound.LOUDNESS, rel=0.1)
