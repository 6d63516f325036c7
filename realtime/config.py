"""The session's configuration: its defaults, and the changes that session.update may make.  Pure.

The shapes follow platform.openai.com/docs/api-reference/realtime-client-events/session/update.  Features that the stand-in does
not support (audio/pcma, idle_timeout_ms, MCP tools, prompts) are refused like unknown fields.
"""

import copy
from collections.abc import Callable
from typing import Any

from realtime.errors import Refusal, missing, unknown_parameter, wrong_type, wrong_value

Check = Callable[[Any, str], None]
Spec = dict[str, "Check | Spec"]

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
FORMATS = ("audio/pcm", "audio/pcmu")
EAGERNESS = ("low", "medium", "high", "auto")


def default_session(session_id: str, model: str, expires_at: int) -> dict[str, Any]:
    pcm = {"type": "audio/pcm", "rate": 24_000}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "You are a helpful assistant.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at,
        "audio": {
            "input": {
                "format": pcm,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": _detection("server_vad"),
            },
            "output": {"format": dict(pcm), "voice": "alloy", "speed": 1.0},
        },
        "include": None,
    }


def update(session: dict[str, Any], changes: object, *, has_spoken: bool) -> dict[str, Any]:
    """Return the session after session.update: a deep merge, in which lists and formats are replaced whole.

    Raises Refusal; `session` itself is never changed.
    """
    if not isinstance(changes, dict):
        raise missing("session")
    if "type" not in changes:
        raise missing("session.type")
    _check(changes, SESSION, "session")
    if changes.get("model", session["model"]) != session["model"]:
        raise wrong_value("session.model", changes["model"], (session["model"],))
    updated = _merge(session, changes)
    if has_spoken and updated["audio"]["output"]["voice"] != session["audio"]["output"]["voice"]:
        raise Refusal(
            "Cannot update a conversation's voice if assistant audio is present.",
            code="cannot_update_voice",
            param="session.audio.output.voice",
        )
    updated["audio"]["input"]["turn_detection"] = _turn_detection(
        session["audio"]["input"]["turn_detection"], changes.get("audio", {}).get("input", {})
    )
    return updated


def check_response(options: object) -> dict[str, Any]:
    """Validate the `response` of response.create and return it.  Raises Refusal."""
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise wrong_type("response", "an object", options)
    _check(options, RESPONSE, "response")
    return options


def _detection(type: str) -> dict[str, Any]:
    common = {"type": type, "create_response": True, "interrupt_response": True}
    if type == "semantic_vad":
        return common | {"eagerness": "auto"}
    return common | {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}


def _turn_detection(before: dict[str, Any] | None, update: dict[str, Any]) -> dict[str, Any] | None:
    """Return the updated turn detection; null turns it off, and a new type starts from its own defaults."""
    if "turn_detection" not in update:
        return before
    detection = update["turn_detection"]
    if detection is None:
        return None
    type = detection.get("type") or (before or {}).get("type", "server_vad")
    base: dict[str, Any] = before if before is not None and before["type"] == type else _detection(type)
    for name in detection:
        if name not in base:
            raise unknown_parameter(f"session.audio.input.turn_detection.{name}")
    after: dict[str, Any] = base | detection
    return after


