"""The OpenAPI 3.1 document, derived from the same walk over the contract as the routes: it can't drift from them."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway import contract, credentials, examples, forms, sse
from gateway.contract import Binding
from hum import jsonnames, jsonschemas, jsonvalues
from hum.comments import comment
from hum.jsonvalues import INTEGER_NAMES, INTEGERS
from hum.v1 import options_pb2, validate_pb2

VERSION = "0.1.0"
Schema = dict[str, Any]

WELL_KNOWN: dict[str, Schema] = {
    jsonnames.TIMESTAMP: {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {"type": ["object", "array", "string", "number", "boolean", "null"]},
    "google.protobuf.ListValue": {"type": "array"},
}
FLAG_WORDS = [1, 0, "1", "0", "true", "false"]  # what a flag accepts in addition to true and false
FORMATS = {
    options_pb2.FORMAT_E164: "e164",
    options_pb2.FORMAT_TIME_ZONE: "time-zone",
    options_pb2.FORMAT_EMAIL: "email",
    options_pb2.FORMAT_DATE: "date",
}
E164_PATTERN = r"^\+[1-9][0-9]{1,14}$"
ERROR_WORDS = {
    400: "Bad fields, JSON or cursor; every bad field is named",
    401: "Missing or invalid credential",
    402: "A limit is reached",
    403: "The role or scope does not allow this",
    404: "Not found",
    409: "Conflict with its current state or with another request",
    413: "The body is too large",
    415: "The body is not JSON",
    429: "Too many requests",
    502: "The carrier rejected the request or did not respond",
    503: "Temporarily unavailable; try again",
}


def document(bindings: Sequence[Binding], server_url: str) -> Schema:
    """The whole document."""
    paths: dict[str, Any] = {}
    for binding in bindings:
        paths.setdefault(binding.path, {})[binding.verb.lower()] = _operation(binding)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "HUM",
            "version": VERSION,
            "summary": "Voice and text operations: flows, numbers, calls.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(binding) for binding in bindings)],
        "security": [{"apiKey": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": {**_schemas(bindings), "Error": ERROR},
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key, hum_live_..."},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-hum_session"},
            },
        },
    }


ERROR_EXAMPLE = {
    "error": {
        "code": "invalid_request",
        "message": "Some fields are invalid.",
        "details": [{"field": "name", "reason": "is required"}],
        "request_id": "req_8f2c",
    }
}
ERROR: Schema = {
    "type": "object",
    "examples": [ERROR_EXAMPLE],
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details", "request_id"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "array", "items": {"type": "object"}},
                "request_id": {"type": "string"},
            },
        }
    },
}


# --- operations ---------------------------------------------------------------------------------------------------


def _tag(binding: Binding) -> str:
    return binding.method.containing_service.name.removesuffix("Service").lower()


def _operation(binding: Binding) -> Schema:
    description = comment(binding.method.full_name)
    summary, rest = _sentences(description)
    access = binding.method.GetOptions().Extensions[options_pb2.access]
    operation: Schema = {
        "operationId": binding.method.name[0].lower() + binding.method.name[1:],
        "tags": [_tag(binding)],
        "summary": summary.rstrip("."),
        "parameters": [*_path_parameters(binding), *_query_parameters(binding), *_header_parameters(binding)],
        "responses": {str(binding.status): _success(binding), **_errors(binding)},
    }
    if rest:
        operation["description"] = rest
    if access.session_only:
        operation["security"] = [{"session": []}]
    if access.scope:
        role = {"role": options_pb2.Role.Name(access.role)[5:].lower()} if access.role else {}
        operation["x-hum-access"] = {**role, "scope": access.scope}
    if binding.body_type is not None:
        shape = "patch" if binding.masked else "input"
        content: Schema = {
            "application/json": {"schema": _reference(binding.body_type, shape), "example": body_example(binding)}
        }
        if binding.text_type:
            field = binding.method.input_type.fields_by_name[binding.text_field]
            content[binding.text_type] = {"schema": {"type": "string"}, "example": examples.of_field(field)}
            content[forms.MEDIA_TYPE] = {"schema": _form(binding)}
        operation["requestBody"] = {
            "required": not binding.masked and bool(_required(binding.body_type)),
            "content": content,
        }
    return operation


def _form(binding: Binding) -> Schema:
    """The parts of a form."""
    fields = binding.method.input_type.fields_by_name
    file = {binding.text_field: {"type": "string", "contentMediaType": binding.text_type}}
    others = {jsonnames.rest_name(field): _field(field, nullable=False) for field in binding.fields_beside_text}
    assert binding.text_field in fields, "the contract names one of its fields"
    return {"type": "object", "required": [binding.text_field], "properties": {**file, **others}}


def _sentences(description: str) -> tuple[str, str]:
    """A comment's first sentence, and the others."""
    summary, *rest = re.split(r"(?<=[^.])\.\s+(?=[A-Z`])", description, maxsplit=1)
    return summary, rest[0] if rest else ""


