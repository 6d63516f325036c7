"""The content of the pages of `/docs`, for their templates."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.reference import objects, prose, snippets
from gateway.reference.objects import Schemas
from gateway.reference.operations import JSON, STREAM, Operation, Schema, operations
from gateway.reference.prose import Prose, Section
from gateway.reference.search import Entry
from gateway.reference.snippets import Snippet

ROOT: Final = "/docs"
ROUTES: Final = "routes"
EVENTS: Final = "events"
#: A section of the contract that the reference generates itself, with links.
DERIVED: Final = "Routes"
#: An example of an idempotency key.
A_KEY: Final = "7f0c9a52-order-1042"


class Content:
    """The parts of the OpenAPI document and of docs/contract.md."""

    def __init__(self, document: Schema) -> None:
        self.document = document
        self.tags: Mapping[str, str] = {tag["name"]: tag.get("description", "") for tag in document["tags"]}
        self.operations, self.schemas = operations(document), Schemas(document)
        self.places = objects.places(self.schemas, self.operations)
        self.prose = Prose(
            {"authorization.md": f"{ROOT}/{ROUTES}", "events.md": f"{ROOT}/{EVENTS}"},
            {(operation.verb, operation.path): self.href(operation) for operation in self.operations},
        )
        self.sections = prose.contract()

    # --- addresses ------------------------------------------------------------------------------------------------

    @property
    def guides(self) -> list[Section]:
        """The contract's sections that are not about a resource."""
        return [section for section in self.sections if section.title != DERIVED and not _tags_of(section, self.tags)]

    def href(self, operation: Operation) -> str:
        """Return the address of an operation."""
        return f"{ROOT}/api/{operation.tag}#{operation.name}"

    def about(self, tag: str) -> str:
        """Return the description of a resource, without its name, which is the heading."""
        text = self.tags[tag]
        name, _, rest = text.partition(": ")
        return rest[:1].upper() + rest[1:] if name.lower() == tag else text

    def of_tag(self, tag: str) -> list[Operation]:
        return [operation for operation in self.operations if operation.tag == tag]

    def notes(self, tag: str) -> list[Section]:
        """Return the contract's sections about a resource."""
        return [section for section in self.sections if tag in _tags_of(section, self.tags)]

    def objects_of(self, tag: str) -> list[str]:
        return sorted(name for name, place in self.places.items() if place == tag)

    def place(self, schema: str) -> str:
        """Return the address of an object; empty if it is shown only where it is used."""
        return f"{ROOT}/api/{self.places[schema]}#{schema}" if schema in self.places else ""

    # --- examples -------------------------------------------------------------------------------------------------

    def snippets(self, operation: Operation) -> list[Snippet]:
        return snippets.snippets(snippets.example(self.document, operation))

    def start(self) -> list[Snippet]:
        """Return the snippets of a first request: a GET that needs no parameters, role or scope."""
        candidates = [
            operation for operation in self.operations if operation.verb == "GET" and not operation.spec["parameters"]
        ]
        return self.snippets(next(operation for operation in candidates if not self.access(operation)))

    def examples(self, section: Section) -> list[Snippet]:
        """Return the examples of a guide, made from an operation with the feature that the guide describes."""
        match section.slug:
            case "authentication":
                return self.start()
            case "pagination":
                operation = next(operation for operation in self.operations if operation.name == "listFlows")
                return snippets.page_through(operation, snippets.example(self.document, operation))
            case "idempotency":
                operation = next(
                    operation
                    for operation in self.operations
                    if operation.takes("Idempotency-Key") and not operation.for_people
                )
                request = snippets.example(self.document, operation)
                return snippets.snippets(snippets.with_header(request, "Idempotency-Key", A_KEY))
            case "event-streams":
                return self.snippets(next(operation for operation in self.operations if STREAM in operation.contents))
        return []

    def sample(self, section: Section) -> Any:
        """Return what a guide shows instead of a request: an error, in the guide about errors."""
        return self.schemas.get("ErrorResponse")["examples"][0] if section.slug == "errors" else None

    def json(self, value: Any) -> str:
        return json.dumps(value, indent=2, ensure_ascii=False)

    def answer_example(self, operation: Operation) -> str:
        """Return an example of an operation's answer as text; empty for files."""
        for kind, content in operation.contents.items():
            if "example" in content:
                return self.json(content["example"]) if kind == JSON else str(content["example"])
        return ""

    def access(self, operation: Operation) -> list[str]:
        """Return the role and the scope that an operation needs; empty if it needs none."""
        access = operation.spec.get("x-hum-access", {})
        return [f"{name} {access[name]}" for name in ("role", "scope") if name in access]

    # --- search ---------------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """Yield all entries of the search; of two with the same score, the earlier one is shown first."""
        for guide in self.guides:
            yield Entry(guide.title, "guide", f"{ROOT}/guides/{guide.slug}", _codes(guide.text), guide.text)
            for part in prose.sections(guide.text, 3):
                href = f"{ROOT}/guides/{guide.slug}#{part.slug}"
                yield Entry(part.title, guide.title, href, _codes(part.text), part.text)
        for tag in self.tags:
            yield Entry(tag.capitalize(), "resource", f"{ROOT}/api/{tag}", "", self.about(tag))
            for note in self.notes(tag):
                yield Entry(f"{note.title}: good to know", "notes", f"{ROOT}/api/{tag}#{note.slug}", "", note.text)
        for operation in self.operations:
            events = operation.contents.get(STREAM, {}).get("x-sse-events")
            rows = [*self.schemas.parameters(operation), *(self.schemas.rows(events) if events else ())]
            names = " ".join(row.name for row in rows)
            text = f"{operation.spec['summary']}. {operation.spec.get('description', '')}"
            keys = f"{operation.name} {operation.verb} {operation.path} {operation.tag} {names}"
            yield Entry(operation.title, f"{operation.verb} {operation.path}", self.href(operation), keys, text)
        for name, event_type in self.document["x-event-types"].items():
            yield Entry(name, "event", f"{ROOT}/{EVENTS}#{name}", "", event_type["description"])
        for name, tag in self.places.items():
            schema = self.schemas.get(name)
            members = schema.get("properties", {})
            text = " ".join(
                [schema.get("description", ""), *(operation.get("description", "") for operation in members.values())]
            )
            yield Entry(name, "object", f"{ROOT}/api/{tag}#{name}", " ".join(members), text)


def _codes(text: str) -> str:
    """Return the words of a text that are marked as code."""
    return " ".join(re.findall(r"`([^`]+)`", text))


def _tags_of(section: Section, tags: Mapping[str, str]) -> set[str]:
    """Return the resources that a section's title names."""
    return {*re.findall(r"\w+", section.title.lower())} & tags.keys()
