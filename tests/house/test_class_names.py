"""A class name of the product belongs to one module: whoever reads it, or searches for it, knows which class it is."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.house.sources import nodes, tree

ROOT = Path(__file__).parents[2]
ROOMS = ("cli", "evals", "hum", "gateway", "control", "media", "realtime", "storage", "sandbox", "voice")
#: Names that several modules share, each with the reason.
SHARED: Mapping[str, str] = {
    "ControlUnavailable": "the gateway's and media's client of control each raise it, and neither plane imports the other",
    "Mark": "the carrier's word for the message, which media and the stand-in both read",
    "Media": "the carrier's word for the message, which media and the stand-in both read",
    "SpeechStarted": "the model's word for the event, which the stand-in sends and media reads",
    "SpeechStopped": "the model's word for the event, which the stand-in sends and media reads",
}


def owners(modules: Iterable[tuple[str, ast.Module]]) -> Mapping[str, set[str]]:
    """Return the modules that define a class of each name."""
    owners = defaultdict[str, set[str]](set)
    for module, body in modules:
        for node in nodes(body, ast.ClassDef):
            owners[node.name].add(module)
    return owners


def shared(modules: Iterable[tuple[str, ast.Module]]) -> Mapping[str, list[str]]:
    """Return the class names of more than one module, with these modules."""
    return {name: sorted(places) for name, places in owners(modules).items() if len(places) > 1}


def test_a_class_name_belongs_to_one_module() -> None:
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "hum/v1" not in str(path)]
    names = shared((str(path.relative_to(ROOT)), tree(path)) for path in paths)
    assert {name: places for name, places in names.items() if name not in SHARED} == {}
    assert SHARED.keys() - names.keys() == set(), "no longer shared: remove them from SHARED"


def test_a_name_of_two_modules_is_found() -> None:
    sources = {
        "a.py": "class A: ...\nclass B: ...",
        "b.py": "def f():\n    class B: ...",
        "c.py": "class C: ...\nclass C: ...",
    }
    assert shared((module, ast.parse(source)) for module, source in sources.items()) == {"B": ["a.py", "b.py"]}
