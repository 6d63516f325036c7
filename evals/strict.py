"""The base of all models of a suite: no unknown keys, no text for a number, and patterns that end."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_PATTERN = 200
_UNBOUNDED = re.compile(r"\([^()]*(?:[*+]|\{\d+,\}|\|)[^()]*\)(?:[*+]|\{\d+,\})")


def _pattern(text: str) -> str:
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise ValueError(
            f"{text!r} is not a regular expression: {error}; write a backslash before signs such as ( and ?"
        ) from error
    if len(text) > MAX_PATTERN:
        raise ValueError(f"a regular expression has at most {MAX_PATTERN} characters; write several expectations")
    if _UNBOUNDED.search(text):
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
Wanted = Annotated[dict[str, Any], AfterValidator(_arguments)]


class Strict(BaseModel):
    """What has no other keys, and takes no text for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
