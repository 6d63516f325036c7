"""The examples of docs/sms-api.md, run in their order as a reader would."""

import json
import os
import re
import subprocess
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.programs import running

PAGE = Path(__file__).parents[2] / "docs/sms-api.md"
BLOCK = re.compile(r"^```(bash|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: A time on the page that is meant to be ahead.
AHEAD = "2027-01-15T15:00:00Z"
NAMES = {"conv": "CONVERSATION", "msg": "MESSAGE", "camp": "CAMPAIGN", "flow": "FLOW"}


def examples() -> list[tuple[str, Any]]:
    """Each command, and what the page says it answers; None: nothing."""
    soon = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT15:00:00Z")
    found = list[tuple[str, Any]]()
    for kind, text in BLOCK.findall(PAGE.read_text().replace(AHEAD, soon)):
        if kind == "bash":
            found.append((text, None))
        else:
            found[-1] = (found[-1][0], json.loads(text))
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
    """Run every example, and after each wait for `then`; the answers.  Raises AssertionError for one that is not as the page
    says.
    """
    environment = {**os.environ, "HUM_URL": url, "HUM_API_KEY": key, "NUMBER": number}
    answers = list[Any]()
    for code, said in examples():
        command = ("bash", "-euc", code.replace("curl -sS", "curl -sS --noproxy '*' --fail-with-body"))
        async with running(*command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            out, err = await program.outputs()
        assert program.returncode == 0, f"{code}{out.decode()}{err.decode()}"
        answer = json.loads(out) if out else None
        assert (wrong := differs(said, answer)) == [], f"{code}: {wrong}"
        if isinstance(answer, dict) and (id := answer.get("id")):
            environment[NAMES.get(id.partition("_")[0], "ID")] = id
        answers.append(answer)
        if then is not None:
            await then()
    return answers
