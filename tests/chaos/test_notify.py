"""News cost a transaction nothing, although a standby that is far away must have it before it is committed."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.net import ROOT, Network
from tests.chaos.servers import pair, url

pytestmark = pytest.mark.nodes
DELAY_MS = 5
SECONDS = 3


async def test_news_do_not_make_transactions_wait_for_one_another(
    machines: Network, open_home: Path, record_property: Callable[[str, object], None]
) -> None:
    primary, _ = await pair(machines, open_home, synchronous=True)
    machines.slow(DELAY_MS, between="a,b")
    command = [sys.executable, "-m", "tests.chaos.commits", url(primary), str(SECONDS)]
    done = await asyncio.to_thread(machines.run, "c", command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    found = json.loads(done.stdout.splitlines()[-1])
    for name in ("inside", "after", "nothing"):
        record_property(f"commits/s, news {name}", round(found[name]))
    one_after_another = 1000 / (2 * DELAY_MS)
    assert found["inside"] < 1.1 * one_after_another, "this is what news inside a transaction cost"
    assert found["after"] > 3 * found["inside"]
    assert found["after"] > 0.5 * found["nothing"]
    assert found["heard"] == pytest.approx(found["inside"] + found["after"]), "each is heard"
