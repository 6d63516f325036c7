"""Every parser of outside bytes, fed by a grammar of documents that cost more than their bytes.

A new parser gets a case in `hostileparsers.py`, and a line in the table of docs/security.md.
"""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from tests.security.hostileparsers import CASES

#: The most that one document may add to a process, and how often a megabyte of honest JSON could be read meanwhile: half a second where that
#: takes 13 ms.
MOST_MB, MOST_COST = 64, 40
TABLE = Path(__file__).parents[2] / "docs/security.md"


@pytest.mark.hostile
@pytest.mark.parametrize("name", list(CASES))
async def test_a_parser_takes_no_more_than_its_bounds(name: str) -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.security.hostileparsers", name, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await program.communicate()
    costs = [json.loads(line) for line in output.splitlines()]
    assert program.returncode == 0 and costs
    assert not [cost for cost in costs if cost["outcome"] not in {"read", "refused"}], "an error that nobody expects"
    assert not [cost for cost in costs if cost["memory_mb"] > MOST_MB or cost["cost"] > MOST_COST]


def test_the_table_names_every_case() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|", TABLE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(CASES)
