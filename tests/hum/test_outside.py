"""The counting of JSON and event streams from outside: exact where it matters, and at the cost of the bytes."""

import json
import time
from typing import Any

import pytest

from hum.json import outside
from hum.json.outside import Events, TooMuch

MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    ("value", "members"),
    [
        ({}, 1),
        ([1, 2, 3], 3),
        ({"a": [1, 2], "b": {}}, 5),
        ('a string, of [many] {signs}: "quoted", and a \\ at its end\\', 0),
        ({"a,b": "c,d"}, 1),
    ],
)
def test_members_are_counted_outside_of_strings(value: Any, members: int) -> None:
    raw = json.dumps(value).encode()
    outside.require_few(raw, members, 3)
    if members:
        with pytest.raises(TooMuch, match="members"):
            outside.require_few(raw, members - 1, 3)


def test_levels_are_counted() -> None:
    raw = b'[[["[[[["]], {"a": {}}]'
    outside.require_few(raw, 100, 3)
    with pytest.raises(TooMuch, match="levels"):
        outside.require_few(raw, 100, 2)


@pytest.mark.parametrize(
    "raw",
    [
        b'"' + b'\\"' * (MEGABYTE // 2),
        b'"' * MEGABYTE,
        b"[" * MEGABYTE,
        b"]" * MEGABYTE,
        b'"\\' * (MEGABYTE // 2),
        b'{"' + b"a" * MEGABYTE,
        b"\xff" * MEGABYTE,
    ],
    ids=["escapes", "quotes", "open", "closed", "backslashes", "long", "no text"],
)
def test_what_is_no_json_is_read_once(raw: bytes) -> None:
    began = time.process_time()
    json.dumps("a" * MEGABYTE)
    json.loads(b"[" + b"{}," * (MEGABYTE // 3) + b"1]")
    known, began = time.process_time() - began, time.process_time()
    try:
        outside.require_few(raw, 20_000, 100)
    except TooMuch:
        pass
    # A quadratic one takes thousands of times as long.
    assert time.process_time() - began < 20 * known


def test_members_besides_those_of_some_names() -> None:
    value = {"tools": [{"name": "a", "inputSchema": {"a": 1, "b": {"c": 1}}}]}
    assert outside.count(value, 100) == 7
    assert outside.count(value, 100, frozenset(["inputSchema"])) == 4
    assert outside.count([[1] * 50] * 50, 100) > 100


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_are_whole_however_they_arrive(end: bytes, size: int) -> None:
    texts = [b"event: message" + end + b'data: {"a":' + end + b"data:1}", b": a comment", b"data: 2" + end + b"id: 7"]
    stream, events = b"".join(text + end + end for text in texts) + b"data: rest", Events()
    read = [event for n in range(0, len(stream), size) for event in events.read(stream[n : n + size])]
    assert [outside.data(event) for event in read] == [b'{"a":\n1}', b"", b"2"]
    assert outside.data(events.rest()) == b"rest"
    assert b"".join([*read, events.rest()]) == stream
