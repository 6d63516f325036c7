"""The core of a call knows neither who carries it nor who serves its model."""

import ast
import re
from pathlib import Path

import pytest

from tests.house.sources import nodes, tree

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "media/core").glob("*.py"))
#: Names of carriers, of vendors and their products, and of the events and fields of their wires.
FOREIGN = re.compile(
    r"twilio|telnyx|openai|azure|microsoft|google|gemini|anthropic|deepgram|eleven ?labs|\bgpt|\brealtime\b|\blive api"
    r"|streamSid|\bsession\.update|\bresponse\.\w+\b(?=`)|\binput_audio_buffer\.|\bitem\.(create|truncate|delete)\b",
    re.IGNORECASE,
)
#: What it may import of this project.
OWN = re.compile(r"media\.core(\.|$)")


def foreign_names(text: str) -> list[str]:
    return [found.group() for found in FOREIGN.finditer(text)]


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_names_no_vendor_and_no_wire(path: Path) -> None:
    assert foreign_names(path.read_text()) == []


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_imports_no_adapter(path: Path) -> None:
    imported = [node.module or "" for node in nodes(tree(path), ast.ImportFrom)]
    imported += [alias.name for node in nodes(tree(path), ast.Import) for alias in node.names]
    ours = [name for name in imported if name.partition(".")[0] in {"media", "hum", "sandbox", "control", "gateway"}]
    assert [name for name in ours if not OWN.match(name)] == []


@pytest.mark.parametrize(
    "text",
    ["as OpenAI does", 'emit({"type": "session.update"})', "until `response.done`", "Twilio's marks", "a gpt-x model"],
)
def test_a_name_is_found(text: str) -> None:
    assert foreign_names(text)
