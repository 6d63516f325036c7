import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.core import twilio


def wire(event, **body):
    return json.dumps({"event": event, "streamSid": "MZ1", **body}).encode()


START = {
    "streamSid": "MZ1",
    "callSid": "CA1",
    "accountSid": "AC1",
    "tracks": ["inbound"],
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    "customParameters": {"token": "t"},
}


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (wire("connected", protocol="Call", version="1.0.0"), twilio.Connected()),
        (wire("start", start=START), twilio.Start("MZ1", "CA1", twilio.MediaFormat("audio/x-mulaw", 8000, 1), {"token": "t"})),
        (wire("media", media={"track": "inbound", "chunk": "1", "timestamp": "20", "payload": "//8="}), twilio.Media(b"\xff\xff", 20)),
        (wire("media", media={"track": "outbound", "timestamp": "20", "payload": ""}), twilio.Unknown("media of track outbound")),
        (wire("dtmf", dtmf={"track": "inbound_track", "digit": "#"}), twilio.Dtmf("#")),
        (wire("mark", mark={"name": "0.1"}), twilio.Mark("0.1")),
        (wire("stop", stop={"callSid": "CA1"}), twilio.Stop()),
        (wire("weather", weather={}), twilio.Unknown("weather")),
    ],
)  # fmt: skip
def test_what_the_carrier_says(payload, message):
    assert twilio.decode(payload) == message


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        wire("media"),
        wire("start"),
        wire("mark", mark={}),
        wire("dtmf", dtmf={"digit": "12"}),
        wire("start", start={**START, "mediaFormat": {"encoding": "audio/l16", "sampleRate": 8000, "channels": 1}}),
        wire("media", media={"timestamp": "-1", "payload": ""}),
        wire("media", media={"timestamp": "1" * 13, "payload": ""}),
        wire("media", media={"timestamp": "20.5", "payload": ""}),
        wire("media", media={"timestamp": "", "payload": ""}),
        wire("media", media={"timestamp": "20", "payload": "?"}),
    ],
)
def test_what_it_must_not_say(payload):
    with pytest.raises(twilio.WireError) as error:
        twilio.decode(payload)
    assert error.value.reason


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_wire_error(payload):
    try:
        twilio.decode(payload)
    except twilio.WireError as error:
        assert error.reason


def test_what_we_say():
    encoder = twilio.Encoder('MZ"1')
    assert json.loads(encoder.media(b"\x00\xff")) == {
        "event": "media",
        "streamSid": 'MZ"1',
        "media": {"payload": base64.b64encode(b"\x00\xff").decode()},
    }
    assert json.loads(encoder.mark("3.14")) == {"event": "mark", "streamSid": 'MZ"1', "mark": {"name": "3.14"}}
    assert json.loads(encoder.clear) == {"event": "clear", "streamSid": 'MZ"1'}
