"""The OpenAPI 3.1 document, derived from the same walk over the contract as the routes: it can't drift from them."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor

from gateway import contract, contractsections, credentials, examples, forms, payloads, schemas, sse
from gateway.contract import Binding
from gateway.guides import catalogue
from hum.contract.comments import about, comment
from hum.contract.eventtypes import EventType
from hum.json import names as jsonnames
from hum.v1 import options_pb2

VERSION = "0.1.0"
Schema = dict[str, Any]

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
    """Return the whole document."""
    session = credentials.Cookies(server_url).name(credentials.SESSION)
    tags = _tags(bindings)
    paths: dict[str, Any] = {}
    for binding in bindings:
        paths.setdefault(binding.path, {})[binding.verb.lower()] = _operation(binding)
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "HUM",
            "version": VERSION,
            "summary": "Voice and text operations: flows, numbers, calls.",
            "description": contractsections.general({tag["name"] for tag in tags}),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "tags": tags,
        "security": [{"apiKey": []}, {"session": []}],
        "paths": paths,
        "webhooks": payloads.operations(),
        "x-event-types": {event.name: _event_type(event) for event in schemas.event_types()},
        "components": {
            "schemas": schemas.components(bindings),
            "responses": _refusals(),
            "headers": HEADERS,
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key, hum_live_..."},
                "session": {"type": "apiKey", "in": "cookie", "name": session},
            },
        },
    }
    return dict(catalogue.with_addresses(whole, server_url))


# --- operations ---------------------------------------------------------------------------------------------------


def _tag(binding: Binding) -> str:
    return binding.method.containing_service.name.removesuffix("Service").lower()


def _tags(bindings: Sequence[Binding]) -> list[Schema]:
    """Return a tag for each service, described by the comment of its proto file and the contract's sections about it."""
    files = {_tag(binding): binding.method.containing_service.file.name for binding in bindings}
    descriptions = {
        tag: "\n\n".join(filter(None, (about(file), contractsections.about(tag)))) for tag, file in files.items()
    }
    return [{"name": tag, "description": text} if text else {"name": tag} for tag, text in descriptions.items()]


def _event_type(event: EventType) -> Schema:
    """Describe a type of the events of `GET /api/events`, with the schema of their `data`."""
    return {
        "version": event.version,
        "description": comment(event.message.full_name),
        "schema": schemas.reference(event.message, "output"),
        "example": examples.of_message(event.message),
    }


def _operation(binding: Binding) -> Schema:
    description = comment(binding.method.full_name)
    summary, details = _sentences(description)
    access = binding.method.GetOptions().Extensions[options_pb2.access]
    operation: Schema = {
        "operationId": binding.method.name[0].lower() + binding.method.name[1:],
        "tags": [_tag(binding)],
        "summary": summary.rstrip("."),
        "parameters": [*_path_parameters(binding), *_query_parameters(binding), *_header_parameters(binding)],
        "responses": {**_successes(binding), **_errors(binding)},
    }
    if details:
        operation["description"] = details
    if access.session_only:
        operation["security"] = [{"session": []}]
    if access.scope:
        role = {"role": options_pb2.Role.Name(access.role)[5:].lower()} if access.role else {}
        operation["x-hum-access"] = {**role, "scope": access.scope}
    if binding.body_type is not None:
        shape = "patch" if binding.has_update_mask else "input"
        content: Schema = {
            "application/json": {
                "schema": schemas.reference(binding.body_type, shape),
                "example": body_example(binding),
            }
        }
        if binding.text_type:
            field = binding.method.input_type.fields_by_name[binding.text_field]
            binary = {"format": "binary"} if field.type == field.TYPE_BYTES else {}
            content[binding.text_type] = {
                "schema": {"type": "string", **binary},
                "example": examples.of_field(field),
            }
            content[forms.MEDIA_TYPE] = {"schema": _form(binding)}
        operation["requestBody"] = {
            "required": binding.has_update_mask
            or binding.verb == "PATCH"
            or bool(schemas.required(binding.body_fields)),
            "content": content,
        }
    return operation


def _form(binding: Binding) -> Schema:
    """Return the schema of a form's parts."""
    fields = binding.method.input_type.fields_by_name
    file = {binding.text_field: {"type": "string", "contentMediaType": binding.text_type}}
    others = {
        jsonnames.rest_name(field): schemas.of_field(field, nullable=False) for field in binding.fields_beside_text
    }
    assert binding.text_field in fields, "the contract names one of its fields"
    return {"type": "object", "required": [binding.text_field], "properties": {**file, **others}}


def _sentences(description: str) -> tuple[str, str]:
    """Split a comment into its first sentence and the others."""
    summary, *others = re.split(r"(?<=[^.])\.\s+(?=[A-Z`])", description, maxsplit=1)
    return summary, others[0] if others else ""


def body_example(binding: Binding) -> Schema:
    """Return a valid body: the required fields and a few more; for an update, one or two changes."""
    assert binding.body_type is not None, "the operation has a body"
    shape = "patch" if binding.has_update_mask else "input"
    writable = [field for field in binding.body_fields if shape in schemas.shapes(field)]
    required = [field.name for field in writable if schemas.has_behaviour(field, field_behavior_pb2.REQUIRED)]
    optional = [field.name for field in writable if field.name not in required and field.name in examples.TEXTS]
    chosen = required[:2] if binding.has_update_mask else required
    return examples.of_message(binding.body_type, only={*chosen, *optional[: 2 if chosen else 3]})


