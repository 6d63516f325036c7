"""The examples of docs/booking.md, as a reader runs them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import Edge
from tests.contract.test_triggers_page import run

PAGE = (Path(__file__).parents[2] / "docs/booking.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(sh)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.interop
async def test_the_examples_do_what_the_page_says(edge: Edge) -> None:
    http = await edge.client()
    env = {"HUM": edge.url, "KEY": http.headers["authorization"].removeprefix("Bearer ")}

    async def answer(block: int) -> Any:
        return json.loads(await run(*BLOCKS[block], env))

    for block, name in enumerate(("CHAIR_1", "CHAIR_2", "DENTIST", "SERVICE")):
        env[name] = (await answer(block))["id"]
    times = (await answer(4))["times"]
    assert len(times) == 3
    env["START"] = times[0]["starts_at"]
    hold = await answer(5)
    assert {env["DENTIST"], env["CHAIR_1"]} == set(hold["resource_ids"])
    env["HOLD"] = hold["id"]
    appointment = await answer(6)
    assert (appointment["state"], appointment["starts_at"]) == ("booked", env["START"])
    assert await answer(6) == appointment
    # The second chair is free at the same time, and there is no third.
    assert (await answer(4))["times"][0]["starts_at"] == env["START"]
    assert (await answer(5))["resource_ids"] != hold["resource_ids"]
    assert (await answer(5))["error"]["code"] == "time_taken"
    env["APPOINTMENT"] = appointment["id"]
    assert (await answer(7))["state"] == "canceled"
