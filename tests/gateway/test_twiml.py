"""What people write stays a sentence in what the carrier is answered."""

import re
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import twiml
from hum.v1 import runtime_pb2 as pb
from tests.support.examples import examples

#: All of Unicode but lone surrogates, which no message holds; most often what XML forbids or gives a meaning.
TEXT = st.text(st.sampled_from("\0\x08\x0b\x1f\x7f\x85\ufffe\uffff\U0001f600<>&\"']") | st.characters(codec="utf-8"))
FORBIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def said(text: str) -> str:
    """What the carrier says of a sentence; XML knows one kind of line break."""
    return FORBIDDEN.sub(" ", text).replace("\r\n", "\n").replace("\r", "\n")


@given(TEXT)
@settings(max_examples=examples(300), deadline=None)
def test_any_text_is_a_sentence(text: str) -> None:
    steps = (
        pb.CarrierStep(say=pb.SayAndHangUp(text=text)),
        pb.CarrierStep(connect=pb.ConnectStream(token="t", say_first=pb.SayFirst(text=text))),
    )
    for step in steps:
        root = ET.fromstring(twiml.render(step, "wss://media.example", "https://hum.example").encode())
        assert [verb.tag for verb in root] in (["Say", "Hangup"], ["Say", "Connect"])
        assert (root[0].text or "") == said(text)


@given(TEXT, TEXT)
@settings(max_examples=examples(300), deadline=None)
def test_any_whisper_is_one(text: str, prompt: str) -> None:
    answer = pb.WhisperResponse(say=pb.SayToAnswerer(text=text, prompt=f"{prompt}?", language="en-US", key_seconds=5))
    root = ET.fromstring(twiml.whisper(answer, "https://hum.example/twilio/voice/whisper/x").encode())
    assert [verb.tag for verb in root] == ["Gather", "Gather", "Hangup"]
    assert [verb[0].text for verb in root[:2]] == [said(f"{text} {prompt}?"), said(f"{prompt}?")]
