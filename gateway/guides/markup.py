"""A page of docs/ as HTML: its links lead to other guides, its headings have anchors, and no style or script is in it."""

import re
from collections.abc import Iterator
from html import escape
from typing import Any, Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from gateway.guides import catalogue

#: A parenthesis that only cites a page which no guide is.
CITATION: Final = re.compile(r"\s*\(\[[^\]]*\]\((?:decisions|benchmarks)/[^)]*\)\)")
#: The address that examples have; a guide has the platform's own.
EXAMPLE: Final = "https://hum.example.com"
#: Code that is an address of this host.
PATHS: Final = {"/docs"}


class Heading(NamedTuple):
    """A heading of the second level: its anchor, and its text without markup."""

    anchor: str
    title: str


class GuideHtml(NamedTuple):
    """A page's HTML and its sections."""

    html: str
    headings: tuple[Heading, ...]
    anchors: frozenset[str]


def rendered(markdown: str, url: str) -> GuideHtml:
    """Render a page; raw HTML in it is shown as text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    for name, rule in RULES.items():
        parser.add_render_rule(name, rule)
    tokens = parser.parse(CITATION.sub("", markdown).replace(EXAMPLE, url))
    headings, anchors = [], set[str]()
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            anchor, text = _name(token, tokens[at + 1], anchors)
            if token.tag == "h2":
                headings.append(Heading(anchor, text))
        elif token.type == "inline":
            token.children = list(_with_links(token.children or []))
    _arrange_cells(tokens)
    return GuideHtml(parser.renderer.render(tokens, parser.options, {}), tuple(headings), frozenset(anchors))


def slug(heading: str) -> str:
    """Return a heading's anchor as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _name(opening: Token, inline: Token, anchors: set[str]) -> tuple[str, str]:
    """Give a heading its anchor and make its text a link to it; return both."""
    text = "".join(child.content for child in inline.children or [])
    base = anchor = slug(text)
    number = 0
    while anchor in anchors:
        number += 1
        anchor = f"{base}-{number}"
    anchors.add(anchor)
    opening.attrSet("id", anchor)
    if opening.tag != "h1":
        link = Token("link_open", "a", 1, attrs={"href": f"#{anchor}"})
        inline.children = [link, *(inline.children or []), Token("link_close", "a", -1)]
    return anchor, text


def _with_links(children: list[Token]) -> Iterator[Token]:
    """Yield the tokens with links and pictures that lead somewhere; a link that would lead nowhere is its text."""
    is_dropped = False
    for child in children:
        if child.type == "link_open":
            target = catalogue.resolved(str(child.attrGet("href")))
            is_dropped = target is None
            if target is not None:
                child.attrSet("href", target)
        elif child.type == "image":
            source = str(child.attrGet("src"))
            child.attrSet("src", catalogue.resolved(source) or "")
            child.attrSet("loading", "lazy")
            if not child.children:
                name = source.rpartition("/")[2].partition(".")[0].replace("-", " ")
                child.children = [Token("text", "", 0, content=name)]
        if not (is_dropped and child.type in {"link_open", "link_close"}):
            yield child


def _arrange_cells(tokens: list[Token]) -> None:
    """Say a column's alignment by a class, as the policy forbids styles; an empty head is no head."""
    for at, token in enumerate(tokens):
        if token.type in {"th_open", "td_open"} and token.attrs.pop("style", "") == "text-align:right":
            token.attrSet("class", "number")
        if token.type == "th_open" and not tokens[at + 1].content:
            token.tag = tokens[at + 2].tag = "td"


def _code(_: Any, tokens: list[Token], at: int, *__: Any) -> str:
    # Whoever uses the keyboard scrolls a block that has the focus.
    return f'<div class="code"><pre tabindex="0"><code>{escape(tokens[at].content)}</code></pre></div>\n'


def _inline_code(_: Any, tokens: list[Token], at: int, *__: Any) -> str:
    code = f"<code>{escape(tokens[at].content)}</code>"
    return f'<a href="{tokens[at].content}">{code}</a>' if tokens[at].content in PATHS else code


RULES: Final = {
    "fence": _code,
    "code_block": _code,
    "code_inline": _inline_code,
    "table_open": lambda *_: '<div class="scroll" tabindex="0"><table>\n',
    "table_close": lambda *_: "</table></div>\n",
}
