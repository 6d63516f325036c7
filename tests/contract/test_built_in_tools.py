"""The console's list of HUM's own tools is what agents are offered."""

import re
from pathlib import Path

import pytest

from control.tools import Registry, ToolChannel
from tests.contract.conftest import Edge

LIST = Path(__file__).parents[2] / "console/src/pages/agents/builtins.ts"
CHANNELS = {"call": ToolChannel.CALL, "message": ToolChannel.TEXT, "event": ToolChannel.EVENT}
TEXTS = [Path(__file__).parents[2] / f"console/src/i18n/{language}/agents.ts" for language in ("en", "es")]


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> list[Registry]:
    """The registries of the planes that start afterwards."""
    kept: list[Registry] = []

    class Kept(Registry):
        def __init__(self) -> None:
            super().__init__()
            kept.append(self)

    monkeypatch.setattr("control.app.Registry", Kept)
    return kept


async def test_the_console_lists_each_built_in_tool(registries: list[Registry], edge: Edge) -> None:
    source = LIST.read_text().partition("export const BUILTINS = {")[2].partition("} as const")[0]
    lists = dict(re.findall(r"(\w+): \[(.*?)\]", source, re.DOTALL))
    assert lists.keys() == CHANNELS.keys()
    for start, channel in CHANNELS.items():
        names = re.findall(r'"(\w+)"', lists[start])
        assert set(names) == registries[0].built_in(channel), start
        for texts in TEXTS:
            assert all(f"    {name}: " in texts.read_text() for name in names), texts
