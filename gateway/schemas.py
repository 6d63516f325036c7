"""The schemas of the OpenAPI document by name: messages of requests and answers, enums, free-form JSON, events."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway import sse
from gateway.contract import Binding
from hum.contract import errors, eventtypes
from hum.contract.comments import comment
from hum.contract.eventtypes import EventType
from hum.json import names as jsonnames
from hum.json import schemas as jsonschemas
from hum.json import values as jsonvalues
from hum.json.values import INTEGER_NAMES, INTEGERS
from hum.v1 import options_pb2, validate_pb2

Schema = dict[str, Any]

WELL_KNOWN: dict[str, Schema] = {
    jsonnames.TIMESTAMP: {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
}
FORMATS = {
    options_pb2.FORMAT_E164: "e164",
    options_pb2.FORMAT_TIME_ZONE: "time-zone",
    options_pb2.FORMAT_EMAIL: "email",
    options_pb2.FORMAT_DATE: "date",
}
#: Fields of addresses.  A tool's `url` is a template, and no URI yet.
URLS, TEMPLATED = frozenset({"url", "base_url", "oauth_token_url", "media_urls"}), frozenset({"HttpTool"})
E164_PATTERN = r"^\+[1-9][0-9]{1,14}$"
ERROR_EXAMPLE = {
    "error": {
        "code": "invalid_request",
        "message": "Some fields are invalid.",
        "details": [{"field": "name", "reason": "is required"}],
        "request_id": "req_8f2c",
    }
}
SCHEMAS = "#/components/schemas/"
ERROR_DETAIL: Schema = {
    "type": "object",
    "description": "A bad field and what is wrong with it; or, of other errors, facts such as the carrier's code.",
    "properties": {
        "field": {"type": "string", "description": "The field's path: `recipients[3].phone_e164`."},
        "reason": {"type": "string", "description": "The end of a sentence that begins with the field."},
    },
    "additionalProperties": {"type": "string"},
}
ERROR: Schema = {
    "type": "object",
    "examples": [ERROR_EXAMPLE],
    "required": ["error"],
    "properties": {"error": {"$ref": f"{SCHEMAS}ErrorBody"}},
}
ERROR_BODY: Schema = {
    "type": "object",
    "required": ["code", "message", "details", "request_id"],
    "properties": {
        # No enum: clients that were generated earlier must accept the codes of later releases.
        "code": {
            "type": "string",
            "description": f"What a program goes by. Among others: {', '.join(f'`{each}`' for each in errors.error_codes())}.",
        },
        "message": {"type": "string", "description": "A sentence for people."},
        "details": {"type": "array", "items": {"$ref": f"{SCHEMAS}ErrorDetail"}},
        "request_id": {"type": "string"},
    },
}


def reference(descriptor: Descriptor, shape: str) -> Schema:
    return {"$ref": SCHEMAS + _schema_name(descriptor, shape)}


def _schema_name(descriptor: Descriptor, shape: str) -> str:
    suffix = {"output": "", "input": "Input", "patch": "Patch"}[shape]
    return descriptor.name.removesuffix("Response") + suffix


def components(bindings: Sequence[Binding]) -> dict[str, Schema]:
    """Return all schemas by name: messages, their enums, free-form JSON, and the events of each stream."""
    schemas = {**_schemas(bindings), "ErrorResponse": ERROR, "ErrorBody": ERROR_BODY, "ErrorDetail": ERROR_DETAIL}
    free_form = {_free_form_name(name): _free_form_schema(name) for name in jsonschemas.names()}
    streams = {events_name(binding): _events(binding) for binding in bindings if binding.is_stream}
    for name, schema in {**_enums(bindings), **free_form, **streams}.items():
        if schemas.setdefault(name, schema) is not schema:
            raise ValueError(f"two schemas have the name {name}")
    return dict(sorted(schemas.items()))


def _enums(bindings: Iterable[Binding]) -> dict[str, Schema]:
    """Return the enums of requests, answers and events."""
    enums: dict[str, Schema] = {}
    pending = [message for binding in bindings for message in (binding.method.input_type, binding.method.output_type)]
    pending += [binding.message for binding in sent_types()]
    seen = {message.full_name for message in pending}
    while pending:
        for field in pending.pop().fields:
            inner = jsonnames.message_type(field)
            if inner is not None and inner.full_name not in seen:
                seen.add(inner.full_name)
                pending.append(inner)
            if field.enum_type is not None:
                enums[field.enum_type.name] = _enum(field.enum_type)
    return enums


def _enum(enum: EnumDescriptor) -> Schema:
    schema: Schema = {"type": "string", "enum": list(jsonnames.enum_words(enum))}
    if description := " ".join(filter(None, (comment(enum.full_name), *_words(enum)))):
        schema["description"] = description
    return schema


def _words(enum: EnumDescriptor) -> Iterator[str]:
    for word, number in jsonnames.enum_words(enum).items():
        if text := comment(f"{enum.full_name}.{enum.values_by_number[number].name}"):
            yield f"`{word}`: {text}"


def event_types() -> list[EventType]:
    """Return the types of events that customers may see."""
    return [event for event in eventtypes.by_name().values() if event.visible]


def sent_types() -> list[EventType]:
    """Return the types that are delivered to webhooks: those that customers may see, and the test event."""
    return [*event_types(), eventtypes.by_name()["webhook.test"]]


def events_name(binding: Binding) -> str:
    return f"{binding.method.name}Events"


def _events(binding: Binding) -> Schema:
    """Return an object schema with a member for each event's name: the schema of its data."""
    fields = binding.method.output_type.fields_by_name
    names = sse.event_names(binding)
    return {
        "type": "object",
        "description": "What the events of the stream hold, by their names; no answer has all of them.",
        "required": list(names),
        "properties": {name: of_field(fields[field], nullable=False, shape="output") for name, field in names.items()},
    }