def body_example(binding: Binding) -> Schema:
    """A body that the schema allows: the required fields and a few more; for an update, one or two changes."""
    assert binding.body_type is not None, "the operation has a body"
    shape = "patch" if binding.masked else "input"
    writable = [field for field in binding.body_type.fields if shape in _shapes(field)]
    if binding.whole_body:
        writable = [field for field in writable if field.name not in binding.path_fields]
    required = [field.name for field in writable if _behaves(field, field_behavior_pb2.REQUIRED)]
    optional = [field.name for field in writable if field.name not in required and field.name in examples.TEXTS]
    some = required[:2] if binding.masked else required
    return examples.of_message(binding.body_type, only={*some, *optional[: 2 if some else 3]})


def _path_parameters(binding: Binding) -> Iterator[Schema]:
    for name in binding.path_fields:
        field = binding.method.input_type.fields_by_name[name]
        schema = {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema, "example": path_example(binding, field)}


def path_example(binding: Binding, field: FieldDescriptor) -> Any:
    """An example for a path's variable: `id` is the id of what the path names before it."""
    if field.name != "id":
        return examples.of_field(field)
    noun = binding.path.partition("/{id}")[0].rpartition("/")[2]
    return examples.of_path(noun)


def _query_parameters(binding: Binding) -> Iterator[Schema]:
    for field in (*binding.query_fields, *binding.fields_beside_text):
        only = "" if field in binding.query_fields else f"Only with a body of {binding.text_type}."
        parameter = {
            "name": jsonnames.rest_name(field),
            "in": "query",
            "schema": _field(field, nullable=False),
            "example": examples.of_field(field),
        }
        alias = jsonnames.query_alias(field)
        older = f"`{alias}` is an older name of it." if alias else ""
        if description := " ".join(filter(None, (_description(field), older, only))):
            parameter["description"] = description
        yield parameter


def _header_parameters(binding: Binding) -> Iterator[Schema]:
    if binding.verb == "POST":
        yield _header(
            "Idempotency-Key",
            "The same key and body within 24 h repeat the first answer",
            {"pattern": f"^{credentials.IDEMPOTENCY_KEY}$"},
        )
    fields = binding.method.input_type.fields_by_name
    if contract.EVENT_ID in fields:
        yield _header("Last-Event-ID", "The id of the last event that was seen", {"pattern": "^[0-9]{0,18}$"})
    if contract.RANGE in fields:
        yield _header("Range", "One range of bytes", {})


def _header(name: str, description: str, rules: Schema) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string", **rules}}


