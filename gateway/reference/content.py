"""What the pages of `/docs` show, as their templates ask for it."""

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
#: A section of the contract that the reference derives itself, with links.
DERIVED: Final = "Routes"
#: An idempotency key, as it may look.
A_KEY: Final = "7f0c9a52-order-1042"


class Content:
    """The document and docs/contract.md, taken apart."""

    def __init__(self, document: Schema) -> None:
        self.document = document
        self.tags: Mapping[str, str] = {tag["name"]: tag.get("description", "") for tag in document["tags"]}
        self.operations, self.schemas = operations(document), Schemas(document)
        self.places = objects.places(self.schemas, self.operations)
        self.prose = Prose(
            {"authorization.md": f"{ROOT}/{ROUTES}", "events.md": f"{ROOT}/{EVENTS}"},
            {(each.verb, each.path): self.href(each) for each in self.operations},
        )
        self.sections = prose.contract()

    # --- what is where --------------------------------------------------------------------------------------------

    @property
    def guides(self) -> list[Section]:
        """The contract's sections that are about no one resource."""
        return [each for each in self.sections if each.title != DERIVED and not _tags_of(each, self.tags)]

    def href(self, operation: Operation) -> str:
        """The address of an operation."""
        return f"{ROOT}/api/{operation.tag}#{operation.name}"

    def about(self, tag: str) -> str:
        """What a resource is; without its name, which is the heading."""
        text = self.tags[tag]
        name, _, rest = text.partition(": ")
        return rest[:1].upper() + rest[1:] if name.lower() == tag else text

    def of_tag(self, tag: str) -> list[Operation]:
        return [each for each in self.operations if each.tag == tag]

    def notes(self, tag: str) -> list[Section]:
        """The contract's sections about a resource."""
        return [each for each in self.sections if tag in _tags_of(each, self.tags)]

    def objects_of(self, tag: str) -> list[str]:
        return sorted(name for name, place in self.places.items() if place == tag)

    def place(self, schema: str) -> str:
        """The address of an object; nothing if it is shown only where it is used."""
        return f"{ROOT}/api/{self.places[schema]}#{schema}" if schema in self.places else ""

    # --- examples -------------------------------------------------------------------------------------------------

    def snippets(self, operation: Operation) -> list[Snippet]:
        return snippets.snippets(snippets.example(self.document, operation))

    def start(self) -> list[Snippet]:
        """A first request: who am I?"""
        takes_nothing = [each for each in self.operations if each.verb == "GET" and not each.spec["parameters"]]
        return self.snippets(next(each for each in takes_nothing if not self.access(each)))

    def examples(self, section: Section) -> list[Snippet]:
        """The examples of a guide, made of an operation that has what the guide is about."""
        match section.slug:
            case "authentication":
                return self.start()
            case "pagination":
                found = next(each for each in self.operations if each.name == "listFlows")
                return snippets.page_through(found, snippets.example(self.document, found))
            case "idempotency":
                found = next(each for each in self.operations if each.takes("Idempotency-Key") and not each.for_people)
                request = snippets.example(self.document, found)
                return snippets.snippets(snippets.with_header(request, "Idempotency-Key", A_KEY))
            case "event-streams":
                return self.snippets(next(each for each in self.operations if STREAM in each.contents))
        return []

    def sample(self, section: Section) -> Any:
        """What a guide shows instead of a request: of that about errors, an error."""
        return self.schemas.get("ErrorResponse")["examples"][0] if section.slug == "errors" else None

    def json(self, value: Any) -> str:
        return json.dumps(value, indent=2, ensure_ascii=False)

    def answer_example(self, operation: Operation) -> str:
        """What the answer looks like, as text; nothing for files."""
        for kind, content in operation.contents.items():
            if "example" in content:
                return self.json(content["example"]) if kind == JSON else str(content["example"])
        return ""

    def access(self, operation: Operation) -> list[str]:
        """The role and the scope that it needs, or nothing."""
        access = operation.spec.get("x-hum-access", {})
        return [f"{name} {access[name]}" for name in ("role", "scope") if name in access]

    # --- search ---------------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """Everything that can be found; of two that are as good, the one that is first here is told first."""
        for guide in self.guides:
            yield Entry(guide.title, "guide", f"{ROOT}/guides/{guide.slug}", _codes(guide.text), guide.text)
            for part in prose.sections(guide.text, 3):
                href = f"{ROOT}/guides/{guide.slug}#{part.slug}"
                yield Entry(part.title, guide.title, href, _codes(part.text), part.text)
        for tag in self.tags:
            yield Entry(tag.capitalize(), "resource", f"{ROOT}/api/{tag}", "", self.about(tag))
            for note in self.notes(tag):
                yield Entry(f"{note.title}: good to know", "notes", f"{ROOT}/api/{tag}#{note.slug}", "", note.text)
        for each in self.operations:
            events = each.contents.get(STREAM, {}).get("x-sse-events")
            rows = [*self.schemas.parameters(each), *(self.schemas.rows(events) if events else ())]
            names = " ".join(row.name for row in rows)
            text = f"{each.spec['summary']}. {each.spec.get('description', '')}"
            keys = f"{each.name} {each.verb} {each.path} {each.tag} {names}"
            yield Entry(each.title, f"{each.verb} {each.path}", self.href(each), keys, text)
        for name, known in self.document["x-event-types"].items():
            yield Entry(name, "event", f"{ROOT}/{EVENTS}#{name}", "", known["description"])
        for name, tag in self.places.items():
            schema = self.schemas.get(name)
            members = schema.get("properties", {})
            text = " ".join(
                [schema.get("description", ""), *(each.get("description", "") for each in members.values())]
            )
            yield Entry(name, "object", f"{ROOT}/api/{tag}#{name}", " ".join(members), text)


def _codes(text: str) -> str:
    """The words that a text has as code."""
    return " ".join(re.findall(r"`([^`]+)`", text))


def _tags_of(section: Section, tags: Mapping[str, str]) -> set[str]:
    """The resources that a section's title names."""
    return {*re.findall(r"\w+", section.title.lower())} & tags.keys()
