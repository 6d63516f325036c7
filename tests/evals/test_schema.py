"""The published schema is the parser's: both take the same files."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from evals import scenario
from evals.scenario import BadSuite
from evals.schema import schema

ROOT = Path(__file__).parents[2]
FILE = ROOT / "evals" / "scenarios.schema.json"
VALIDATOR = Draft202012Validator(json.loads(FILE.read_text()))
GOOD: dict[str, Any] = {
    "name": "books",
    "flow": "clinic.yaml",
    "persona": {"voice": "en-US", "level_db": -6.0, "noise_dbfs": -45.0, "interrupts": [{"turn": 1, "after_ms": 900}]},
    "facts": {"wish": {"say": "A cleaning.", "when": "help"}},
    "expect": [{"understood": "cleaning"}, {"tool": {"name": "book", "args": {"day": "tuesday"}, "times": 1}}],
    "runs": 3,
    "pass": {"at_least": 2},
}


def is_parsed(folder: Path, document: Any) -> bool:
    (folder / "clinic.yaml").write_text("flow: {}")
    (folder / "s.yaml").write_text(yaml.safe_dump(document))
    try:
        scenario.load([folder / "s.yaml"])
    except BadSuite:
        return False
    return True


def test_the_file_is_what_make_docs_writes() -> None:
    assert json.loads(FILE.read_text()) == schema()
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", sorted((ROOT / "evals" / "suites").glob("*.yaml")), ids=lambda path: path.stem)
def test_it_takes_the_starter_suites(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(yaml.safe_load(path.read_text()))) == []
    assert scenario.load([path]).scenarios


def test_both_take_the_good_one(tmp_path: Path) -> None:
    assert VALIDATOR.is_valid([GOOD])
    assert is_parsed(tmp_path, [GOOD])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["name"], None),
        (["name"], ""),
        (["name"], 7),
        (["flow"], None),
        (["fact"], {}),
        (["runs"], 0),
        (["runs"], "3"),
        (["runs"], True),
        (["pass", "at_least"], 0),
        (["pass", "lower_bound"], 0.8),
        (["brain"], "llm"),
        (["persona", "voice"], "de-DE"),
        (["persona", "noise_dbfs"], 0),
        (["persona", "interrupts", 0, "turn"], 0),
        (["persona", "interrupts", 0, "after_ms"], 100),
        (["facts", "wish", "when"], ""),
        (["facts", "wish", "say"], None),
        (["expect"], []),
        (["expect"], [{"said": "thank you"}]),
        (["expect", 0], {}),
        (["expect", 0], {"understood": "a", "said": "b"}),
        (["expect", 1], {"understod": "a"}),
        (["expect", 1], {"heard_words": "a"}),
        (["expect", 1], {"no_tool": None}),
        (["expect", 1, "tool", "times"], 0),
        (["expect", 1], {"order": ["a"]}),
        (["expect", 1], {"first_answer_p95_ms": -1}),
        (["most_seconds"], 9),
    ],
    ids=str,
)
def test_both_refuse_the_same(tmp_path: Path, place: list[Any], value: Any) -> None:
    document = deepcopy(GOOD)
    inner: Any = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    assert (VALIDATOR.is_valid([document]), is_parsed(tmp_path, [document])) == (False, False)
