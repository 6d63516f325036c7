import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.core.legmessages import Audio, Broken, Clear, Digit, Mark, Play, Started, Stopped
from media.legs import twiliowire


def wire(event: str, **body: Any) -> bytes:
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
        (wire("connected", protocol="Call", version="1.0.0"), None),
        (wire("start", start=START), Started("MZ1", "CA1", {"token": "t"})),
        (wire("media", media={"track": "outbound", "timestamp": "20", "payload": ""}), None),
        (wire("dtmf", dtmf={"track": "inbound_track", "digit": "#"}), Digit("#")),
        (wire("mark", mark={"name": "12"}), Mark(12)),
        (wire("mark", mark={"name": "0.1"}), None),
        (wire("mark", mark={"name": "\u00b2"}), None),
        (wire("mark", mark={"name": "1" * 16}), None),
        (wire("stop", stop={"callSid": "CA1"}), Stopped()),
        (wire("weather", weather={}), None),
    ],
)
def test_what_the_carrier_says(payload: bytes, message: Any) -> None:
    assert twiliowire.decode(payload) == message


def test_a_frame_is_read_straight_into_the_event() -> None:
    frame = twiliowire.decode(
        wire("media", media={"track": "inbound", "chunk": "1", "timestamp": "20", "payload": "//8="})
    )
    assert isinstance(frame, Audio)
    assert (frame.payload, frame.at_ms) == (b"\xff\xff", 20)


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
def test_what_it_must_not_say(payload: bytes) -> None:
    broken = twiliowire.decode(payload)
    assert isinstance(broken, Broken)
    assert broken.detail


def test_json_of_any_depth_is_answered() -> None:
    assert isinstance(twiliowire.decode(b'{"event":"x","y":' + b"[" * 100_000), Broken)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_event_or_nothing_or_broken(payload: bytes) -> None:
    event = twiliowire.decode(payload)
    assert event is None or isinstance(event, Started | Audio | Digit | Mark | Stopped | Broken)


def test_what_we_say() -> None:
    encoder = twiliowire.MessageEncoder('MZ"1')
    assert [json.loads(each) for each in encoder.encode([Play(b"\x00\xff"), Mark(314), Clear()])] == [
        {"event": "media", "streamSid": 'MZ"1', "media": {"payload": base64.b64encode(b"\x00\xff").decode()}},
        {"event": "mark", "streamSid": 'MZ"1', "mark": {"name": "314"}},
        {"event": "clear", "streamSid": 'MZ"1'},
    ]


def test_a_mark_that_was_sent_comes_back_as_itself() -> None:
    (frame,) = twiliowire.MessageEncoder("MZ").encode([Mark(7)])
    assert twiliowire.decode(frame) == Mark(7)
