"""Every link, anchor, file and test that the docs name is there."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.house import sources
from tests.house.sources import tree
from tests.support.docpages import BUILT, ROOT

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
#: In backquotes, with at least one folder; what has a placeholder in it is none.
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+?)(?:::(\w+))?`")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")]


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = [re.sub(r"[`*]", "", each.strip().lower()) for each in headings]
    return {re.sub(r"[^\w\- ]", "", each).replace(" ", "-") for each in plain}


@cache
def functions(file: Path) -> set[str]:
    return {each.name for each in sources.functions(tree(file))}


def bad_links(page: Path, text: str) -> Iterator[str]:
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            yield target


def bad_names(text: str) -> Iterator[str]:
    for name, function in NAMED.findall(text):
        if not (ROOT / name.split("/")[0]).is_dir() or name.startswith((".", *BUILT)):
            continue  # a path of somewhere else: in an API, in HUM_HOME, in an image
        file = ROOT / name
        module = file.with_name(file.name.split(".")[0] + ".py")  # `control/calls/carriersteps.route_inbound`
        if not file.exists() and not (module.exists() and file.suffix != ".py"):
            yield name
        elif function and function not in functions(file):
            yield f"{name}::{function}"


def test_what_the_docs_name_is_there() -> None:
    bad = []
    for page in pages():
        text = page.read_text()
        found = [*bad_links(page, text), *bad_names(FENCED.sub("", text))]
        bad += [f"{page.relative_to(ROOT)}: {each}" for each in found]
    assert not bad, "\n".join(bad)


def test_a_bad_link_and_a_bad_name_are_found() -> None:
    page = ROOT / "README.md"
    assert list(
        bad_links(page, "[a](nowhere.md) [b](#nothing) [c](docs/contract.md#nothing) [d](https://x.example)")
    ) == [
        "nowhere.md",
        "#nothing",
        "docs/contract.md#nothing",
    ]
    assert list(bad_names("`control/nowhere.py` `tests/house/test_docs.py::test_no` `api/calls` `control/app.py`")) == [
        "control/nowhere.py",
        "tests/house/test_docs.py::test_no",
    ]
