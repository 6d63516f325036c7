"""The request of an HTTP tool, and the meaning of its answer.  Pure.

A definition is the tool's fields in their stored form.  A rendered request has marks in the places of secrets
(`templates.MARK`), which only the templates' own text can produce; `fill_secrets` fills them in just before sending.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from control.base import egress, redaction
from control.base.egress import EgressError, Policy, Reason
from control.httptools.templates import MARK, BadToolTemplate, CannotRender, Into, Steps, compile_template
from hum.contract.errors import FieldError, InvalidRequest
from hum.json import schemas
from hum.json.storable import dumped

DEFAULT_TIMEOUT_MS = 8000
#: The registry's timeout exceeds the tool's by this, so that the tool's own fallback comes first.
GRACE_MS = 500
REQUEST_BYTES = 256 << 10
ANSWER_BYTES = 128 << 10
MOST_TEXT_CHARS, SHOWN_CHARS = 8_000, 8_000
#: All templates of a tool together.
MOST_TEMPLATE_CHARS = 24_000
#: Texts of a body that are more than plain text, so that a tool's templates are compiled soon and fit in the cache.
MOST_BODY_TEMPLATES = 100
FORM = "TOOL_BODY_TYPE_FORM"
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
#: Methods that change nothing (RFC 9110, 9.2.1).
SAFE = frozenset({"GET", "HEAD"})
BODILESS = SAFE
#: Temporary failures, after which a retry may succeed.
TEMPORARY = frozenset({Reason.DNS, Reason.CONNECT, Reason.TIMEOUT, Reason.PROTOCOL})
TEMPORARY_STATUSES = frozenset({429, 500, 502, 503, 504})
#: The part of a URL that must not be a template: scheme and host.
_FIXED = re.compile(r"https?://[^/?#{}\\]+(?=[/?#]|$)", re.IGNORECASE)
#: A value of a header or parameter that has no text of its own but the scheme of its credentials.
_TEMPLATE_ALONE = re.compile(r"(?:(?:Bearer|Basic|Token) +)?\{\{[^{}'\"]*\}\}", re.IGNORECASE)
#: The displayed value of what is secret, or may be.
MASK = "********"
_OWN = frozenset({"idempotency-key"})

Definition = Mapping[str, Any]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A rendered request, with marks in the places of secrets."""

    method: str
    url: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    is_form: bool = False
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """The result for an agent.  `text`: the rendered template, if any; `error`: why there is no usable answer."""

    ok: bool
    text: str | None
    error: str | None
    output: Any


# --- checks -------------------------------------------------------------------------------------------------------


def check(definition: Definition, policy: Policy) -> tuple[frozenset[str], str]:
    """Check a definition; return the names of its secrets, and its host.  Raises InvalidRequest."""
    problems, secrets, host = list[FieldError](), set[str](), ""
    templates = list(_templates(definition))
    if sum(len(text) for _, text, __, ___ in templates) > MOST_TEMPLATE_CHARS:
        raise InvalidRequest(
            [FieldError("tool", f"its templates have more than {MOST_TEMPLATE_CHARS} characters together")]
        )
    if _body_templates(definition) > MOST_BODY_TEMPLATES:
        raise InvalidRequest([FieldError("tool.body_json", f"has more than {MOST_BODY_TEMPLATES} templates")])
    for path, text, into, may_have_secrets in templates:
        try:
            template = compile_template(text, into)
        except BadToolTemplate as error:
            problems.append(FieldError(f"tool.{path}", str(error)))
            continue
        if template.secrets and not may_have_secrets:
            problems.append(FieldError(f"tool.{path}", "can't have a secret in it; headers, query and body can"))
        secrets |= template.secrets
    try:
        host = policy.check_url(_fixed(definition["url"])).host
    except EgressError as error:
        problems.append(FieldError("tool.url", error.message))
    problems += _combinations(definition)
    if problems:
        raise InvalidRequest(problems)
    return frozenset(secrets), host


def _templates(definition: Definition) -> Iterator[tuple[str, str, Into, bool]]:
    """Yield a tool's templates: path, source, purpose, and whether secrets are allowed."""
    yield "url", definition["url"], Into.URL, False
    for name in ("headers_json", "query_json"):
        for key, text in _texts(definition, name).items():
            yield f"{name}.{key[:60]}", text, Into.TEXT, True
    for text in _leaves(_json(definition, "body_json")):
        yield "body_json", text, Into.TEXT, True
    for name in ("output_template", "fallback_template"):
        if source := definition.get(name):
            yield name, source, Into.TEXT, False


