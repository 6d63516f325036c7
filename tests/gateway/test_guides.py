"""The guides: every page renders, its links lead somewhere, and nothing in it is more than text."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from gateway import contract, openapi
from gateway.guides import catalogue, markup
from gateway.guides.site import ENTRY, Guides

ROOT = Path(__file__).parents[2]
URL = "https://hum.test"
#: Pages for those who work on HUM itself.
OURS = {"architecture", "console-development", "dependencies", "language"}
LINK = re.compile(r'(?:href|src)="([^"]*)"')


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway's guides, where the console is not built."""
    app = Starlette(routes=Guides(tmp_path, URL).routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as made:
        yield made


def page(name: str) -> markup.GuideHtml:
    return markup.rendered(catalogue.text(name), URL)


def is_served(path: str) -> bool:
    name, _, anchor = path.removeprefix("/guides/").partition("#")
    if name in catalogue.GROUP_OF:
        return not anchor or anchor in page(name).anchors
    return name in {"", "/guides"} or (
        (ROOT / "docs" / name).is_file() and catalogue.PICTURE.fullmatch(name) is not None
    )


def test_every_page_of_the_docs_is_a_guide_or_ours() -> None:
    assert {file.stem for file in (ROOT / "docs").glob("*.md")} == OURS | set(catalogue.GROUP_OF)


async def test_every_guide_is_a_page_whose_links_lead_somewhere(client: httpx.AsyncClient) -> None:
    for name in ("", *catalogue.GROUP_OF):
        answer = await client.get(f"/guides/{name}".rstrip("/"))
        assert answer.status_code == 200 and "'unsafe" not in answer.headers["content-security-policy"]
        links = set(LINK.findall(answer.text))
        assert links
        for link in links:
            place = f"/guides/{name}{link}" if link.startswith("#") and link != "#main" else link
            assert not place.startswith("/guides/") or is_served(place), (name, link)
            assert place.startswith(("/guides", "https://")) or place in {"/", "/docs", "/style.css", "#main"}, link
        assert "<script" not in answer.text and " style=" not in answer.text
        assert "hum.example.com/mcp" not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "where"),
    [
        ("/docs/sms-api.md", 308, "/guides/sms-api"),
        ("/docs/sms-api", 308, "/guides/sms-api"),
        ("/sms-api.md", 308, "/guides/sms-api"),
        ("/guides/sms-api.md", 308, "/guides/sms-api"),
        ("/guides/architecture", 404, None),
        ("/guides/..%2f..%2fpyproject", 404, None),
        ("/docs/nothing.md", 404, None),
        ("/nothing.md", 404, None),
        ("/guides/console/home-desk-light.webp", 200, None),
        ("/guides/console/nothing.webp", 404, None),
        ("/guides/console/..%2f..%2fpyproject.toml", 404, None),
    ],
)
async def test_addresses(client: httpx.AsyncClient, path: str, status: int, where: str | None) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers.get("location")) == (status, where)


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("[a](webhooks.md#verify)", '<a href="/guides/webhooks#verify">a</a>'),
        ("[a](decisions/0070-console-build.md) b", "a b"),
        ("It is so ([74](decisions/0074-if-version.md)).", "It is so."),
        ("[a](https://x.example)", '<a href="https://x.example">a</a>'),
        ("[a](javascript:alert(1))", "[a](javascript:alert(1))"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("`<b>` and `/docs`", '<code>&lt;b&gt;</code> and <a href="/docs"><code>/docs</code></a>'),
        ("![](console/a-b.webp)", '<img src="/guides/console/a-b.webp" alt="a b" loading="lazy" />'),
    ],
)
def test_markup(markdown: str, html: str) -> None:
    assert markup.rendered(markdown, URL).html == f"<p>{html}</p>\n"


def test_like_headings_have_anchors_of_their_own() -> None:
    made = markup.rendered("# A\n\n## It `works`\n\n## It works\n", URL)
    assert made.headings == (("it-works", "It works"), ("it-works-1", "It works"))


def test_what_names_a_guide_elsewhere_names_one_that_is_served() -> None:
    """The console's sources, and the OpenAPI document, whose texts name pages of docs/."""
    sources = [file for file in (ROOT / "console/src").rglob("*.ts*") if file.suffix in {".ts", ".tsx"}]
    named = {link for file in sources for link in re.findall(r'"(/guides/[^"$]+)"', file.read_text("utf-8"))}
    assert len(named) > 5
    named |= set(re.findall(rf"{URL}(/guides/[\w#-]+)", str(openapi.document(contract.bindings(), URL))))
    assert {"/guides/events", "/guides/webhooks#verify"} <= named
    assert not {link for link in named if not is_served(link)}
    files = [*sources, *(ROOT / "control").rglob("*.py"), *(ROOT / "gateway").rglob("*.py")]
    shown = {file.name: re.findall(r'"[^"\n]*\bdocs/[\w-]+\.md[^"\n]*"', text(file)) for file in files}
    assert not {name: found for name, found in shown.items() if found}, "a reader has no such file"


def text(file: Path) -> str:
    """Return a source without its comments and docstrings."""
    return re.sub(r'"""(?:.|\n)*?"""|^\s*(?:#|//|\*|/\*).*$', "", file.read_text("utf-8"), flags=re.MULTILINE)


def test_a_link_in_a_description_is_one_link() -> None:
    linked = catalogue.with_addresses({"a": ["See docs/events.md#x, [it](docs/usage.md) or docs/language.md."]}, URL)
    assert linked == {"a": [f"See [Events]({URL}/guides/events#x), [it]({URL}/guides/usage) or docs/language.md."]}


async def test_where_the_console_is_built_pages_wear_its_clothes(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(f'{{"{ENTRY}": {{"file": "assets/g.js", "css": ["assets/g.css"]}}}}')
    app = Starlette(routes=Guides(tmp_path, URL).routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client:
        answer = await client.get("/guides/usage", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert {"/assets/g.js", "/assets/g.css", "/theme.js"} <= set(LINK.findall(answer.text)) | set(
        re.findall(r'src="([^"]*)"', answer.text)
    )
