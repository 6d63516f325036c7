"""The sections of docs/contract.md: what a schema can't express, for the descriptions in the OpenAPI document."""

import re
from collections.abc import Collection
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

CONTRACT: Final = resources.files("gateway") / "contract.md"
#: A link to another file or place of the docs, which whoever reads the document doesn't have.
LINK: Final = re.compile(r"\[([^\]]*)\]\((?!https?://)[^)]*\)")


class Section(NamedTuple):
    """A section of the contract with its heading, as Markdown."""

    title: str
    text: str

    @property
    def markdown(self) -> str:
        return f"## {self.title}\n\n{self.text}"

    def tags(self, names: Collection[str]) -> set[str]:
        """Return the tags that the title names."""
        return {*re.findall(r"\w+", self.title.lower())}.intersection(names)


def general(tags: Collection[str]) -> str:
    """Return the sections about the API as a whole, which name none of the tags."""
    return "\n\n".join(section.markdown for section in _sections() if not section.tags(tags))


def about(tag: str) -> str:
    """Return the sections about the operations of a tag; empty if there are none."""
    return "\n\n".join(section.markdown for section in _sections() if section.tags({tag}))


@cache
def _sections() -> list[Section]:
    text = LINK.sub(r"\1", CONTRACT.read_text(encoding="utf-8"))
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return [Section(title, part.strip()) for title, part in zip(parts[1::2], parts[2::2], strict=True)]
