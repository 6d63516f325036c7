"""The operations that an agent can find and carry out: those of the OpenAPI document that an API key may call.

An operation's arguments are its parameters (path, query, headers) and the members of its body, by their names, in one object.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.contract import Binding
from gateway.mcpserver.consequences import needs_confirmation
from gateway.schemas import SCHEMAS
from hum import jsonnames
from hum.authorization import Caller, may

Schema = dict[str, Any]
DEFINITIONS: Final = "#/$defs/"
JSON: Final = "application/json"
#: The headers that a client may need to set itself; others are for clients that read streams and files.
SETTABLE: Final = ("Idempotency-Key",)
#: Media types of files that are text: an agent can read them.
READABLE: Final = re.compile(r"text/.*|application/(x-ndjson|json)")


@dataclass(frozen=True)
class Operation:
    """An operation as the document states it, and what carries it out."""

    binding: Binding
    spec: Schema
    properties: Schema
    required: tuple[str, ...]
    #: About its whole area: the comment of the proto file.
    about: str

    @property
    def id(self) -> str:
        return str(self.spec["operationId"])

    @property
    def request(self) -> str:
        return f"{self.binding.verb} {self.binding.path}"

    @property
    def summary(self) -> str:
        return str(self.spec["summary"])

    @property
    def description(self) -> str:
        return str(self.spec.get("description", ""))

    @property
    def access(self) -> Mapping[str, str]:
        access: Mapping[str, str] = self.spec.get("x-hum-access", {})
        return access

    @property
    def needs_confirmation(self) -> bool:
        return needs_confirmation(self.binding)

    @property
    def only_over_http(self) -> str:
        """Why its answer can't be a tool's result; nothing if it can."""
        if self.binding.is_stream:
            return "Its answer is an event stream, which goes on."
        if self.binding.is_file and not all(READABLE.fullmatch(each) for each in self.binding.media_types):
            return f"Its answer is a file ({', '.join(self.binding.media_types)})."
        return ""

    @property
    def names_of(self) -> Mapping[str, str]:
        """Where each parameter goes, by its name; an argument with another name is a member of the body."""
        return {each["name"]: each["in"] for each in _settable(self.binding, self.spec)}


class Catalogue:
    """All of them, by id."""

    def __init__(self, bindings: Sequence[Binding], document: Schema) -> None:
        self._schemas: Schema = document["components"]["schemas"]
        about = {tag["name"]: tag.get("description", "") for tag in document["tags"]}
        self._operations: dict[str, Operation] = {}
        self._for_people = set[str]()
        for binding in bindings:
            spec = document["paths"][binding.path][binding.verb.lower()]
            if Caller.ADMIN_KEY in may(binding.method):
                # A second path of the same method is the same operation.
                self._operations.setdefault(spec["operationId"], self._operation(binding, spec, about))
            else:
                self._for_people.add(spec["operationId"])

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations.values())

    def get(self, operation_id: str) -> Operation | None:
        return self._operations.get(operation_id)

    def is_for_people(self, operation_id: str) -> bool:
        """Tell whether an operation exists that no key may call."""
        return operation_id in self._for_people

    def arguments(self, operation: Operation) -> Schema:
        """The JSON Schema of its arguments, with all that it refers to."""
        schema: Schema = {"type": "object", "properties": operation.properties, "additionalProperties": False}
        if operation.required:
            schema["required"] = list(operation.required)
        needed: Schema = {}
        waiting = [operation.properties]
        while waiting:
            for name in _references(waiting.pop()):
                if name not in needed:
                    needed[name] = self._schemas[name]
                    waiting.append(self._schemas[name])
        if needed:
            schema["$defs"] = dict(sorted(needed.items()))
        made: Schema = _relocated(schema)
        return made

    def _operation(self, binding: Binding, spec: Schema, about: Mapping[str, str]) -> Operation:
        parameters = list(_settable(binding, spec))
        properties = {each["name"]: _described(each) for each in parameters}
        required = [each["name"] for each in parameters if each.get("required")]
        body = spec.get("requestBody", {}).get("content", {}).get(JSON)
        if body:
            whole = self._schemas[body["schema"]["$ref"].removeprefix(SCHEMAS)]
            # What the path names is no member of the body, though the message has a field for it.
            members = {name: each for name, each in whole["properties"].items() if name not in binding.path_fields}
            if shared := members.keys() & properties.keys():
                raise ValueError(f"{spec['operationId']}: both a parameter and a member of the body: {sorted(shared)}")
            properties |= members
            required += [name for name in whole.get("required", ()) if name in members]
        return Operation(binding, spec, properties, tuple(required), about.get(spec["tags"][0], ""))


def _settable(binding: Binding, spec: Schema) -> Iterator[Schema]:
    """The parameters that are arguments; not those which stand beside a body that is a text: ours are JSON."""
    beside_text = {jsonnames.rest_name(field) for field in binding.fields_beside_text}
    for each in spec["parameters"]:
        if each["name"] in SETTABLE if each["in"] == "header" else each["name"] not in beside_text:
            yield each


def _described(parameter: Schema) -> Schema:
    words = parameter.get("description")
    return {**parameter["schema"], "description": words} if words else dict(parameter["schema"])


def _references(schema: Any) -> Iterator[str]:
    """The names of the schemas that this one refers to."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name == "$ref" and isinstance(value, str):
                yield value.removeprefix(SCHEMAS)
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)


def _relocated(schema: Any) -> Any:
    """The same schema with its references into its own definitions."""
    if isinstance(schema, dict):
        return {
            name: value.replace(SCHEMAS, DEFINITIONS, 1) if name == "$ref" else _relocated(value)
            for name, value in schema.items()
        }
    return [_relocated(item) for item in schema] if isinstance(schema, list) else schema


def texts_of(properties: Schema) -> Iterable[str]:
    """What is said about arguments: for the search."""
    return (each["description"] for each in properties.values() if "description" in each)
