"""The examples of docs/sms-api.md, run in their order as a reader would."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.docpages import ROOT, blocks
from tests.support.docreader import Reader

PAGE = ROOT / "docs/sms-api.md"
#: A time on the page that is meant to be ahead.
AHEAD = "2027-01-15T15:00:00Z"
NAMES = {"conv": "CONVERSATION", "msg": "MESSAGE", "camp": "CAMPAIGN", "flow": "FLOW"}


def examples() -> list[tuple[str, Any]]:
    """Return each command, and what the page says it answers; None: nothing."""
    soon = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT15:00:00Z")
    found = list[tuple[str, Any]]()
    for block in blocks(PAGE.read_text().replace(AHEAD, soon)):
        if block.language == "bash":
            found.append((block.text, None))
        elif block.language == "json":
            found[-1] = (found[-1][0], json.loads(block.text))
    return found


def differs(said: Any, answered: Any, place: str = "") -> list[str]:
    """Where an answer is not as the page says.  It may have more fields, and anything that is there for `...`."""
    if said == "...":
        return [] if answered not in (None, "") else [f"{place} is missing"]
    if isinstance(said, dict) and isinstance(answered, dict):
        return [each for name in said for each in differs(said[name], answered.get(name, "absent"), f"{place}.{name}")]
    if isinstance(said, list) and isinstance(answered, list) and len(said) == len(answered):
        pairs = enumerate(zip(said, answered, strict=True))
        return [each for n, (one, other) in pairs for each in differs(one, other, f"{place}[{n}]")]
    return [] if said == answered else [f"{place} is {answered!r}, not {said!r}"]


async def run(url: str, key: str, number: str, then: Callable[[], Awaitable[None]] | None = None) -> list[Any]:
    """Run every example, and after each wait for `then`; return the answers.  Raises AssertionError for one that is not as
    the page says.
    """
    reader = Reader({"HUM": url, "KEY": key, "NUMBER": number})
    answers = list[Any]()
    for code, expected in examples():
        text = await reader.enter(code)
        answer = json.loads(text) if text else None
        assert (wrong := differs(expected, answer)) == [], f"{code}: {wrong}"
        if isinstance(answer, dict) and (id := answer.get("id")):
            reader.variables[NAMES.get(id.partition("_")[0], "ID")] = id
        answers.append(answer)
        if then is not None:
            await then()
    return answers
