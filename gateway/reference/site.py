"""The pages of `/docs`, by their paths below it."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway import pages
from gateway.pages import Page
from gateway.reference.content import EVENTS, ROOT, ROUTES, Content
from gateway.reference.operations import Schema
from gateway.reference.search import Index, excerpt


class Site:
    """All pages by the path below `/docs`, and the search."""

    def __init__(self, document: Schema, font: str = "") -> None:
        """Render all pages.  `font` is the path of the console's typeface; empty if the console was not built."""
        self._content, self._font = Content(document), font
        self._index = Index(list(self._content.entries()))
        self.pages: Mapping[str, Page] = dict(self._write())
        self.missing = pages.page(self._render("missing.html", ""), status=404)

    def search(self, query: str) -> str:
        """Render the page of search results."""
        results = [(entry, excerpt(entry.text)) for entry in self._index.find(query)]
        return self._render("search.html", "search", query=query, found=results)

    def _write(self) -> Iterator[tuple[str, Page]]:
        content = self._content
        yield "style.css", pages.page(pages.templates().get_template("style.css").render(font=self._font), "text/css")
        yield "", pages.page(self._render("index.html", "", start=content.start()))
        for section in content.guides:
            path = f"guides/{section.slug}"
            values = {"section": section, "examples": content.examples(section), "sample": content.sample(section)}
            yield path, pages.page(self._render("guide.html", path, **values))
        for tag in content.tags:
            path = f"api/{tag}"
            yield path, pages.page(self._render("resource.html", path, tag=tag, notes=content.notes(tag)))
        yield EVENTS, pages.page(self._render("events.html", EVENTS, types=content.document["x-event-types"]))
        yield ROUTES, pages.page(self._render("routes.html", ROUTES))

    def _render(self, template: str, path: str, **values: Any) -> str:
        return pages.render(template, site=self._content, root=ROOT, path=path, **{"query": "", **values})