def _path_parameters(binding: Binding) -> Iterator[Schema]:
    for name in binding.path_fields:
        field = binding.method.input_type.fields_by_name[name]
        schema = {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema, "example": path_example(binding, field)}


def path_example(binding: Binding, field: FieldDescriptor) -> Any:
    """Return an example of a path's variable; an `id` is that of the collection before it."""
    if field.name != "id":
        return examples.of_field(field)
    noun = binding.path.partition("/{id}")[0].rpartition("/")[2]
    return examples.of_path(noun)


def _query_parameters(binding: Binding) -> Iterator[Schema]:
    for field in (*binding.query_fields, *binding.fields_beside_text):
        text_only = "" if field in binding.query_fields else f"Only with a body of {binding.text_type}."
        parameter = {
            "name": jsonnames.rest_name(field),
            "in": "query",
            "schema": schemas.of_field(field, nullable=False),
        }
        if not _is_cursor(field):
            parameter["example"] = examples.of_field(field)
        alias = jsonnames.query_alias(field)
        alias_note = f"`{alias}` is an older name of it." if alias else ""
        if description := " ".join(filter(None, (schemas.description_of(field), alias_note, text_only))):
            parameter["description"] = description
        yield parameter


def _is_cursor(field: FieldDescriptor) -> bool:
    """Tell whether a field holds a cursor: only one from an earlier answer is valid, so it has no example."""
    return field.name in {"cursor", "after"}


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


def _successes(binding: Binding) -> Schema:
    """Return the answers to a successful request, by status."""
    success = _success(binding)
    return {**({"200": success} if binding.made_field else {}), str(binding.status): success}


def _success(binding: Binding) -> Schema:
    if binding.status == 204:
        return {"description": "Done"}
    if binding.is_file:
        return {"description": "The bytes", "content": {kind: {"schema": _bytes(kind)} for kind in binding.media_types}}
    if binding.is_stream:
        names = ", ".join(sse.event_names(binding))
        return {
            "description": f"Events: {names}",
            "headers": SENT_HEADERS,
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": _stream_example(binding),
                    "x-sse-events": {"$ref": schemas.SCHEMAS + schemas.events_name(binding)},
                }
            },
        }
    answer = binding.answer_type
    assert answer is not None, "it is not a file"
    return {
        "description": "Success",
        "headers": SENT_HEADERS,
        "content": {
            "application/json": {
                "schema": schemas.reference(answer, "output"),
                "example": examples.of_message(answer),
            }
        },
    }


def _stream_example(binding: Binding) -> str:
    """Return one event of each kind, as it is sent."""
    fields = binding.method.output_type.fields_by_name
    return "".join(
        f"event: {name}\ndata: {json.dumps(examples.of_field(fields[field]), ensure_ascii=False)}\n\n"
        for name, field in sse.event_names(binding).items()
    )


def _bytes(media_type: str) -> Schema:
    return {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}


def _refusals() -> Schema:
    """Return the error answers that all operations share, by the name `Error` and the status."""
    content = {"application/json": {"schema": {"$ref": f"{schemas.SCHEMAS}ErrorResponse"}}}
    extra = {429: ("Retry-After",), 503: ("Retry-After",), 401: ("WWW-Authenticate",)}
    return {
        f"Error{status}": {
            "description": description,
            "headers": {**SENT_HEADERS, **{name: _header_reference(name) for name in extra.get(status, ())}},
            "content": content,
        }
        for status, description in ERROR_WORDS.items()
    }


def _errors(binding: Binding) -> Schema:
    statuses = [400, 401, 403, 404, 429, 503]
    if binding.verb != "GET":
        statuses += [409, 413, 415, 502]
    elif binding.method.server_streaming:
        statuses.append(409)  # for example a call that is over has no live sound
    if binding.verb == "POST":
        statuses.append(402)
    return {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in sorted(statuses)}


def _header_reference(name: str) -> Schema:
    return {"$ref": f"#/components/headers/{name}"}


def _answer_header(description: str, type: str = "string") -> Schema:
    return {"description": description, "schema": {"type": type}}


HEADERS: Schema = {
    "X-Request-Id": _answer_header("The request's id: the client's, or a new one"),
    "RateLimit-Limit": _answer_header("Requests that may be made at once, by the limit that has less left", "integer"),
    "RateLimit-Remaining": _answer_header("How many of them are left", "integer"),
    "RateLimit-Reset": _answer_header("Seconds until all of them are free again", "integer"),
    "Retry-After": _answer_header("Seconds after which to try again", "integer"),
    "WWW-Authenticate": _answer_header("How to authenticate: Bearer"),
}
SENT_HEADERS: Schema = {
    name: _header_reference(name) for name in HEADERS if name not in {"Retry-After", "WWW-Authenticate"}
}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(contract.bindings(), "https://hum.example"), indent=2))