def _schemas(bindings: Iterable[Binding]) -> dict[str, Schema]:
    """Return the schemas of all bodies, answers and events, and of the messages in them."""
    pending: list[tuple[Descriptor, str]] = [(event.message, "output") for event in sent_types()]
    in_paths: dict[str, set[str]] = {}
    for binding in bindings:
        if binding.body_type is not None:
            pending.append((binding.body_type, "patch" if binding.has_update_mask else "input"))
            if binding.whole_body:
                in_paths.setdefault(binding.body_type.full_name, set()).update(binding.path_fields)
        if binding.answer_type is not None and not binding.is_stream and binding.status != 204:
            pending.append((binding.answer_type, "output"))
        if binding.is_stream:
            members = binding.method.output_type.oneofs_by_name["event"].fields
            pending += [(field.message_type, "output") for field in members if field.message_type]
    schemas: dict[str, Schema] = {}
    while pending:
        descriptor, shape = pending.pop()
        name = _schema_name(descriptor, shape)
        if name in schemas:
            continue
        fields = [field for field in descriptor.fields if shape in shapes(field)]
        if shape != "output":
            fields = [field for field in fields if field.name not in in_paths.get(descriptor.full_name, ())]
        schemas[name] = _message(descriptor, fields, shape)
        inner_types = ((jsonnames.message_type(field), _inner_shape(field, shape)) for field in fields)
        pending += [
            (inner, inner_shape)
            for inner, inner_shape in inner_types
            if inner is not None and jsonvalues.plain_writer(inner) is None
        ]
    return dict(sorted(schemas.items()))


def _inner_shape(field: FieldDescriptor, shape: str) -> str:
    return "input" if jsonnames.is_as_input(field) else shape


def _message(descriptor: Descriptor, fields: Sequence[FieldDescriptor], shape: str) -> Schema:
    writable = shape != "output"
    schema: Schema = {"type": "object", "properties": {jsonnames.rest_name(f): _property(f, shape) for f in fields}}
    if description := comment(descriptor.full_name):
        schema["description"] = description
    required_names = required(fields) if shape == "input" else []
    if not writable:
        required_names = [jsonnames.rest_name(field) for field in fields]
    if required_names:
        schema["required"] = required_names
    if writable:
        schema["additionalProperties"] = False
    return schema


def shapes(field: FieldDescriptor) -> set[str]:
    """Return the shapes that include a field: answers, bodies of creates, bodies of updates."""
    if jsonnames.is_read_only(field):
        return {"output"}
    return {"output", "input"} if has_behaviour(field, field_behavior_pb2.IMMUTABLE) else {"output", "input", "patch"}


def required(fields: Iterable[FieldDescriptor]) -> list[str]:
    return [jsonnames.rest_name(field) for field in fields if has_behaviour(field, field_behavior_pb2.REQUIRED)]


def has_behaviour(field: FieldDescriptor, behaviour: int) -> bool:
    return behaviour in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def description_of(field: FieldDescriptor) -> str:
    """Return the contract's comment on a field, and those on its enum's values."""
    must_be = field.GetOptions().Extensions[options_pb2.must_be]
    sentences = [comment(field.full_name), f"Must be {must_be}." if must_be else ""]
    if enum := field.enum_type:
        sentences += _words(enum)
    return " ".join(filter(None, sentences))