def _merge(before: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    after = copy.deepcopy(before)
    for name, value in changes.items():
        old = after.get(name)
        deep = isinstance(value, dict) and isinstance(old, dict) and name != "format"
        after[name] = _merge(old, value) if deep and isinstance(old, dict) else copy.deepcopy(value)
    return after


def _check(fields: dict[str, Any], spec: Spec, path: str) -> None:
    for name, value in fields.items():
        param = f"{path}.{name}"
        if name not in spec:
            raise unknown_parameter(param)
        check = spec[name]
        if callable(check):
            check(value, param)
        elif isinstance(value, dict):
            _check(value, check, param)
        else:
            raise wrong_type(param, "an object", value)


def _string(value: Any, param: str) -> None:
    if not isinstance(value, str):
        raise wrong_type(param, "a string", value)


def _boolean(value: Any, param: str) -> None:
    if not isinstance(value, bool):
        raise wrong_type(param, "a boolean", value)


def _anything(_: Any, __: str) -> None:
    return


def _one_of(*values: str) -> Check:
    def check(value: Any, param: str) -> None:
        _string(value, param)
        if value not in values:
            raise wrong_value(param, value, values)

    return check


def _number(low: float, high: float) -> Check:
    def check(value: Any, param: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(param, "a number", value)
        if not low <= value <= high:
            raise Refusal(
                f"Invalid '{param}': expected a value from {low} to {high}, but got {value} instead.",
                code="integer_below_min_value" if value < low else "integer_above_max_value",
                param=param,
            )

    return check


def _or_null(inner: "Check | Spec") -> Check:
    def check(value: Any, param: str) -> None:
        if value is None:
            return
        if callable(inner):
            inner(value, param)
        elif isinstance(value, dict):
            _check(value, inner, param)
        else:
            raise wrong_type(param, "an object", value)

    return check


def _format(value: Any, param: str) -> None:
    if not isinstance(value, dict):
        raise wrong_type(param, "an object", value)
    _check(value, {"type": _one_of(*FORMATS), "rate": _number(24_000, 24_000)}, param)
    if "type" not in value:
        raise missing(f"{param}.type")
    if "rate" in value and value["type"] != "audio/pcm":
        raise unknown_parameter(f"{param}.rate")


def _max_tokens(value: Any, param: str) -> None:
    if value != "inf":
        _number(1, 4_096)(value, param)


def _modalities(value: Any, param: str) -> None:
    if value not in (["audio"], ["text"]):
        raise wrong_value(param, value, ("audio", "text"))


def _list(value: Any, param: str) -> None:
    if not isinstance(value, list):
        raise wrong_type(param, "an array", value)


def _tools(value: Any, param: str) -> None:
    _list(value, param)
    for at, tool in enumerate(value):
        here = f"{param}[{at}]"
        if not isinstance(tool, dict):
            raise wrong_type(here, "an object", tool)
        _check(tool, TOOL, here)
        for name in ("type", "name"):
            if name not in tool:
                raise missing(f"{here}.{name}")


def _tool_choice(value: Any, param: str) -> None:
    if isinstance(value, str):
        _one_of("none", "auto", "required")(value, param)
    elif not isinstance(value, dict):
        raise wrong_type(param, "a string or an object", value)


TOOL: Spec = {
    "type": _one_of("function"),
    "name": _string,
    "description": _string,
    "parameters": _anything,
}
TURN_DETECTION: Spec = {
    "type": _one_of("server_vad", "semantic_vad"),
    "create_response": _boolean,
    "interrupt_response": _boolean,
    "eagerness": _one_of(*EAGERNESS),
    "threshold": _number(0, 1),
    "prefix_padding_ms": _number(0, 5_000),
    "silence_duration_ms": _number(0, 10_000),
}
TRANSCRIPTION: Spec = {"model": _string, "language": _string, "prompt": _string}
OUTPUT: Spec = {"format": _format, "voice": _one_of(*VOICES), "speed": _number(0.25, 1.5)}
COMMON: Spec = {
    "instructions": _string,
    "output_modalities": _modalities,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "max_output_tokens": _max_tokens,
    "reasoning": _or_null({"effort": _one_of("minimal", "low", "medium", "high", "xhigh")}),
    "parallel_tool_calls": _boolean,
}
SESSION: Spec = COMMON | {
    "type": _one_of("realtime"),
    "model": _string,
    "audio": {
        "input": {
            "format": _format,
            "transcription": _or_null(TRANSCRIPTION),
            "noise_reduction": _or_null({"type": _one_of("near_field", "far_field")}),
            "turn_detection": _or_null(TURN_DETECTION),
        },
        "output": OUTPUT,
    },
    "tracing": _anything,
    "truncation": _anything,
    "include": _anything,
}
RESPONSE: Spec = COMMON | {
    "conversation": _one_of("auto", "none"),
    "input": _list,
    "metadata": _anything,
    "audio": {"output": OUTPUT},
}