def _success(binding: Binding) -> Schema:
    if binding.status == 204:
        return {"description": "Done"}
    if binding.is_file:
        file = {"schema": {"type": "string", "format": "binary"}}
        return {"description": "The bytes", "content": dict.fromkeys(binding.media_types, file)}
    if binding.is_stream:
        names = ", ".join(sse.event_names(binding))
        return {
            "description": f"Events: {names}",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    answer = binding.answer_type
    assert answer is not None, "it is not a file"
    return {
        "description": "Success",
        "content": {
            "application/json": {
                "schema": _reference(answer, "output"),
                "example": examples.of_message(answer),
            }
        },
    }


def _errors(binding: Binding) -> Schema:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    statuses = [400, 401, 403, 404, 429, 503]
    if binding.verb != "GET":
        statuses += [409, 413, 415, 502]
    if binding.verb == "POST":
        statuses.append(402)
    return {str(status): {"description": ERROR_WORDS[status], "content": content} for status in sorted(statuses)}


# --- schemas ------------------------------------------------------------------------------------------------------


def _reference(descriptor: Descriptor, shape: str) -> Schema:
    return {"$ref": f"#/components/schemas/{_schema_name(descriptor, shape)}"}


def _schema_name(descriptor: Descriptor, shape: str) -> str:
    suffix = {"output": "", "input": "Input", "patch": "Patch"}[shape]
    return descriptor.name.removesuffix("Response") + suffix


def _schemas(bindings: Iterable[Binding]) -> dict[str, Schema]:
    """The schemas of all bodies and answers, and of what they hold."""
    waiting: list[tuple[Descriptor, str]] = []
    for binding in bindings:
        if binding.body_type is not None:
            waiting.append((binding.body_type, "patch" if binding.masked else "input"))
        if binding.answer_type is not None and not binding.is_stream and binding.status != 204:
            waiting.append((binding.answer_type, "output"))
        if binding.is_stream:
            members = binding.method.output_type.oneofs_by_name["event"].fields
            waiting += [(field.message_type, "output") for field in members if field.message_type]
    made: dict[str, Schema] = {}
    while waiting:
        descriptor, shape = waiting.pop()
        name = _schema_name(descriptor, shape)
        if name in made:
            continue
        made[name] = _message(descriptor, shape)
        held = (jsonnames.held(field) for field in descriptor.fields)
        waiting += [(inner, shape) for inner in held if inner is not None and jsonvalues.plain(inner) is None]
    return dict(sorted(made.items()))


def _message(descriptor: Descriptor, shape: str) -> Schema:
    writable = shape != "output"
    fields = [field for field in descriptor.fields if shape in _shapes(field)]
    schema: Schema = {"type": "object", "properties": {jsonnames.rest_name(f): _property(f, shape) for f in fields}}
    if description := comment(descriptor.full_name):
        schema["description"] = description
    required = _required(descriptor) if shape == "input" else []
    if not writable:
        required = [jsonnames.rest_name(field) for field in fields]
    if required:
        schema["required"] = required
    if writable:
        schema["additionalProperties"] = False
    return schema


def _shapes(field: FieldDescriptor) -> set[str]:
    """The schemas that include a field: bodies of creates, bodies of updates, answers."""
    if jsonnames.is_read_only(field):
        return {"output"}
    return {"output", "input"} if _behaves(field, field_behavior_pb2.IMMUTABLE) else {"output", "input", "patch"}


def _required(descriptor: Descriptor) -> list[str]:
    return [jsonnames.rest_name(field) for field in descriptor.fields if _behaves(field, field_behavior_pb2.REQUIRED)]


def _behaves(field: FieldDescriptor, behaviour: int) -> bool:
    return behaviour in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def _description(field: FieldDescriptor) -> str:
    """The contract's comment on a field, and those on its enum's values."""
    must_be = field.GetOptions().Extensions[options_pb2.must_be]
    sentences = [comment(field.full_name), f"Must be {must_be}." if must_be else ""]
    if enum := field.enum_type:
        for word, number in jsonnames.enum_words(enum).items():
            if text := comment(f"{enum.full_name}.{enum.values_by_number[number].name}"):
                sentences.append(f"`{word}`: {text}")
    return " ".join(filter(None, sentences))


def _property(field: FieldDescriptor, shape: str) -> Schema:
    must = shape != "output" and _behaves(field, field_behavior_pb2.REQUIRED)
    nullable = not must and not field.is_repeated and (field.has_presence or field.enum_type is not None)
    schema = _field(field, nullable=nullable or (shape != "output" and not must), shape=shape)
    if description := " ".join(filter(None, (_description(field), schema.get("description")))):
        schema["description"] = description
    return schema


def _field(field: FieldDescriptor, *, nullable: bool, shape: str = "input") -> Schema:
    if jsonnames.is_map(field):
        schema = _map(field, shape)
    elif not field.is_repeated:
        schema = _one(field, shape)
    else:
        rules = field.GetOptions().Extensions[validate_pb2.field].repeated
        schema = {"type": "array", "items": _one(field, shape)}
        if rules.max_items:
            schema["maxItems"] = rules.max_items
        if rules.unique:
            schema["uniqueItems"] = True
    if not nullable:
        return schema
    if "$ref" in schema or "oneOf" in schema:
        return {"oneOf": [*schema.get("oneOf", [schema]), {"type": "null"}]}
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return {**schema, "type": list(dict.fromkeys([*kinds, "null"]))}


def _map(field: FieldDescriptor, shape: str) -> Schema:
    assert field.message_type is not None, "a map's entry"
    rules = field.GetOptions().Extensions[validate_pb2.field].map
    schema: Schema = {
        "type": "object",
        "additionalProperties": _one(field.message_type.fields_by_name["value"], shape),
    }
    if rules.max_pairs:
        schema["maxProperties"] = rules.max_pairs
    return schema


def _one(field: FieldDescriptor, shape: str) -> Schema:
    """The schema of one value of a field."""
    if field.message_type is not None:
        return _well_known(field.message_type, shape) or _reference(field.message_type, shape)
    if field.enum_type is not None:
        return {"type": "string", "enum": list(jsonnames.enum_words(field.enum_type))}
    rules = field.GetOptions().Extensions[validate_pb2.field]
    if field.is_repeated:
        rules = rules.repeated.items
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"type": "boolean"} if shape == "output" else {"oneOf": [{"type": "boolean"}, {"enum": FLAG_WORDS}]}
    if field.type in INTEGERS:
        return _integer(rules, field.type)
    if field.type in jsonvalues.FLOATS:
        return _number(field, rules, nullable=shape == "output")
    if field.type == FieldDescriptor.TYPE_BYTES:
        return {"type": "string", "format": "byte", "contentEncoding": "base64"}
    return _free_form(field) if jsonnames.is_raw_json(field) else _text(field, rules)