def _property(field: FieldDescriptor, shape: str) -> Schema:
    is_required = has_behaviour(field, field_behavior_pb2.REQUIRED)
    if shape == "output":
        is_required = is_required or field.GetOptions().Extensions[options_pb2.always]
    nullable = not is_required and not field.is_repeated and (field.has_presence or field.enum_type is not None)
    schema = of_field(field, nullable=nullable or (shape != "output" and not is_required), shape=shape)
    if description := " ".join(filter(None, (description_of(field), schema.get("description")))):
        return {**schema, "description": description}  # a copy: fields may share it
    return schema


def of_field(field: FieldDescriptor, *, nullable: bool, shape: str = "input") -> Schema:
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
    if "$ref" in schema or "enum" in schema:
        return {"oneOf": [schema, {"type": "null"}]}
    if "type" not in schema:
        return schema  # anything, null too
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
    """Return the schema of one value of a field."""
    if field.message_type is not None:
        return _well_known(field.message_type, shape) or reference(field.message_type, _inner_shape(field, shape))
    if field.enum_type is not None:
        return {"$ref": SCHEMAS + field.enum_type.name}
    rules = field.GetOptions().Extensions[validate_pb2.field]
    if field.is_repeated:
        rules = rules.repeated.items
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"type": "boolean"}  # a body may also have 1 and 0, which docs/contract.md promises
    if field.type in INTEGERS:
        return _integer(rules, field.type)
    if field.type in jsonvalues.FLOATS:
        return _number(field, rules, nullable=shape == "output")
    if field.type == FieldDescriptor.TYPE_BYTES:
        return {"type": "string", "format": "byte", "contentEncoding": "base64"}
    return _free_form(field) if jsonnames.is_raw_json(field) else _text(field, rules, shape)


def _free_form(field: FieldDescriptor) -> Schema:
    """Return the JSON Schema against which a value is checked when it is written; any JSON if there is none."""
    name = field.GetOptions().Extensions[options_pb2.json_schema]
    return {"$ref": SCHEMAS + _free_form_name(name)} if name else {}


def _free_form_name(name: str) -> str:
    """Return a name such as `TurnConfigJson`, which is no message's."""
    return "".join(part.title() for part in name.split("_")) + "Json"


def _free_form_schema(name: str) -> Schema:
    """Return a schema without its title, as it has a name already."""
    return {word: part for word, part in jsonschemas.schema(name).items() if word not in {"$schema", "title"}}


def _well_known(descriptor: Descriptor, shape: str) -> Schema | None:
    if descriptor.file.name == "google/protobuf/wrappers.proto":
        return _one(descriptor.fields_by_name["value"], shape)
    return WELL_KNOWN.get(descriptor.full_name)


def _number(field: FieldDescriptor, rules: Any, *, nullable: bool) -> Schema:
    """Return the schema of a double or a float; in answers, null stands for a value that is not finite."""
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


def _text(field: FieldDescriptor, rules: Any, shape: str) -> Schema:
    schema: Schema = {"type": "string"}
    for name, keyword in (("min_len", "minLength"), ("max_len", "maxLength"), ("pattern", "pattern")):
        if rules.string.HasField(name):
            schema[keyword] = getattr(rules.string, name)
    format = field.GetOptions().Extensions[options_pb2.format]
    if format in FORMATS:
        schema["format"] = FORMATS[format]
    if field.name in URLS and field.containing_type is not None and field.containing_type.name not in TEMPLATED:
        schema["format"] = "uri"
    if format == options_pb2.FORMAT_E164:
        schema["pattern"] = E164_PATTERN
    if format in {options_pb2.FORMAT_EVENT_TYPE, options_pb2.FORMAT_EVENT_FILTER}:
        schema["anyOf"] = _event_names(is_filter=format == options_pb2.FORMAT_EVENT_FILTER, shape=shape)
    if allowed := getattr(rules.string, "in"):
        schema["enum"] = list(allowed)
    return schema


def _event_names(*, is_filter: bool, shape: str) -> list[Schema]:
    """Return the schemas of the names of events: ours, and those that customers give."""
    names = eventtypes.visible()
    if is_filter:
        names = list(dict.fromkeys(["*", *eventtypes.kinds(), *names]))
    elif shape == "output":
        names = [name for name in names if name != eventtypes.EXTERNAL]
    return [{"type": "string", "enum": names}, {"type": "string", "pattern": f"^{eventtypes.EXTERNAL_NAME}$"}]
