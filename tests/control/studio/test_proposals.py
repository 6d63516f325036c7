"""Pages that proposals are made from: one organization's slow ones leave others their converters."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from control.knowledge.passages import Block
from control.studio.proposals import Proposals
from hum import ids
from hum.settings import ControlSettings
from tests.support.waits import until


async def test_an_organization_has_half_of_the_converters(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, under_way, over = ControlSettings(), Counter[bytes](), asyncio.Event()
    nothing: Any = None
    made = Proposals(nothing, nothing, nothing, nothing, nothing, settings)

    class Slow:
        async def blocks(self, body: bytes, _: str) -> list[Block]:
            under_way[body] += 1
            await over.wait()
            return [Block(0, "A page.")]

    async def fetch(org: UUID, _: str) -> tuple[bytes, str]:
        return org.hex.encode(), "text/plain"

    monkeypatch.setattr(made, "_converter", Slow())
    monkeypatch.setattr(made, "_fetch", fetch)
    ours, theirs = ids.new(), ids.new()
    reading = [
        asyncio.create_task(made._read(org, "https://x.example/"))
        for org in [ours] * settings.studio_concurrency + [theirs]
    ]
    await until(lambda: under_way[theirs.hex.encode()] == 1)
    assert under_way[ours.hex.encode()] == settings.studio_concurrency // 2
    over.set()
    assert {page.text for page in await asyncio.gather(*reading)} == {"A page."}
