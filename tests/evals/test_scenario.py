"""A scenario that can't be judged is refused before anything starts, with its file, its line and what to write instead."""

import re
from pathlib import Path

import pytest

from evals import scenario
from evals.scenario import BadSuite

GOOD = """\
- name: books
  flow: clinic.yaml
  facts:
    wish: {say: I would like to book a cleaning., when: help you}
  expect:
    - understood: cleaning
"""


def load(folder: Path, text: str) -> scenario.Suite:
    (folder / "clinic.yaml").write_text("flow: {}")
    (folder / "s.yaml").write_text(text)
    return scenario.load([folder / "s.yaml"])


def test_a_scenario_is_read_with_its_defaults(tmp_path: Path) -> None:
    ((folder, only),) = load(tmp_path, GOOD).scenarios
    assert folder == tmp_path
    assert (only.name, only.runs, only.at_least, only.persona.patience_s) == ("books", 3, 3, 12.0)
    assert (only.expect[0].name, only.expect[0].wanted) == ("understood", "cleaning")


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("facts:", "fact:", 3, "unknown key 'fact'; do you mean 'facts'?"),
        ("understood: cleaning", "understod: cleaning", 6, "unknown key 'understod'; do you mean 'understood'?"),
        ("understood: cleaning", "understood: '('", 6, "is not a regular expression"),
        ("understood: cleaning", "understood: '(a+)+$'", 6, "may take for ever"),
        ("understood: cleaning", "understood: '.*'", 6, "true of anything"),
        ("understood: cleaning", f"understood: {'a' * 201}", 6, "at most 200 characters"),
        ("understood: cleaning", "said: thank you", 1, "no expectation proves"),
        ("understood: cleaning", "never_said: '99'", 1, "no expectation proves"),
        ("understood: cleaning", "{understood: cleaning, said: sure}", 6, "one key"),
        ("  expect:", "  runs: 0\n  expect:", 5, "runs: Input should be greater than or equal to 1"),
        ("  expect:", "  pass: {at_least: 4}\n  expect:", 1, "4 of 3 runs can't pass"),
        ("  expect:", "  brain: script\n  expect:", 1, "has nothing to say; write script"),
        ("clinic.yaml", "nowhere.yaml", 2, "there is no file"),
        ("books", "books\n  name: twice", 2, "stands here twice"),
        (GOOD, "name: books", 1, "a file is a list of scenarios"),
    ],
)
def test_what_can_not_be_judged_is_refused(tmp_path: Path, old: str, new: str, line: int, sentence: str) -> None:
    with pytest.raises(BadSuite) as refused:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert re.match(rf"{re.escape(str(tmp_path))}/s\.yaml:{line}: ", str(refused.value)), refused.value
    assert sentence in str(refused.value)


def test_two_scenarios_of_one_name_are_refused_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(BadSuite, match=r"s\.yaml:7: 'books' is also the name in .*s\.yaml:1; choose another"):
        load(tmp_path, GOOD + GOOD)


def test_every_refusal_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadSuite) as refused:
        load(tmp_path, GOOD.replace("facts:", "fact:") + GOOD.replace("cleaning\n", "'('\n", 2))
    assert str(refused.value).count("s.yaml:") >= 2


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    layers = "".join(f"- &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(BadSuite, match="more than 50000 values"):
        load(tmp_path, f"- &l0 [x]\n{layers}")


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSuite, match="can't be read: No such file"):
        scenario.load([tmp_path / "none.yaml"])
