"""What session.update may contain.  Pure."""

import copy
from typing import Any

import pytest

from realtime import config
from realtime.errors import Refusal

DEFAULT = config.default_session("sess_1", "gpt-realtime", 0)


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "realtime", "voice": "alloy"}, "unknown_parameter", "session.voice"),
        ({"type": "realtime", "instructions": 7}, "invalid_type", "session.instructions"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        (
            {"type": "realtime", "audio": {"output": {"voice": "hal"}}},
            "invalid_value",
            "session.audio.output.voice",
        ),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "g711_ulaw"}}}},
            "invalid_value",
            "session.audio.input.format.type",
        ),
        (
            {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "semantic_vad", "threshold": 0.5}}}},
            "unknown_parameter",
            "session.audio.input.turn_detection.threshold",
        ),
        ({"type": "realtime", "tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        ({"type": "realtime", "audio": 1}, "invalid_type", "session.audio"),
        ({"type": "realtime", "model": "another"}, "invalid_value", "session.model"),
    ],
)
def test_a_bad_field_is_named(session: dict[str, Any], code: str, param: str) -> None:
    before = copy.deepcopy(DEFAULT)
    with pytest.raises(Refusal) as refused:
        config.update(DEFAULT, session, has_spoken=False)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert before == DEFAULT


def test_another_kind_of_detection_starts_from_its_own_defaults() -> None:
    wish = {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}
    assert config.update(DEFAULT, wish, has_spoken=False)["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }


def test_null_switches_detection_off_and_an_empty_update_keeps_it() -> None:
    off = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    silent = config.update(DEFAULT, off, has_spoken=False)
    assert silent["audio"]["input"]["turn_detection"] is None
    assert config.update(silent, {"type": "realtime"}, has_spoken=False) == silent


def test_tools_are_replaced_whole() -> None:
    def tools(*names: str) -> dict[str, object]:
        return {"type": "realtime", "tools": [{"type": "function", "name": each} for each in names]}

    two = config.update(DEFAULT, tools("a", "b"), has_spoken=False)
    assert [each["name"] for each in config.update(two, tools("c"), has_spoken=False)["tools"]] == ["c"]
