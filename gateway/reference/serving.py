"""The routes of `/docs`.

All pages are rendered at the first request for one, off the event loop, and stay in memory.
"""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import pages
from gateway.reference.content import ROOT
from gateway.reference.search import MOST_CHARS
from gateway.reference.site import Site
from hum.clock import monotonic_ms

#: Searches run without a credential, on the event loop that answers the carrier: the next one waits this many times as
#: long as the last one took.
REST_FACTOR = 9


class Reference:
    """The OpenAPI document as pages."""

    def __init__(self, document: dict[str, Any], font: str = "") -> None:
        self._document, self._font, self._render_lock = document, font, asyncio.Lock()
        self._site: Site | None = None
        self._search_lock, self._next_search_ms = asyncio.Lock(), 0.0

    def routes(self) -> list[Route]:
        return [
            Route(ROOT, self._page),
            Route(f"{ROOT}/search", self._search),
            Route(f"{ROOT}/{{page:path}}", self._page),
        ]

    async def _page(self, request: Request) -> Response:
        site = await self._rendered_site()
        return pages.send(request, site.pages.get(request.path_params.get("page", ""), site.missing))

    async def _search(self, request: Request) -> Response:
        site = await self._rendered_site()
        async with self._search_lock:
            await asyncio.sleep(max(0.0, self._next_search_ms - monotonic_ms()) / 1000)
            started_ms = monotonic_ms()
            text = site.search(request.query_params.get("q", "")[:MOST_CHARS])
            ended_ms = monotonic_ms()
            self._next_search_ms = ended_ms + REST_FACTOR * (ended_ms - started_ms)
        headers = {"Content-Security-Policy": pages.POLICY, "Cache-Control": "no-store"}
        return Response(text, 200, headers, pages.HTML)

    async def _rendered_site(self) -> Site:
        async with self._render_lock:
            if self._site is None:
                self._site = await asyncio.to_thread(Site, self._document, self._font)
        return self._site
