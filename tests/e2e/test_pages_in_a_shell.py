"""The commands of README.md and of other pages, typed from top to bottom beside one `hum up`, where no other test runs them.

The placeholders (`org_...`, `flow_...`) are filled from the answers.  What can't be run here is in NOT_RUN, with the reason.
"""

import json
import signal
import sys
from pathlib import Path

import pytest

from hum.settings import environment
from sandbox.speech import Speech
from tests.e2e.platforms import free_sockets
from tests.e2e.test_hum_up import Up, programs_end
from tests.support.docpages import ROOT, RUN_BY, TYPED, reason_not_to_run, shell_blocks
from tests.support.docreader import Reader
from tests.support.shelltext import Statement, statements

__all__ = ["programs_end"]
pytestmark = [
    pytest.mark.interop,
    pytest.mark.speech,
    pytest.mark.skipif(not Speech.available(), reason="the extra `speech` is not installed"),
]
PAGES = {"README.md", "docs/contract.md", "docs/failover.md", "docs/going-live.md", "docs/webhooks.md"}
BIN = Path(sys.executable).parent
#: Of programs that say with their status what they found.
STATUSES = {"doctor": (0, 1)}


def typed(page: str) -> list[Statement]:
    """Return the statements of a page that are typed here."""
    found = shell_blocks((ROOT / page).read_text())
    return [
        statement
        for block, test in zip(found, RUN_BY[page], strict=True)
        if test == TYPED
        for statement in statements(block.text, block.line)
        if not any(reason_not_to_run(command) for command in statement.commands)
    ]


async def answers(reader: Reader, page: str) -> list[str]:
    """Type the commands of a page; return what each printed."""
    found = list[str]()
    for statement in typed(page):
        words = {word for command in statement.commands for word in command.words}
        statuses = next((codes for word, codes in STATUSES.items() if word in words), (0,))
        found.append(await reader.enter(statement.source, statuses))
    return found


@pytest.mark.timeout(300)
async def test_the_pages_do_what_they_say(open_home: Path, programs_end: None) -> None:
    assert {page for page, tests in RUN_BY.items() if TYPED in tests} == PAGES
    settings = {"HUM_HOME": str(open_home), "HUM_DRAIN_SECONDS": "1", **free_sockets(open_home)}
    async with Up.started(settings) as up:
        url = (await up.is_up())["public_url"]
        places = {
            ".venv/bin/": f"{BIN}/",
            "http://127.0.0.1:8080": url,
            "https://hum.example/": f"{url}/",
            "https://hum.example.com": url,
        }
        reader = Reader({"HUM_HOME": str(open_home), "PATH": f"{BIN}:{environment()['PATH']}"}, places)
        *_, call, calls, stream = await answers(reader, "README.md")
        assert reader.copied["call_..."] in call and "What the caller heard of the agent:" in call
        (record,) = json.loads(calls)["calls"]
        assert (record["id"], record["status"]) == (reader.copied["call_..."], "completed")
        assert "event: transcript.turn" in stream and "event: call.ended" in stream

        # `hum` would refuse these two, as no settings of it: they are in a shell of their own.
        client = Reader({"HUM": url, "KEY": reader.copied["hum_live_..."]}, places)
        (me,) = await answers(client, "docs/contract.md")
        assert json.loads(me)["organization"]["id"] == reader.copied["org_..."]
        (webhook,) = await answers(client, "docs/webhooks.md")
        assert json.loads(webhook)["events"] == ["sms.*", "call.completed"]
        (roles,) = await answers(reader, "docs/failover.md")
        assert "CREATE ROLE" in roles

        # The other page begins with no organization, too.
        await reader.enter("hum admin delete-org --org org_... --yes Clinic")
        *_, flow, number = await answers(reader, "docs/going-live.md")
        assert json.loads(number)["flow_id"] == json.loads(flow)["id"]
        up.process.send_signal(signal.SIGTERM)
        assert await up.exits(60) == 0, up.lines
