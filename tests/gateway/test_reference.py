"""`/docs`: everything has its place, every link leads somewhere, nothing is executed, and it is small."""

import json
import re
import subprocess
from collections import Counter
from functools import cached_property
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway import contract, openapi
from gateway.reference import prose
from gateway.reference.content import Content
from gateway.reference.prose import Prose
from gateway.reference.search import MOST_RESULTS, Entry, Index, excerpt
from gateway.reference.site import Site
from hum.contract import eventtypes

ELSEWHERE = {"/", "/openapi.json", "/openapi.yaml"}
MOST_BYTES, MOST_PACKED_BYTES = 200_000, 30_000
PAPERS = {"canvas", "surface", "sunken", "hover", "accent-soft"}
TOKEN = re.compile(r"(--(?:color|font|radius)-[\w-]+): ([^;]+);")
VOID = {"meta", "link", "input", "br", "hr"}


class Read(HTMLParser):
    """The tags of a page, and whether they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags = list[tuple[str, dict[str, str | None]]]()
        self.open = list[str]()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]

    @property
    def ids(self) -> Counter[str]:
        return Counter(str(attributes["id"]) for _, attributes in self.tags if "id" in attributes)


class Docs:
    """All of it, made for the first test that looks at it."""

    @cached_property
    def document(self) -> dict[str, Any]:
        return openapi.document(contract.bindings(), "https://hum.example")

    @cached_property
    def site(self) -> Site:
        return Site(self.document)

    @cached_property
    def content(self) -> Content:
        return Content(self.document)

    @cached_property
    def pages(self) -> dict[str, str]:
        return {f"/docs/{path}".rstrip("/"): kept.body.decode() for path, kept in self.site.pages.items()}

    @cached_property
    def html(self) -> dict[str, str]:
        return {path: text for path, text in self.pages.items() if not path.endswith(".css")}

    @cached_property
    def read(self) -> dict[str, Read]:
        return {path: Read(text) for path, text in self.html.items()}


DOCS = Docs()


def test_every_operation_has_its_place_and_three_languages() -> None:
    for each in DOCS.content.operations:
        page = DOCS.html[f"/docs/api/{each.tag}"]
        section = page.partition(f'aria-labelledby="{each.name}"')[2].partition("</section>")[0]
        assert section, each.name
        for words in ("<summary>curl</summary>", "<summary>Python</summary>", "<summary>TypeScript</summary>"):
            assert words in section, (each.name, words)
    assert len(DOCS.content.operations) == len(contract.bindings())


def test_every_event_has_its_place_and_the_members_of_its_data() -> None:
    for name in eventtypes.visible():
        section = DOCS.html["/docs/events"].partition(f'aria-labelledby="{name}"')[2].partition("</section>")[0]
        for member in DOCS.document["x-event-types"][name]["example"]:
            assert f"<dt><code>{member}</code>" in section, (name, member)
    stream = DOCS.html["/docs/api/calls"].partition('aria-labelledby="streamCall"')[2].partition("</section>")[0]
    events = DOCS.document["components"]["schemas"]["StreamCallEvents"]["properties"]
    assert len(events) > 5
    for name in events:
        assert f"<dt><code>{name}</code>" in stream and f"event: {name}" in stream, name


def test_every_object_is_shown_somewhere() -> None:
    everything = "".join(DOCS.html.values())
    for name, schema in DOCS.document["components"]["schemas"].items():
        if "enum" in schema or name.startswith("Error"):
            continue
        shown_by_itself = DOCS.content.place(name)
        for member in schema.get("properties", {}):
            assert f"<dt><code>{member}</code>" in everything, (name, member)
        assert (
            not shown_by_itself or shown_by_itself.partition("#")[2] in DOCS.read[shown_by_itself.partition("#")[0]].ids
        )


def test_every_section_of_the_contract_is_on_a_page() -> None:
    sections = prose.contract()
    assert len(sections) > 10
    for section in sections:
        headings = [
            path
            for path, text in DOCS.html.items()
            if f">{section.title}</h1>" in text or f'id="{section.slug}"' in text
        ]
        assert headings or section.title == "Routes", section.title


def test_every_link_leads_somewhere() -> None:
    for path, page in DOCS.read.items():
        for link in page.all("a", "link"):
            target, _, place = str(link["href"]).partition("#")
            target = target or path
            assert target in DOCS.pages or target in ELSEWHERE, (path, link)
            assert not place or place in DOCS.read[target].ids, (path, link)
        for form in page.all("form"):
            assert form["action"] == "/docs/search" and form.get("method", "get") == "get"


def test_pages_are_small() -> None:
    for path, kept in DOCS.site.pages.items():
        assert len(kept.body) <= MOST_BYTES and len(kept.packed) <= MOST_PACKED_BYTES, (path, len(kept.body))


def test_nothing_is_executed_or_fetched_from_elsewhere() -> None:
    for path, page in DOCS.read.items():
        for tag, attributes in page.tags:
            assert tag not in {"script", "iframe", "object", "embed", "base", "img", "style"}, path
            for name, value in attributes.items():
                assert not name.startswith("on") and name not in {"style", "src", "http-equiv"}, (path, tag, name)
                assert not re.match(r"\s*(javascript|data):|https?:|//", value or "") or name == "value", (path, value)


def test_pages_are_well_formed_and_can_be_read_aloud() -> None:
    for path, page in DOCS.read.items():
        assert not page.open, path
        assert page.tags[0] == ("html", {"lang": "en"}), path
        assert not [name for name, count in page.ids.items() if count > 1], path
        assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1, path
        main = [tag for tag, _ in page.tags][[tag for tag, _ in page.tags].index("main") :]
        levels = [int(tag[1]) for tag in main if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels)), path
        assert all(each.get("aria-label") for each in (*page.all("nav"), *page.all("input"))), path
        assert all(each.get("tabindex") == "0" and each.get("aria-label") for each in page.all("pre")), path
        for _, attributes in page.tags:
            assert attributes.get("aria-labelledby", next(iter(page.ids))) in page.ids, (path, attributes)
        here = [each for each in page.all("a") if each.get("aria-current") == "page"]
        assert [each["href"] for each in here] == [path], path


def test_what_the_document_says_is_escaped() -> None:
    hostile = json.loads(json.dumps(DOCS.document).replace("Riverside Clinic", "<script>alert(1)</script>'\\\""))
    hostile["tags"][0]["description"] = "<img src=x onerror=alert(1)> [go](javascript:alert(1))"
    hostile["paths"]["/api/me"]["get"]["summary"] = "<b>`</code><script>`"
    site = Site(hostile)
    for kept in site.pages.values():
        text = kept.body.decode()
        assert "<script" not in text and "<img" not in text and "<b>" not in text and 'href="javascript:' not in text
    found = site.search('"><script>alert(1)</script>')
    assert "<script" not in found and "&lt;script&gt;" in found


def test_colours_can_be_told_from_the_paper() -> None:
    """Contrast as WCAG 2 counts it (w3.org/TR/WCAG22, "relative luminance"), in the light and in the dark."""
    schemes = re.findall(r"--color-([\w-]+): light-dark\(#(\w+), #(\w+)\);", DOCS.pages["/docs/style.css"])
    for at in (1, 2):
        colours = {each[0]: each[at] for each in schemes}
        for paper in PAPERS:
            for ink in colours.keys() - PAPERS - {"line", "line-strong"}:
                assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper, at)


def test_the_reference_wears_what_the_console_does() -> None:
    """Their tokens have the same names and values: whoever changes one changes the other."""
    theirs = dict(TOKEN.findall(Path("console/src/styles.css").read_text(encoding="utf-8")))
    ours = dict(TOKEN.findall(DOCS.pages["/docs/style.css"]))
    assert len(ours) >= 18 and ours.items() <= theirs.items()
    assert not re.search(r"#[0-9a-f]{3,6}\b", DOCS.pages["/docs/style.css"].split("}", 1)[1]), "colours have names"
    assert DOCS.read["/docs"].all("a")[1]["href"] == "/"
    with_font = Site(DOCS.document, "/assets/inter.woff2").pages["style.css"].body.decode()
    assert 'src: url("/assets/inter.woff2")' in with_font and "@font-face" not in DOCS.pages["/docs/style.css"]


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    long = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [int(long[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# --- prose --------------------------------------------------------------------------------------------------------


def test_links_in_prose_lead_to_pages_or_nowhere() -> None:
    written = Prose({"events.md": "/docs/events"}, {("GET", "/api/me"): "/docs/api/identity#getMe"})
    assert written.line("[types](events.md)") == '<a href="/docs/events">types</a>'
    assert written.line("[a *file*](../hum/file.py)") == "a <em>file</em>"
    assert written.line("`GET /api/me?x=1`") == '<a href="/docs/api/identity#getMe"><code>GET /api/me?x=1</code></a>'
    assert written.line("`GET /api/you`") == "<code>GET /api/you</code>"
    assert written.line("<b>") == "&lt;b&gt;"
    assert '<h3 id="a-b">A &amp; b</h3>' in written.page("### A & b")


# --- search -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("pagination", "/docs/guides/pagination"),
        ("create flow", "/docs/api/flows#createFlow"),
        ("createFlow", "/docs/api/flows#createFlow"),
        ("POST /api/flows", "/docs/api/flows#createFlow"),
        ("idempotency_mismatch", "/docs/guides/idempotency"),
        ("RATE_LIMITED", "/docs/guides/errors"),
        ("transcript.delta", "/docs/api/calls#streamCall"),
        ("call.completed", "/docs/events#call.completed"),
        ("turnconfig", "/docs/api/flows#TurnConfigJson"),
    ],
)
def test_what_people_look_for_is_found(query: str, first: str) -> None:
    found = DOCS.site.search(query)
    assert found.partition('class="found"')[2].partition('href="')[2].partition('"')[0] == first
    assert "Search for" in found


def test_words_are_found_by_their_beginnings_and_names_by_their_middles() -> None:
    index = Index([Entry("TurnConfigJson", "object", "/1", "cut_after_ms", "Changes with an update.")])
    for query in ("turn", "config", "after", "changes", "an upd", "CUT_after"):
        assert index.find(query), query
    for query in ("hang", "pda", "fig", "ut_"):
        assert not index.find(query), query


def test_a_search_is_bounded_and_says_when_it_finds_nothing() -> None:
    index = Index([Entry(f"Thing {at}", "thing", "/", "", "x " * 1000) for at in range(100)])
    assert len(index.find("x")) == MOST_RESULTS
    assert index.find("") == index.find("   ") == [] == index.find("x nothing")
    assert [each.title for each in index.find("THING 99 " + "y" * 1000)] == []
    assert [each.title for each in index.find("(thing 7")] == []
    assert "Nothing has all of these words" in DOCS.site.search("xyzzy")
    assert len(excerpt("word " * 100)) < 170 and excerpt("a `b` [c](d.md)") == "a b c"


# --- examples -----------------------------------------------------------------------------------------------------


def test_every_example_is_written_in_its_language(tmp_path: Path) -> None:
    """Whether they run is tested in tests/contract/test_pages.py."""
    shell = list[str]()
    for each in DOCS.content.operations:
        curl, python, typescript = DOCS.content.snippets(each)
        compile(python.code, each.name, "exec")
        shell.append(curl.code)
        assert "undefined" not in typescript.code and typescript.code.count("{") == typescript.code.count("}")
    script = tmp_path / "all.sh"
    script.write_text("\n".join(shell))
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
