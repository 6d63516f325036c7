"""<Gather>, <Play> and <Redirect>, in virtual time; and the collector of keys alone."""

from typing import Any

import pytest

from sandbox.twilio import tones
from sandbox.twilio.call import Call
from sandbox.twilio.gather import Keys
from sandbox.twilio.twiml import BadTwiml, Verb, parse
from tests.sandbox.twilio.virtual import NUMBER, PERSON, Desk, House, virtually


def collected(pressed: str, **attributes: str) -> tuple[str, bool]:
    keys = Keys.of(Verb("Gather", attributes))
    for digit in pressed:
        keys.press(digit)
    return keys.pressed, keys.is_over


@pytest.mark.parametrize(
    ("pressed", "attributes", "digits", "over"),
    [
        ("12", {}, "12", False),
        ("12#3", {}, "12", True),
        ("#", {}, "", True),
        ("12#", {"finishOnKey": ""}, "12#", False),
        ("1*", {"finishOnKey": "*"}, "1", True),
        ("123", {"numDigits": "2"}, "12", True),
        ("1", {"numDigits": "nonsense"}, "1", False),
    ],
)
def test_keys(pressed: str, attributes: dict[str, Any], digits: str, over: bool) -> None:
    assert collected(pressed, **attributes) == (digits, over)


def call_of(desk: Desk, steps: list[dict[str, Any]]) -> Call:
    calls = []

    async def main() -> None:
        house = House(desk)
        calls.append(await house.ring(NUMBER, PERSON, [*steps, {"do": "wait", "ms": 120_000}]))
        await calls[0].ended(3600)
        await house.close()

    virtually(main)
    return calls[0]


MENU = '<Response><Gather action="/keyed" {}><Say>Press a key, any key that you like</Say></Gather><Say>Nothing</Say></Response>'


def test_the_first_key_stops_the_prompt_and_the_timeout_sends_what_there_is() -> None:
    desk = Desk(voice=MENU.format('timeout="3"'), keyed="<Response><Say>Thanks</Say></Response>")
    call = call_of(desk, [{"do": "wait", "ms": 500}, {"do": "press", "digits": "42"}])
    assert desk.fields("keyed")["Digits"] == "42"
    assert desk.at("keyed") == pytest.approx(0.7 + 3, abs=0.1)
    assert call.sentences[-1] == "Thanks"


def test_without_a_key_the_document_goes_on_unless_an_empty_result_counts() -> None:
    call = call_of(Desk(voice=MENU.format("")), [])
    assert call.sentences[-1] == "Nothing"
    desk = Desk(voice=MENU.format('actionOnEmptyResult="true"'), keyed="<Response/>")
    call_of(desk, [])
    assert desk.fields("keyed")["Digits"] == ""


def test_a_prompt_that_loops_for_ever_ends_with_the_key() -> None:
    voice = '<Response><Gather numDigits="1" action="/keyed"><Say loop="0">Again</Say></Gather></Response>'
    desk = Desk(voice=voice, keyed="<Response/>")
    call = call_of(desk, [{"do": "wait", "ms": 5_000}, {"do": "press", "digits": "1"}])
    assert (desk.fields("keyed")["Digits"], call.sentences.count("Again") > 10) == ("1", True)


def test_played_keys_are_heard_as_tones() -> None:
    call = call_of(Desk(voice='<Response><Play digits="1w2"/></Response>'), [])
    assert call.heard_audio.of("play")[:800] == tones.key("1")


def test_a_played_file_is_heard(wav: bytes) -> None:
    call = call_of(Desk(voice="<Response><Play>/hold.wav</Play></Response>", **{"hold.wav": wav}), [])
    assert tones.pitch_hz(call.heard_audio.of("play")[800:960]) == pytest.approx(1_000, abs=30)


def test_what_is_no_sound_is_reported_and_passed_over() -> None:
    desk = Desk(voice="<Response><Play>/hold.wav</Play><Say>On</Say></Response>", **{"hold.wav": b"nonsense"})
    call = call_of(desk, [])
    assert ([code for code, _ in call.errors], call.sentences) == ([12300], ["On"])


def test_a_gather_holds_only_prompts() -> None:
    with pytest.raises(BadTwiml):
        parse("<Response><Gather><Dial>+13175550199</Dial></Gather></Response>")


@pytest.fixture
def wav() -> bytes:
    import io

    import numpy as np
    import soundfile

    file = io.BytesIO()
    at = np.arange(16_000) / 16_000
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * 1_000 * at), 16_000, format="WAV")
    return file.getvalue()