def _free_form(field: FieldDescriptor) -> Schema:
    """The JSON Schema that a value is held against when it is written; any object or array where nobody writes one."""
    name = field.GetOptions().Extensions[options_pb2.json_schema]
    if not name:
        return {"type": ["object", "array"]}
    return {word: part for word, part in jsonschemas.schema(name).items() if word not in {"$schema", "examples"}}


def _well_known(descriptor: Descriptor, shape: str) -> Schema | None:
    if descriptor.file.name == "google/protobuf/wrappers.proto":
        return _one(descriptor.fields_by_name["value"], shape)
    return WELL_KNOWN.get(descriptor.full_name)


def _number(field: FieldDescriptor, rules: Any, *, nullable: bool) -> Schema:
    """A double or a float; in answers, null stands for a value that is not finite."""
    name = "double" if field.type == FieldDescriptor.TYPE_DOUBLE else "float"
    limits = getattr(rules, name)
    schema: Schema = {"type": ["number", "null"] if nullable else "number", "format": name}
    for rule, keyword in (
        ("gte", "minimum"),
        ("gt", "exclusiveMinimum"),
        ("lte", "maximum"),
        ("lt", "exclusiveMaximum"),
    ):
        if limits.HasField(rule):
            schema[keyword] = getattr(limits, rule)
    return schema


def _integer(rules: Any, type: int) -> Schema:
    limits, bits = getattr(rules, INTEGER_NAMES[type]), INTEGERS[type]
    schema: Schema = {"type": "integer", "format": "int64" if bits[1] >> 32 else "int32"}
    if bits[0] == 0:
        schema["minimum"] = 0
    if limits.HasField("gte"):
        schema["minimum"] = limits.gte
    if limits.HasField("lte"):
        schema["maximum"] = limits.lte
    return schema


def _text(field: FieldDescriptor, rules: Any) -> Schema:
    schema: Schema = {"type": "string"}
    for name, keyword in (("min_len", "minLength"), ("max_len", "maxLength"), ("pattern", "pattern")):
        if rules.string.HasField(name):
            schema[keyword] = getattr(rules.string, name)
    format = field.GetOptions().Extensions[options_pb2.format]
    if format in FORMATS:
        schema["format"] = FORMATS[format]
    if format == options_pb2.FORMAT_E164:
        schema["pattern"] = E164_PATTERN
    return schema


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(contract.bindings(), "https://hum.example"), indent=2))
