"""Requests of the docs, held against the OpenAPI document: path, method, query, headers and body."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from gateway import contract, openapi
from hum.contract.services import services

#: What the gateway serves besides the contract.
OTHERS = {("POST", "/mcp"), ("POST", "/hooks/{token}")}
#: What variables of the docs stand for at the beginning of a URL.
BASES = {"$HUM": "", "$API": "/api", "$HOOK_URL": "/hooks/{token}"}
#: A value that the reader fills in.
OPEN = re.compile(r"\$\{?\w|\.\.\.|<.+>|^[A-Z][A-Z_]+$")
#: No word of a path is an id.
WORD = re.compile(r"[a-z][a-z-]*")
FLAGS = re.compile(r"-[sSfNLkvig]+|--fail-with-body|--no-buffer|--silent|--show-error")
JSON = "application/json"
FORM = "multipart/form-data"


class Misfit(Exception):  # noqa: N818
    """A command does not fit; the message says why."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    form: Mapping[str, str] = field(default_factory=dict)
    #: It stands in a sentence, without what is sent.
    is_mention: bool = False


def of_curl(words: Sequence[str], document: str = "") -> Request:
    """Return the request that curl would send; `document` is its standard input.  Raises Misfit."""
    method, url = "", ""
    headers, data, form = dict[str, str](), list[str](), dict[str, str]()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            if url:
                raise Misfit(f"curl has two URLs: {url} and {word}")
            url = word
        elif not FLAGS.fullmatch(word):
            if not rest:
                raise Misfit(f"curl's {word} has no value")
            value = rest.pop(0)
            match word:
                case "-X":
                    method = value
                case "-H":
                    name, _, content = value.partition(":")
                    headers[name.strip().lower()] = content.strip()
                case "-d" | "--data" | "--data-urlencode":
                    data.append(document if value == "@-" else value)
                case "-F":
                    name, _, content = value.partition("=")
                    form[name] = content
                case _:
                    raise Misfit(f"curl's option {word} is not known here: add it to FLAGS, or read its value")
    path, query = target(url)
    return Request(method or ("POST" if data or form else "GET"), path, query, headers, "&".join(data), form)


def target(url: str) -> tuple[str, list[tuple[str, str]]]:
    """Return path and query of a URL.  Raises Misfit for one that is not HUM's."""
    for variable, base in BASES.items():
        if re.match(rf"{re.escape(variable)}(?!\w)", url):
            url = base + url.removeprefix(variable)
            break
    else:
        if not url.startswith(("http://", "https://")):
            raise Misfit(f"{url or 'no URL'} is none of HUM's: {', '.join(BASES)}, or https://...")
    parts = urlsplit(url)
    return parts.path, parse_qsl(parts.query, keep_blank_values=True)


@cache
def document() -> dict[str, Any]:
    return openapi.document(list(contract.bindings()), "https://hum.example")


def fits(template: str, path: str) -> bool:
    """Tell whether a path of the docs, which may have placeholders, is one of this template."""
    ours, theirs = template.split("/"), path.split("/")
    return len(ours) == len(theirs) and all(
        (not WORD.fullmatch(other)) if one.startswith("{") else one == other
        for one, other in zip(ours, theirs, strict=True)
    )


def operation(method: str, path: str) -> dict[str, Any]:
    """Return the operation of the contract.  Raises Misfit."""
    templates = [template for template in document()["paths"] if fits(template, path)]
    if not templates:
        raise Misfit(f"{path} is no path of the API")
    verbs = {
        verb.upper(): operation for template in templates for verb, operation in document()["paths"][template].items()
    }
    if method not in verbs:
        raise Misfit(f"{path} has no {method}, but {', '.join(sorted(verbs))}")
    found: dict[str, Any] = verbs[method]
    return found


def faults(request: Request) -> Iterator[str]:
    """Yield what is wrong with a request."""
    is_open = request.is_mention or request.path.startswith("/hooks/")
    if not is_open and not request.headers.get("authorization", "").startswith("Bearer "):
        yield "it has no header Authorization: Bearer ..."
    is_json = request.body.startswith(("{", "["))
    if is_json and not request.is_mention and request.headers.get("content-type") != JSON:
        yield f"it sends JSON without the header Content-Type: {JSON}"
    if is_json:
        try:
            json.loads(request.body)
        except ValueError as error:
            yield f"its body is not JSON: {error}"
            return
    if (request.method, request.path) in OTHERS:
        return
    try:
        found = operation(request.method, request.path)
    except Misfit as misfit:
        yield str(misfit)
        return
    yield from _bad_query(request, found)
    yield from _bad_body(request, found)


def _bad_query(request: Request, operation: Mapping[str, Any]) -> Iterator[str]:
    schemas = {each["name"]: each["schema"] for each in operation["parameters"] if each["in"] == "query"}
    for name, text in request.query:
        if name not in schemas:
            yield f"{request.path} has no query parameter {name}"
            continue
        readings: list[Any] = [text]
        if text in {"true", "false"} or re.fullmatch(r"-?\d+(\.\d+)?", text):
            readings.append(json.loads(text))
        readings += [[reading] for reading in readings]
        problems = [list(_problems(schemas[name], reading)) for reading in readings]
        if all(problems):
            yield f"the query parameter {name}={text}{problems[0][0]}"


def _bad_body(request: Request, operation: Mapping[str, Any]) -> Iterator[str]:
    expected = operation.get("requestBody", {"content": {}, "required": False})
    if not (request.body or request.form):
        if expected["required"] and not request.is_mention:
            yield f"{request.method} {request.path} needs a body"
        return
    kind = FORM if request.form else JSON
    if kind not in expected["content"]:
        yield f"{request.method} {request.path} takes no body of {kind}"
    elif request.form:
        schema = expected["content"][FORM]["schema"]
        yield from (f"the form has no part {name}" for name in request.form if name not in schema["properties"])
        yield from (f"the form lacks {name}" for name in schema["required"] if name not in request.form)
    elif request.body.startswith("{"):
        value = json.loads(request.body)
        yield from (f"the body{each}" for each in _problems(expected["content"][JSON]["schema"], value))
    elif not OPEN.search(request.body):
        yield "its body is no JSON object"


def _problems(schema: Mapping[str, Any], value: object) -> Iterator[str]:
    """Yield where a value is not what a schema allows, except where the reader fills something in."""
    validator = Draft202012Validator({**schema, "components": document()["components"]})
    for error in validator.iter_errors(value):
        for leaf in _leaves(error):
            if not (isinstance(leaf.instance, str) and OPEN.search(leaf.instance)):
                yield f"{leaf.json_path.removeprefix('$')}: {leaf.message}"


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """Yield the errors of the alternative that comes nearest, where there are several."""
    if not error.context:
        yield error
        return
    branches = dict[object, list[ValidationError]]()
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    for inner in min(branches.values(), key=lambda errors: (errors[0].validator == "type", len(errors))):
        yield from _leaves(inner)


@cache
def methods() -> frozenset[str]:
    """Return all methods of the gRPC services, as `hum.v1.FlowsService/ListFlows`."""
    return frozenset(
        f"{each.containing_service.full_name}/{each.name}" for service in services() for each in service.methods
    )
