"""`/guides`: the index of the guides, and a page for each.  Everyone may read them, as the reference at `/docs`.

A page is rendered when it is first asked for, and kept.  `make` builds what it wears with the console
(`console/src/guides.ts`: the console's font, buttons that copy); where that was not done, it is as readable.
"""

import asyncio
import gzip
import json
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway import compression, pages
from gateway.guides import catalogue, markup

#: The name, in the manifest of the console's build, of what the pages wear.
ENTRY: Final = "src/guides.ts"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}


class Clothes(NamedTuple):
    """What a page wears if the console is built: its scripts and stylesheets."""

    theme: str = ""
    script: str = ""
    styles: tuple[str, ...] = ()

    @classmethod
    def found(cls, console_dir: Path) -> "Clothes":
        """Return what the console's build has."""
        manifest = console_dir / "manifest.json"
        entry = json.loads(manifest.read_bytes()).get(ENTRY) if manifest.exists() else None
        if entry is None:
            return cls()
        return cls("/theme.js", f"/{entry['file']}", tuple(f"/{file}" for file in entry.get("css", ())))


class Body:
    """A page as it is sent: plain or packed."""

    def __init__(self, text: str) -> None:
        self._plain = text.encode()

    @cached_property
    def _packed(self) -> bytes:
        return gzip.compress(self._plain, mtime=0)

    def answer(self, request: Request, status: int = HTTPStatus.OK) -> Response:
        """Return the page as the client accepts it."""
        headers, body = dict(HEADERS), self._plain
        if compression.is_accepted(request.headers):
            headers["Content-Encoding"], body = "gzip", self._packed
        return Response(body, status, headers, pages.HTML)


class Guides:
    """The pages of the guides, and the older addresses that lead to them."""

    def __init__(self, console_dir: Path, public_url: str) -> None:
        self._clothes, self._url = Clothes.found(console_dir), public_url
        self._pages: dict[str, Body] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/guides", self._index),
            Route("/guides/{name}", self._guide),
            Route("/guides/console/{name}", _picture),
            Route("/docs/{name}", _moved),
            Route("/{name}.md", _moved),
        ]

    async def _index(self, request: Request) -> Response:
        return (await self._page("")).answer(request)

    async def _guide(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name.removesuffix(".md") not in catalogue.GROUP_OF:
            return self._missing(request)
        return await _moved(request) if name.endswith(".md") else (await self._page(name)).answer(request)

    async def _page(self, name: str) -> Body:
        """Return a guide, or the index of all for an empty name."""
        if name not in self._pages:
            # The longest page takes 30 ms, in which calls' webhooks must not wait.
            self._pages[name] = await asyncio.to_thread(self._made, name)
        return self._pages[name]

    def _made(self, name: str) -> Body:
        if not name:
            return Body(self._rendered("guides.html", title="Guides", current=name))
        page = markup.rendered(catalogue.text(name), self._url)
        title, group = catalogue.title(name), catalogue.GROUP_OF[name]
        return Body(self._rendered("guide.html", title=title, current=name, group=group, page=page))

    def _missing(self, request: Request) -> Response:
        page = Body(self._rendered("guide_missing.html", title="There is no such guide", current=None))
        return page.answer(request, HTTPStatus.NOT_FOUND)

    def _rendered(self, template: str, **values: Any) -> str:
        groups, titles = catalogue.GROUPS, catalogue.title
        return pages.render(template, clothes=self._clothes, groups=groups, title_of=titles, **values)


async def _moved(request: Request) -> Response:
    """Lead from the name of a file, as documents have it, to its page; a browser keeps the anchor."""
    name = request.path_params["name"].removesuffix(".md")
    if name not in catalogue.GROUP_OF:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return RedirectResponse(catalogue.address(name), HTTPStatus.PERMANENT_REDIRECT)


async def _picture(request: Request) -> Response:
    """Send a picture that a guide shows."""
    name = f"console/{request.path_params['name']}"
    file = catalogue.DOCS / name
    if catalogue.PICTURE.fullmatch(name) is None or not file.is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(await asyncio.to_thread(file.read_bytes), 200, {"Cache-Control": "no-cache"}, "image/webp")
