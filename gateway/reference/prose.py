"""The sections of docs/contract.md and descriptions from the contract, as HTML.

HTML tags in the Markdown are escaped.
"""

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

CONTRACT: Final = resources.files("gateway.reference") / "contract.md"
ABSOLUTE: Final = ("https://", "http://", "/", "#")
#: `GET /api/calls`, perhaps with a query or a body after it.
REQUEST: Final = re.compile(r"([A-Z]+) (/[^\s?]*)")


class Section(NamedTuple):
    """A part of a page under its own heading."""

    title: str
    text: str

    @property
    def slug(self) -> str:
        return slug(self.title)


def contract() -> list[Section]:
    """Return the sections of docs/contract.md, without the text before the first."""
    return sections(CONTRACT.read_text(encoding="utf-8"), 2)


def sections(text: str, level: int) -> list[Section]:
    """Split a Markdown text into sections at its headings of one level."""
    parts = re.split(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)
    return [Section(title, part.strip()) for title, part in zip(parts[1::2], parts[2::2], strict=True)]


def slug(title: str) -> str:
    """Return a heading in the form that URLs use."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


class Prose:
    """A renderer of Markdown.

    `links` maps targets of relative links to addresses of pages; any other relative link becomes plain text.
    `requests` maps verb and path to the address of an operation, to which code such as `GET /api/me` is linked.
    """

    def __init__(self, links: Mapping[str, str], requests: Mapping[tuple[str, str], str]) -> None:
        self._links, self._requests = links, requests
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
        self._markdown.add_render_rule("table_open", _table_open)
        self._markdown.add_render_rule("table_close", _table_close)

    def page(self, text: str, raised: int = 0) -> Markup:
        """Render a text with paragraphs, lists and tables; its headings get ids, and are raised by `raised` levels."""
        tokens = self._markdown.parse(text)
        for token, following in zip(tokens, [*tokens[1:], None], strict=True):
            if token.type in {"heading_open", "heading_close"}:
                token.tag = f"h{int(token.tag[1]) - raised}"
            if token.type == "heading_open" and following is not None:
                token.attrSet("id", slug(following.content))
            token.children = self._linked(token.children or [])
        return Markup(self._markdown.renderer.render(tokens, self._markdown.options, {}))  # noqa: S704 - rendered from text

    def line(self, text: str) -> Markup:
        """Render a description without paragraphs."""
        tokens = self._markdown.parseInline(text)
        for token in tokens:
            token.children = self._linked(token.children or [])
        return Markup(self._markdown.renderer.render(tokens, self._markdown.options, {}))  # noqa: S704 - rendered from text

    def _linked(self, children: Sequence[Token]) -> list[Token]:
        linked, inside = list[Token](), list[bool]()
        for token in children:
            if token.type == "link_open":
                href = str(token.attrGet("href"))
                target = href if href.startswith(ABSOLUTE) else self._links.get(href, "")
                token.attrSet("href", target)
                inside.append(bool(target))
                linked += [token] if target else []
            elif token.type == "link_close":
                linked += [token] if inside.pop() else []
            elif token.type == "code_inline" and not inside and (target := self._request(token.content)):
                linked += [Token("link_open", "a", 1, {"href": target}), token, Token("link_close", "a", -1)]
            else:
                linked.append(token)
        return linked

    def _request(self, code: str) -> str:
        match = REQUEST.match(code)
        return self._requests.get((match[1], match[2]), "") if match else ""


def _table_open(*_: Any) -> str:
    return '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"
