"""The schemas of the OpenAPI document as tables: rows of members, types in words, and the page that shows each schema."""

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
#: Limits not worth showing: how a number is stored, and that a text is not empty, which `required` implies.
OMITTED: Final = {*(("format", name) for name in ("int32", "int64", "double", "float")), ("minLength", 1)}


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
        """Return the name of the schema that this one refers to; empty if it is no reference."""
        return str(schema.get("$ref", "")).rpartition("/")[2]

    def get(self, name: str) -> Schema:
        schema: Schema = self._all[name]
        return schema

    def is_object(self, name: str) -> bool:
        """Tell whether the schema is shown as an object of its own; an enum's words are shown where it is used."""
        return "enum" not in self._all[name]

    def rows(self, schema: Schema) -> list[Row]:
        """Return the members of an object."""
        object_schema = self.get(self.named(schema)) if "$ref" in schema else schema
        members, required = object_schema.get("properties", {}), object_schema.get("required", [])
        # All members of an answer are required, so `required` would be noise.
        is_answer = "additionalProperties" not in object_schema and len(required) == len(members)
        return [
            Row(name, self.kind(member), "required" if name in required and not is_answer else "", _description(member))
            for name, member in members.items()
        ]

    def parameters(self, operation: Operation, where: str = "") -> list[Row]:
        """Return the parameters in the path, the query or the headers; without `where`, in all of them."""
        return [
            Row(
                parameter["name"],
                self.kind(parameter["schema"]),
                "required" if parameter.get("required") else "",
                _description(parameter),
            )
            for parameter in operation.spec["parameters"]
            if where in {parameter["in"], ""}
        ]

    def kind(self, schema: Schema) -> list[Part]:
        """Return a type in words."""
        if name := self.named(schema):
            return [Part(name, name)] if self.is_object(name) else self.kind(self.get(name))
        if "oneOf" in schema:
            return _joined(self.kind(option) for option in schema["oneOf"])
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

    # --- use of schemas -----------------------------------------------------------------------------------------

    def used(self, operation: Operation) -> Iterator[tuple[str, bool]]:
        """Yield the objects in an operation's answers and bodies, and whether the object is the whole answer or body."""
        events = operation.contents.get(STREAM, {}).get("x-sse-events", {})
        for content in (*operation.bodies.values(), *operation.contents.values(), {"schema": events}):
            whole_name = self.named(content.get("schema", {}))
            for name in self.reached(content.get("schema", {})):
                yield name, name == whole_name

    def reached(self, schema: Schema) -> list[str]:
        """Return the names of all objects in a schema, at any depth, the nearest first."""
        names, pending = dict[str, None](), [schema]
        while pending:
            pending = [deeper for part in pending for deeper in self._step(part, names)]
        return list(names)

    def _step(self, schema: Any, names: dict[str, None]) -> Iterator[Any]:
        if isinstance(schema, list):
            yield from schema
        elif isinstance(schema, dict):
            if (name := self.named(schema)) and name not in names:
                if self.is_object(name):
                    names[name] = None
                yield self._all[name]
            yield from (value for key, value in schema.items() if key not in {"examples", "example", "description"})


def places(schemas: Schemas, every: Sequence[Operation]) -> Mapping[str, str]:
    """Map each object to the resource that shows it on its page: the one with the operations that use it most.

    An object that is used once, as an operation's whole body or answer, is shown there and has no place of its own.
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
    for keyword, template in LIMITS.items():
        if keyword in schema and (keyword, schema[keyword]) not in OMITTED:
            yield template.format(schema[keyword])
