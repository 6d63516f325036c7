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


class Reference:
    """Serves the OpenAPI document as pages."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document, self._writing = document, asyncio.Lock()
        self._site: Site | None = None

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
        text = site.search(request.query_params.get("q", "")[:MOST_CHARS])
        headers = {"Content-Security-Policy": pages.POLICY, "Cache-Control": "no-store"}
        return Response(text, 200, headers, pages.HTML)

    async def _written(self) -> Site:
        async with self._writing:
            if self._site is None:
                self._site = await asyncio.to_thread(Site, self._document)
        return self._site
