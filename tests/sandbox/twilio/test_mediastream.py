import base64
import json

import pytest

from sandbox.twilio.mediastream import AudioQueued, MediaStream
from sandbox.twilio.playout import Echo, ReceivedClear
from sandbox.twilio.wire import BadMessage


def stream() -> MediaStream:
    return MediaStream("MZ1", call_sid="CA1", account_sid="AC1")


def media(ms: int) -> str:
    payload = base64.b64encode(bytes(8 * ms)).decode()
    return json.dumps({"event": "media", "streamSid": "MZ1", "media": {"payload": payload}})


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "streamSid": "MZ1", "mark": {"name": name}})


CLEAR = '{"event":"clear","streamSid":"MZ1"}'


def test_it_opens_with_connected_and_start() -> None:
    connected, start = map(json.loads, stream().opening({"token": "t"}))
    assert connected["event"] == "connected"
    assert start["start"]["customParameters"] == {"token": "t"}
    assert (start["streamSid"], start["start"]["callSid"], start["sequenceNumber"]) == ("MZ1", "CA1", "1")


def test_audio_begins_where_nothing_was_queued() -> None:
    end = stream()
    assert end.receive(0, media(100)) == [AudioQueued(800, 0, begins=True)]
    assert end.receive(50, media(100)) == [AudioQueued(800, 0, begins=False)]
    assert end.receive(200, media(20)) == [AudioQueued(160, 0, begins=True)]


def test_a_mark_that_is_reached_as_audio_arrives_goes_back() -> None:
    end = stream()
    end.receive(0, media(100))
    assert end.receive(0, mark("m")) == []
    assert end.receive(130, media(100)) == [Echo("m", 100, "played"), AudioQueued(800, 0, begins=True)]


def test_a_clear_sends_the_marks_back_and_says_what_it_dropped() -> None:
    end = stream()
    end.receive(0, media(100))
    end.receive(0, mark("m"))
    assert end.receive(40, CLEAR) == [Echo("m", 40, "cleared"), ReceivedClear(40, 480)]
    assert end.receive(41, mark("n")) == [Echo("n", 41, "played")]


def test_what_it_cannot_read_changes_nothing() -> None:
    end = stream()
    end.receive(0, media(100))
    with pytest.raises(BadMessage):
        end.receive(50, '{"event":"clear","streamSid":"MZ2"}')
    assert end.playout.clears == []
    assert end.playout.ends_ms == 100
