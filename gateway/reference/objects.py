"""The schemas of the OpenAPI document as tables: a row for each member, its type in words, and where each schema is shown."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gateway.reference.operations import STREAM, Operation, Schema

LIMITS: Final = {
    "format": "{}",
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "exclusiveMaximum": "below {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} members",
}
#: How a number is stored, which nobody who sends JSON can use; and that a text is not empty, which its being required says.
UNSAID: Final = {*(("format", name) for name in ("int32", "int64", "double", "float")), ("minLength", 1)}


class Part(NamedTuple):
    """A piece of a type in words; `schema` is the object that it names."""

    text: str
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A member or a parameter."""

    name: str
    kind: Sequence[Part]
    note: str
    description: str


class Schemas:
    """The document's schemas, by name."""

    def __init__(self, document: Schema) -> None:
        self._all: Schema = document["components"]["schemas"]

    def named(self, schema: Schema) -> str:
        """The name of the one schema that this one refers to, or nothing."""
        return str(schema.get("$ref", "")).rpartition("/")[2]

    def get(self, name: str) -> Schema:
        found: Schema = self._all[name]
        return found

    def is_object(self, name: str) -> bool:
        """Whether the schema is shown as an object of its own; an enum's words are shown where it is used."""
        return "enum" not in self._all[name]

    def rows(self, schema: Schema) -> list[Row]:
        """The members of an object."""
        whole = self.get(self.named(schema)) if "$ref" in schema else schema
        members, required = whole.get("properties", {}), whole.get("required", [])
        # An answer has all of its members, which need not be said of each.
        is_answer = "additionalProperties" not in whole and len(required) == len(members)
        return [
            Row(name, self.kind(each), "required" if name in required and not is_answer else "", _description(each))
            for name, each in members.items()
        ]

    def parameters(self, operation: Operation, where: str = "") -> list[Row]:
        """The parameters in the path, the query or the headers; without `where`, in all of them."""
        return [
            Row(
                each["name"],
                self.kind(each["schema"]),
                "required" if each.get("required") else "",
                _description(each),
            )
            for each in operation.spec["parameters"]
            if where in {each["in"], ""}
        ]

    def kind(self, schema: Schema) -> list[Part]:
        """A type in words."""
        if name := self.named(schema):
            return [Part(name, name)] if self.is_object(name) else self.kind(self.get(name))
        if "oneOf" in schema:
            return _joined(self.kind(each) for each in schema["oneOf"])
        if "enum" in schema:
            return [Part(" | ".join(schema["enum"]))]
        if "type" not in schema:
            return [Part("any JSON")]
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        limits = ", ".join(_limits(schema))
        return [*_joined(self._of_type(kind, schema) for kind in kinds), *([Part(f" ({limits})")] if limits else [])]

    def _of_type(self, kind: str, schema: Schema) -> list[Part]:
        if kind == "array" and "items" in schema:
            return [Part("list of "), *self.kind(schema["items"])]
        values = schema.get("additionalProperties")
        if kind == "object" and isinstance(values, dict) and "properties" not in schema:
            return [Part("object of "), *self.kind(values)]
        return [Part(kind)]

    # --- what is shown where ------------------------------------------------------------------------------------

    def used(self, operation: Operation) -> Iterator[tuple[str, bool]]:
        """The objects that an operation's answer and body hold, each with whether it is the whole of one."""
        events = operation.contents.get(STREAM, {}).get("x-sse-events", {})
        for held in (*operation.bodies.values(), *operation.contents.values(), {"schema": events}):
            own = self.named(held.get("schema", {}))
            for name in self.reached(held.get("schema", {})):
                yield name, name == own

    def reached(self, schema: Schema) -> list[str]:
        """The names of all objects that a schema holds, at any depth, the nearest first."""
        found, waiting = dict[str, None](), [schema]
        while waiting:
            waiting = [deeper for each in waiting for deeper in self._step(each, found)]
        return list(found)

    def _step(self, schema: Any, found: dict[str, None]) -> Iterator[Any]:
        if isinstance(schema, list):
            yield from schema
        elif isinstance(schema, dict):
            if (name := self.named(schema)) and name not in found:
                if self.is_object(name):
                    found[name] = None
                yield self._all[name]
            yield from (each for key, each in schema.items() if key not in {"examples", "example", "description"})


def places(schemas: Schemas, every: Sequence[Operation]) -> Mapping[str, str]:
    """The resource on whose page each object is shown: the one whose operations use it most.

    An object that is one operation's whole body or answer, and nothing else's, is shown there and has no place of its own.
    """
    uses, whole = defaultdict[str, Counter[str]](Counter), Counter[str]()
    for operation in every:
        for name, is_whole in schemas.used(operation):
            uses[name][operation.tag] += 1
            whole[name] += is_whole
    counts = {name: by_tag.total() for name, by_tag in uses.items()}
    return {
        name: by_tag.most_common(1)[0][0]
        for name, by_tag in uses.items()
        if not (whole[name] == 1 and counts[name] == 1)
    }


def _description(of: Schema) -> str:
    return str(of.get("description", ""))


def _joined(kinds: Iterable[Sequence[Part]]) -> list[Part]:
    parts = list[Part]()
    for kind in dict.fromkeys(map(tuple, kinds)):
        parts += [Part(" or "), *kind] if parts else kind
    return parts


def _limits(schema: Schema) -> Iterator[str]:
    for keyword, words in LIMITS.items():
        if keyword in schema and (keyword, schema[keyword]) not in UNSAID:
            yield words.format(schema[keyword])