def _combinations(definition: Definition) -> Iterator[FieldError]:
    method, body = definition.get("method", "GET"), _json(definition, "body_json")
    if body is not None and method in BODILESS:
        yield FieldError("tool.body_json", f"a {method} request has no body")
    if definition.get("body_type") == FORM and not (
        isinstance(body, dict) and all(isinstance(member, str) for member in body.values())
    ):
        yield FieldError("tool.body_json", "must be an object of texts for a form")
    if definition.get("retries", 0) and method not in IDEMPOTENT and not definition.get("sends_idempotency_key"):
        yield FieldError("tool.retries", f"a {method} request may be repeated only with `sends_idempotency_key`")
    for pairs in ("headers_json", "query_json"):
        for name, text in _texts(definition, pairs).items():
            if text == MASK:
                yield FieldError(f"tool.{pairs}.{name[:60]}", "is what stands for a value; give the value")
    for name in _texts(definition, "headers_json"):
        try:
            egress.check_headers({name: ""})
        except EgressError as error:
            yield FieldError("tool.headers_json", error.message)
        if name.lower() in _OWN:
            yield FieldError("tool.headers_json", f"{name} is HUM's own: `sends_idempotency_key`")


def masked(texts_json: str) -> str:
    """Return an object of texts with the mask in place of each that is more than a template, such as a key."""
    texts = json.loads(texts_json)
    return json.dumps({name: text if _TEMPLATE_ALONE.fullmatch(text.strip()) else MASK for name, text in texts.items()})


def check_output(path: str, source: str | None) -> Iterator[FieldError]:
    """Yield the errors of a binding's template."""
    if source is None:
        return
    try:
        if compile_template(source, Into.TEXT).secrets:
            yield FieldError(path, "can't have a secret in it; headers, query and body can")
    except BadToolTemplate as error:
        yield FieldError(path, str(error))


def parameters(definition: Definition, fixed: Iterable[str]) -> dict[str, Any]:
    """Return the schema of the agent's arguments: the tool's, without the fixed ones."""
    schema = _json(definition, "parameters_json")
    if not isinstance(schema, dict):
        return {"type": "object", "properties": {}, "additionalProperties": False}
    left_out = set(fixed)
    if not left_out:
        return schema
    properties = schema.get("properties")
    remaining = (
        {name: schema for name, schema in properties.items() if name not in left_out}
        if isinstance(properties, dict)
        else {}
    )
    required = [name for name in schema.get("required", []) if name not in left_out]
    return schema | {"properties": remaining, "required": required}


