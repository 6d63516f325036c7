"""The routes of `/docs`.  The pages are written on the first request for one, off the event loop, and kept."""

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

#: Anybody may search, on the loop that answers the carrier: after a search, others wait for so many times as long as it took.
REST = 9


class Reference:
    """Serves the OpenAPI document as pages."""

    def __init__(self, document: dict[str, Any], font: str = "") -> None:
        self._document, self._font, self._writing = document, font, asyncio.Lock()
        self._site: Site | None = None
        self._searching, self._rested_ms = asyncio.Lock(), 0.0

    def routes(self) -> list[Route]:
        return [
            Route(ROOT, self._page),
            Route(f"{ROOT}/search", self._search),
            Route(f"{ROOT}/{{page:path}}", self._page),
        ]

    async def _page(self, request: Request) -> Response:
        site = await self._written()
        return pages.send(request, site.pages.get(request.path_params.get("page", ""), site.missing))

    async def _search(self, request: Request) -> Response:
        site = await self._written()
        async with self._searching:
            await asyncio.sleep(max(0.0, self._rested_ms - monotonic_ms()) / 1000)
            began_ms = monotonic_ms()
            text = site.search(request.query_params.get("q", "")[:MOST_CHARS])
            ended_ms = monotonic_ms()
            self._rested_ms = ended_ms + REST * (ended_ms - began_ms)
        headers = {"Content-Security-Policy": pages.POLICY, "Cache-Control": "no-store"}
        return Response(text, 200, headers, pages.HTML)

    async def _written(self) -> Site:
        async with self._writing:
            if self._site is None:
                self._site = await asyncio.to_thread(Site, self._document, self._font)
        return self._site
