"""The base of all models of a suite: no unknown keys, no text for a number, and patterns that end."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_PATTERN = 200
#: What follows a part that may repeat.
_REPEATS = ("*", "+", "{")


def _may_take_for_ever(text: str) -> bool:
    """Tell whether a group is repeated in which something repeats or has alternatives, at any depth."""
    groups, place = [False], 0
    while place < len(text):
        match text[place]:
            case "\\":
                place += 1
            case "[":
                place = _end_of_set(text, place)
            case "(":
                groups.append(False)
            case ")" if len(groups) > 1:
                is_repeated = text[place + 1 : place + 2] in _REPEATS
                inner = groups.pop()
                if inner and is_repeated:
                    return True
                groups[-1] = groups[-1] or inner or is_repeated
            case "*" | "+" | "{" | "|":
                groups[-1] = True
        place += 1
    return False


def _end_of_set(text: str, place: int) -> int:
    """Return where a set of characters ends, in which `]` is one if it is the first."""
    place += 3 if text[place + 1 : place + 3] == "^]" else 2 if text[place + 1 : place + 2] == "]" else 1
    while place < len(text) and text[place] != "]":
        place += 2 if text[place] == "\\" else 1
    return place


def _pattern(text: str) -> str:
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise ValueError(
            f"{text!r} is not a regular expression: {error}; write a backslash before signs such as ( and ?"
        ) from error
    if len(text) > MAX_PATTERN:
        raise ValueError(f"a regular expression has at most {MAX_PATTERN} characters; write several expectations")
    if _may_take_for_ever(text):
        raise ValueError(
            f"{text!r} repeats a part that repeats or has alternatives, which may take for ever; repeat one of them"
        )
    if compiled.search(""):
        raise ValueError(f"{text!r} is true of anything, even of silence; name a word")
    return text


def _arguments(values: dict[str, Any]) -> dict[str, Any]:
    """Check the patterns of wanted values, `{matches: ...}`, at any depth."""
    _check_patterns(values)
    return values


def plain(value: Any) -> Any:
    """Refuse what YAML has and JSON has not, such as dates."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a value is no JSON ({error}); write a date or a time in quotes") from error
    return value


def _check_patterns(value: Any) -> None:
    if isinstance(value, Mapping):
        if set(value) == {"matches"}:
            _pattern(str(value["matches"]))
        for member in value.values():
            _check_patterns(member)
    elif isinstance(value, list):
        for item in value:
            _check_patterns(item)


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
#: Wanted values by name, each as `sameness.same` compares it, or a pattern as `{matches: ...}`.
Wanted = Annotated[dict[str, Any], AfterValidator(plain), AfterValidator(_arguments)]
#: Values of a tool's answer, or of a state.
Plain = Annotated[Any, AfterValidator(plain)]
PlainObject = Annotated[dict[str, Any], AfterValidator(plain)]


class Strict(BaseModel):
    """What has no other keys, and takes no text for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