def merged(definition: Definition, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition with a binding's overrides."""
    return dict(definition) | {name: value for name, value in overrides.items() if value is not None}


# --- the request --------------------------------------------------------------------------------------------------


def render_request(definition: Definition, values: Values, key: str) -> PreparedRequest:
    """Render a request.  `key`: its idempotency key.  Raises CannotRender."""
    steps, secrets = Steps(), set[str]()
    if _body_templates(definition) > MOST_BODY_TEMPLATES:
        raise CannotRender(f"The body has more than {MOST_BODY_TEMPLATES} templates.")

    def text(source: str) -> str:
        template = compile_template(source, Into.TEXT)
        secrets.update(template.secrets)
        return template.render(values, steps)

    def member(source: str) -> Any:
        template = compile_template(source, Into.TEXT)
        if template.shows_value and not template.secrets:
            return json.loads(compile_template(source, Into.JSON).render(values, steps))
        return text(source)

    try:
        url = _url(definition["url"], compile_template(definition["url"], Into.URL).render(values, steps))
        query = [(name, text(source)) for name, source in _texts(definition, "query_json").items()]
        headers = {name: text(source).strip() for name, source in _texts(definition, "headers_json").items()}
        body = _json(definition, "body_json")
        is_form = definition.get("body_type") == FORM
        if body is not None:
            body = {name: text(source) for name, source in body.items()} if is_form else _mapped(body, member)
    except BadToolTemplate as error:
        raise CannotRender("The tool has a template that can't be used any more.") from error
    for name, value in headers.items():
        if any(char != MARK and (char < " " or char == "\x7f") for char in value):
            raise CannotRender(f"The header {name[:60]} would have a line end or a control character in it.")
    if definition.get("sends_idempotency_key"):
        headers["Idempotency-Key"] = key
    return PreparedRequest(
        definition.get("method", "GET"),
        url,
        tuple((name, value) for name, value in query if value),
        headers,
        body,
        is_form,
        frozenset(secrets),
    )


def _fixed(source: str) -> str:
    """Return the part of a URL that no value can change.  Raises EgressError."""
    match = _FIXED.match(source)
    if match is None:
        raise EgressError(
            Reason.INVALID, "must begin with https:// and a host, in which there is no template, and a path"
        )
    return match.group()


def _url(source: str, rendered: str) -> str:
    """Check that a rendered URL leads to its template's server and path.  Raises CannotRender."""
    if egress.origin(rendered) != egress.origin(_fixed(source)):
        raise CannotRender("The URL would lead to another server.")
    path = re.split(r"[?#]", rendered, maxsplit=1)[0]
    if any(part.lower().replace("%2e", ".") in {".", ".."} for part in path.split("/")):
        raise CannotRender("The URL's path would lead elsewhere: a part of it is only dots.")
    return rendered


def fill_secrets(request: PreparedRequest, secrets: Mapping[str, str], *, is_shown: bool = False) -> HttpRequest:
    """Replace the marks of a request with secrets.  Raises CannotRender."""
    remaining = REQUEST_BYTES

    def text(value: str) -> str:
        nonlocal remaining
        parts = [secrets[part] if place % 2 else part for place, part in enumerate(value.split(MARK))]
        # A secret may be longer than its mark, and occur often.
        remaining -= sum(map(len, parts))
        _check_size(remaining)
        return "".join(parts)

    url, headers, body = request.url, {name: text(value) for name, value in request.headers.items()}, b""
    if request.query:
        pairs = urlencode([(name, text(value)) for name, value in request.query], safe="[]: " if is_shown else "")
        bare, _, fragment = url.partition("#")
        url = f"{bare}{'&' if '?' in bare else '?'}{pairs}{'#' if fragment else ''}{fragment}"
    if request.body is not None:
        if request.is_form:
            form = {name: text(value) for name, value in request.body.items()}
            kind, body = "application/x-www-form-urlencoded", urlencode(form, safe="[]: " if is_shown else "").encode()
        else:
            document = _mapped(request.body, text)
            kind, body = "application/json", json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = kind
    _check_size(REQUEST_BYTES - len(url) - len(body))
    return HttpRequest(request.method, url, headers, body)


def redacted(request: PreparedRequest) -> HttpRequest:
    """Fill a request with the names of its secrets, for display.  Raises CannotRender."""
    return fill_secrets(request, {name: f"[secret {name}]" for name in request.secrets}, is_shown=True)


def _check_size(remaining_bytes: int) -> None:
    if remaining_bytes < 0:
        raise CannotRender(f"The request would be larger than {REQUEST_BYTES} bytes.")


def _mapped(value: Any, change: Any) -> Any:
    """Return JSON with `change` applied to each text in it."""
    match value:
        case str():
            return change(value)
        case dict():
            return {name: _mapped(member, change) for name, member in value.items()}
        case list():
            return [_mapped(item, change) for item in value]
        case _:
            return value


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for member in value.values():
                yield from _leaves(member)
        case list():
            for item in value:
                yield from _leaves(item)


def _body_templates(definition: Definition) -> int:
    return sum("{" in text for text in _leaves(_json(definition, "body_json")))


def _json(definition: Definition, name: str) -> Any:
    text = definition.get(name)
    return json.loads(text) if text else None


def _texts(definition: Definition, name: str) -> Mapping[str, str]:
    return _json(definition, name) or {}


# --- the answer ---------------------------------------------------------------------------------------------------


def is_temporary(reason: Reason | None, status: int | None) -> bool:
    """Return whether a failure is temporary, so that a retry may succeed."""
    return status in TEMPORARY_STATUSES if status is not None else reason in TEMPORARY


def interpret(status: int, text: str, *, truncated: bool) -> tuple[dict[str, Any], str | None]:
    """Return an answer for templates, and its error; None if it is usable."""
    body: Any = text
    is_json = text.lstrip()[:1] in {"{", "[", '"'}
    if is_json and not truncated:
        try:
            # Without what neither PostgreSQL nor gRPC takes: NUL, half of a surrogate pair.
            document = json.loads(dumped(json.loads(text)))
        except (ValueError, RecursionError):
            document = text
        body = text if schemas.is_deep(document, redaction.MAX_DEPTH) else document
    response = {"status": status, "body": body}
    if 300 <= status < 400:
        return response, f"The server answered {status}, a redirect; none is followed."
    if not 200 <= status < 300:
        return response, f"The server answered {status}."
    if truncated and is_json:
        return response, f"The answer is larger than {ANSWER_BYTES} bytes."
    return response, None


def outcome(
    definition: Definition, values: Values, response: Mapping[str, Any] | None, error: str | None
) -> ToolOutcome:
    """Build the outcome of an answer, or of an error: rendered output, or the fallback."""
    context = {**values, "response": response or {}, "error": error or ""}
    if error is None:
        if not (source := definition.get("output_template")):
            body = (response or {}).get("body")
            return ToolOutcome(True, None, None, {"result": body})
        text, error = _rendered(source, context)
        if error is None:
            return ToolOutcome(True, text, None, {"result": text})
        context["error"] = error
    if not (source := definition.get("fallback_template")):
        return ToolOutcome(False, None, error, {"error": error})
    text, fallback_error = _rendered(source, context)
    if fallback_error is not None:
        return ToolOutcome(False, None, error, {"error": error})
    return ToolOutcome(False, text, error, {"error": text})


def _rendered(source: str, values: Values) -> tuple[str, str | None]:
    try:
        return compile_template(source, Into.TEXT).render(values, Steps()).strip()[:MOST_TEXT_CHARS], None
    except (BadToolTemplate, CannotRender) as error:
        return "", str(error)
