import base64
import json

import pytest

from sandbox.twilio.wire import CONNECTED, BadMessage, ClearQueue, Mark, Media, MessageWriter, read


def test_messages_are_numbered_with_strings() -> None:
    writer = MessageWriter("AC1", "CA1", "MZ1")
    start, first, second, digit, mark, stop = map(
        json.loads,
        (
            writer.start({"token": "t"}),
            writer.media(5.7, b"\xff" * 160),
            writer.media(25.7, b"\xff" * 160),
            writer.dtmf("#"),
            writer.mark("m"),
            writer.stop(),
        ),
    )
    assert "sequenceNumber" not in json.loads(CONNECTED)
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": "MZ1",
        "start": {
            "accountSid": "AC1",
            "streamSid": "MZ1",
            "callSid": "CA1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": "t"},
        },
    }
    assert first["media"] == {
        "track": "inbound",
        "chunk": "1",
        "timestamp": "5",
        "payload": base64.b64encode(b"\xff" * 160).decode(),
    }
    assert (second["media"]["chunk"], second["media"]["timestamp"]) == ("2", "25")
    assert digit["dtmf"] == {"track": "inbound_track", "digit": "#"}
    assert mark["mark"] == {"name": "m"}
    assert stop["stop"] == {"accountSid": "AC1", "callSid": "CA1"}
    assert [each["sequenceNumber"] for each in (start, first, second, digit, mark, stop)] == list("123456")


def test_audio_that_is_encoded_already_makes_the_same_message() -> None:
    plain, encoded = MessageWriter("AC1", "CA1", "MZ1"), MessageWriter("AC1", "CA1", "MZ1")
    for writer in (plain, encoded):
        writer.start({})
    payload = bytes(range(160))
    assert plain.media(40.2, payload).encode() == encoded.encoded_media(40.2, base64.b64encode(payload))
    assert json.loads(encoded.media(60, payload))["sequenceNumber"] == "3"


def test_what_the_agent_may_say() -> None:
    assert read('{"event":"media","streamSid":"MZ1","media":{"payload":"AAE="}}', "MZ1") == Media(b"\x00\x01")
    assert read('{"event":"mark","streamSid":"MZ1","mark":{"name":"m"}}', "MZ1") == Mark("m")
    assert read('{"event":"clear","streamSid":"MZ1"}', "MZ1") == ClearQueue()


@pytest.mark.parametrize(
    "message",
    [
        b"\x00",
        "not json",
        "[]",
        '"text"',
        '{"event":"clear"}',
        '{"event":"clear","streamSid":"MZ2"}',
        '{"event":"sing","streamSid":"MZ1"}',
        '{"event":"media","streamSid":"MZ1"}',
        '{"event":"media","streamSid":"MZ1","media":{"payload":"?"}}',
        '{"event":"media","streamSid":"MZ1","media":{"payload":7}}',
        '{"event":"mark","streamSid":"MZ1","mark":{}}',
    ],
)
def test_what_it_may_not(message: bytes | str) -> None:
    with pytest.raises(BadMessage):
        read(message, "MZ1")
