"""The contracts about layers in pyproject.toml agree with one another and with the modules that there are."""

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def contract(number: int) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in CONTRACTS if each["name"].startswith(f"{number}. "))
    return found


def layers() -> list[list[str]]:
    return [re.findall(r"\((\w+)\)", layer) for layer in contract(4)["layers"]]


def test_contracts_are_numbered() -> None:
    assert [each["name"].partition(".")[0] for each in CONTRACTS] == [str(n + 1) for n in range(len(CONTRACTS))]


def test_pure_modules_are_kept_pure() -> None:
    kept = {name.removeprefix("control.*.") for name in contract(3)["source_modules"] if name.startswith("control.*.")}
    assert set(layers()[-1]) == kept


def test_each_name_in_a_layer_is_a_modules() -> None:
    there = {path.stem for path in (ROOT / "control").glob("*/*.py")}
    assert [name for layer in layers() for name in layer if name not in there] == []


def test_names_stand_in_order() -> None:
    for layer in layers():
        assert layer == sorted(layer)
