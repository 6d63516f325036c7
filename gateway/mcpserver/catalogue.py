"""The operations that an agent can find and execute: those of the OpenAPI document that an API key may call.

An operation's arguments are its parameters (path, query, headers) and the members of its body, by name, in one object.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.contract import Binding
from gateway.mcpserver.consequences import needs_confirmation
from gateway.schemas import SCHEMAS
from hum.contract.authorization import CallerKind, allowed_callers
from hum.contract.comments import about
from hum.json import names as jsonnames

Schema = dict[str, Any]
DEFINITIONS: Final = "#/$defs/"
JSON: Final = "application/json"
#: The headers that an agent may set; the others are for clients that read streams and files.
SETTABLE: Final = ("Idempotency-Key",)
#: Media types of files that are text: an agent can read them.
READABLE: Final = re.compile(r"text/.*|application/(x-ndjson|json)")


@dataclass(frozen=True)
class Operation:
    """An operation as the document states it, and the binding that executes it."""

    binding: Binding
    spec: Schema
    properties: Schema
    required: tuple[str, ...]
    #: The comment of its proto file, about the whole area.
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
        """Why its answer can't be a tool's result; empty if it can."""
        if self.binding.is_stream:
            return "Its answer is an event stream, which goes on."
        if self.binding.is_file and not all(READABLE.fullmatch(media_type) for media_type in self.binding.media_types):
            return f"Its answer is a file ({', '.join(self.binding.media_types)})."
        return ""

    @property
    def names_of(self) -> Mapping[str, str]:
        """The place of each parameter by its name; an argument with another name is a member of the body."""
        return {parameter["name"]: parameter["in"] for parameter in _settable(self.binding, self.spec)}


class Catalogue:
    """All operations by id."""

    def __init__(self, bindings: Sequence[Binding], document: Schema) -> None:
        self._schemas: Schema = document["components"]["schemas"]
        self._operations: dict[str, Operation] = {}
        self._for_people = set[str]()
        for binding in bindings:
            spec = document["paths"][binding.path][binding.verb.lower()]
            if CallerKind.ADMIN_KEY in allowed_callers(binding.method):
                # A second path of the same method is the same operation.
                self._operations.setdefault(spec["operationId"], self._operation(binding, spec))
            else:
                self._for_people.add(spec["operationId"])

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations.values())

    def get(self, operation_id: str) -> Operation | None:
        return self._operations.get(operation_id)

    def is_for_people(self, operation_id: str) -> bool:
        """Tell whether the operation exists and no key may call it."""
        return operation_id in self._for_people

    def arguments(self, operation: Operation) -> Schema:
        """Return the JSON Schema of an operation's arguments, with all definitions that it refers to."""
        schema: Schema = {"type": "object", "properties": operation.properties, "additionalProperties": False}
        if operation.required:
            schema["required"] = list(operation.required)
        definitions: Schema = {}
        pending = [operation.properties]
        while pending:
            for name in _references(pending.pop()):
                if name not in definitions:
                    definitions[name] = self._schemas[name]
                    pending.append(self._schemas[name])
        if definitions:
            schema["$defs"] = dict(sorted(definitions.items()))
        relocated: Schema = _relocated(schema)
        return relocated

    def _operation(self, binding: Binding, spec: Schema) -> Operation:
        parameters = list(_settable(binding, spec))
        properties = {parameter["name"]: _described(parameter) for parameter in parameters}
        required = [parameter["name"] for parameter in parameters if parameter.get("required")]
        body = spec.get("requestBody", {}).get("content", {}).get(JSON)
        if body:
            whole = self._schemas[body["schema"]["$ref"].removeprefix(SCHEMAS)]
            # A variable of the path is not a member of the body, though the message has a field for it.
            members = {
                name: parameter for name, parameter in whole["properties"].items() if name not in binding.path_fields
            }
            if shared := members.keys() & properties.keys():
                raise ValueError(f"{spec['operationId']}: both a parameter and a member of the body: {sorted(shared)}")
            properties |= members
            required += [name for name in whole.get("required", ()) if name in members]
        return Operation(binding, spec, properties, tuple(required), about(binding.method.containing_service.file.name))


def _settable(binding: Binding, spec: Schema) -> Iterator[Schema]:
    """Yield the parameters that are arguments, without those that accompany a text body: an agent's bodies are JSON."""
    beside_text = {jsonnames.rest_name(field) for field in binding.fields_beside_text}
    for parameter in spec["parameters"]:
        if parameter["name"] in SETTABLE if parameter["in"] == "header" else parameter["name"] not in beside_text:
            yield parameter


def _described(parameter: Schema) -> Schema:
    description = parameter.get("description")
    return {**parameter["schema"], "description": description} if description else dict(parameter["schema"])


def _references(schema: Any) -> Iterator[str]:
    """Yield the names of the schemas that this one refers to."""
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
    """Return the schema with its references pointing into its own definitions."""
    if isinstance(schema, dict):
        return {
            name: value.replace(SCHEMAS, DEFINITIONS, 1) if name == "$ref" else _relocated(value)
            for name, value in schema.items()
        }
    return [_relocated(item) for item in schema] if isinstance(schema, list) else schema


def texts_of(properties: Schema) -> Iterable[str]:
    """Return the descriptions of arguments, for the search."""
    return (schema["description"] for schema in properties.values() if "description" in schema)
