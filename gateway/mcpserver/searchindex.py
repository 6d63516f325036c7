"""The index of the catalogue's operations, and the entries of a search's answer."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from gateway.mcpserver import words
from gateway.mcpserver.catalogue import Catalogue, Operation, texts_of
from gateway.mcpserver.search import Index, SearchDocument

#: The weight of a word by the part of an operation that contains it.
NAME, PATH, SUMMARY, DESCRIPTION, ARGUMENT, ABOUT = 8.0, 2.0, 3.0, 1.0, 0.8, 0.3
#: The most operations in an answer, and how many of them come with their arguments.
MAX_RESULTS: Final = 8
MAX_DETAILED: Final = 3


@lru_cache(maxsize=8)
def index(catalogue: Catalogue) -> Index:
    """Return the index of all operations, shared by every gateway of a process."""
    return Index([_document(operation) for operation in catalogue])


def _document(operation: Operation) -> SearchDocument:
    method = operation.binding.method.name
    arguments = " ".join((*operation.properties, *texts_of(operation.properties)))
    texts: Sequence[tuple[float, str]] = (
        (NAME, operation.id),
        (PATH, operation.binding.path.removeprefix("/api")),
        (SUMMARY, operation.summary),
        (DESCRIPTION, operation.description),
        (ARGUMENT, arguments),
        (ABOUT, operation.about),
    )
    return SearchDocument(operation.id, words.kind_of(operation.binding.verb, method), texts)


def entry(catalogue: Catalogue, operation: Operation, *, detailed: bool) -> dict[str, Any]:
    """Return an operation as an entry of a search's answer."""
    brief = {
        "operation_id": operation.id,
        "request": operation.request,
        "summary": operation.summary,
        "needs_confirm": operation.needs_confirmation,
    }
    if not detailed:
        return brief
    details = {"description": operation.description, "only_over_http": operation.only_over_http}
    return {
        **brief,
        **{name: text for name, text in details.items() if text},
        **operation.access,
        "arguments": catalogue.arguments(operation),
    }
