"""The sections of docs/contract.md: what a schema can't express, for the descriptions in the OpenAPI document."""

import re
from collections.abc import Collection
from functools import cache
from typing import Final, NamedTuple

from gateway.guides import catalogue

#: A link to another file or place of the docs.
LINK: Final = re.compile(r"\[([^\]]*)\]\((?!https?://)([^)]*)\)")


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
    text = LINK.sub(_link, catalogue.text("contract"))
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return [Section(title, part.strip()) for title, part in zip(parts[1::2], parts[2::2], strict=True)]


def _link(match: re.Match[str]) -> str:
    """Return the link to a guide by its name in docs/, which the document gets an address for; others as their text."""
    text, target = match.groups()
    is_guide = target.partition("#")[0].removesuffix(".md") in catalogue.GROUP_OF
    return f"[{text}](docs/{target})" if is_guide else text
