"""`/docs`: the OpenAPI document as a page for people.  It holds no script and executes nothing."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

Schema = dict[str, Any]

STYLE: Final = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:0;display:grid;grid-template-columns:17rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1rem;border-right:1px solid #8884;box-sizing:border-box}
nav a{display:block;text-decoration:none;color:inherit;padding:.1rem 0;font-size:.85rem}
nav strong{display:block;margin-top:1rem;text-transform:capitalize}
main{padding:1rem 2rem;max-width:60rem}
article{border-top:1px solid #8884;padding:1rem 0}
h2{text-transform:capitalize}
code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:#8881;padding:.75rem;overflow:auto;border-radius:4px}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.25rem .5rem;border-bottom:1px solid #8883;font-size:.9rem}
.verb{font-weight:700;display:inline-block;min-width:4rem}
.dim{opacity:.7}
@media(max-width:50rem){body{display:block}nav{position:static;height:auto;border:0}}
"""
#: No source but this page's own style.
POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)


def page(document: Schema) -> bytes:
    """The whole page."""
    operations = list(_operations(document))
    tags = [tag["name"] for tag in document["tags"]]
    title = _text(document["info"]["title"])
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{title} API</title><style>{STYLE}</style><nav>",
        "<a href='/openapi.json'>openapi.json</a><a href='/openapi.yaml'>openapi.yaml</a>",
        *(_index(tag, operations) for tag in tags),
        f"</nav><main><h1>{title} API {_text(document['info']['version'])}</h1>",
        f"<p>{_text(document['info'].get('description') or document['info']['summary'])}</p>",
    ]
    for tag in tags:
        parts.append(f"<h2 id='{_text(tag)}'>{_text(tag)}</h2>")
        parts += [_operation(document, *each) for each in operations if each[2]["tags"] == [tag]]
    return "".join([*parts, "</main></html>"]).encode()


def _operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            yield verb.upper(), path, operation


def _index(tag: str, operations: Iterable[tuple[str, str, Schema]]) -> str:
    links = "".join(
        f"<a href='#{_text(operation['operationId'])}'>{_text(verb)} {_text(path)}</a>"
        for verb, path, operation in operations
        if operation["tags"] == [tag]
    )
    return f"<strong>{_text(tag)}</strong>{links}"


def _operation(document: Schema, verb: str, path: str, operation: Schema) -> str:
    parts = [
        f"<article id='{_text(operation['operationId'])}'>",
        f"<h3><span class=verb>{_text(verb)}</span><code>{_text(path)}</code></h3>",
        f"<p>{_prose(operation['summary'])}. {_prose(operation.get('description', ''))}</p>",
        f"<p class=dim>{_text(operation['operationId'])}{_access(operation)}</p>",
        _table("Parameters", (_parameter(each) for each in operation["parameters"])),
    ]
    if body := operation.get("requestBody"):
        content = body["content"]["application/json"]
        parts.append(_members(document, "Body", content["schema"]))
        parts.append(_example(content.get("example")))
    for status, answer in _answers(document, operation):
        if not status.startswith("2"):
            continue
        parts.append(f"<h4>{_text(status)} {_text(answer['description'])}</h4>")
        for kind, content in answer.get("content", {}).items():
            parts.append(f"<p class=dim>{_text(kind)}</p>{_example(content.get('example'))}")
    others = ", ".join(
        f"{status} {answer['description'].lower()}"
        for status, answer in _answers(document, operation)
        if not status.startswith("2")
    )
    parts.append(f"<p class=dim>Errors: {_text(others)}</p></article>")
    return "".join(parts)


def _answers(document: Schema, operation: Schema) -> Iterator[tuple[str, Schema]]:
    for status, answer in operation["responses"].items():
        shared = answer.get("$ref", "").rpartition("/")[2]
        yield status, document["components"]["responses"][shared] if shared else answer


def _access(operation: Schema) -> str:
    access = operation.get("x-hum-access", {})
    words = [access[name] for name in ("role", "scope") if name in access]
    return _text(" · " + " · ".join(words)) if words else ""


def _parameter(parameter: Schema) -> tuple[str, str, str]:
    must = "required" if parameter.get("required") else parameter["in"]
    return parameter["name"], f"{_kind(parameter['schema'])}, {must}", parameter.get("description", "")


def _members(document: Schema, title: str, schema: Schema) -> str:
    found = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    required = found.get("required", [])
    return _table(
        title,
        (
            (name, f"{_kind(each)}{', required' if name in required else ''}", each.get("description", ""))
            for name, each in found["properties"].items()
        ),
    )


def _table(title: str, rows: Iterable[tuple[str, str, str]]) -> str:
    lines = "".join(
        f"<tr><td><code>{_text(name)}</code><td>{_text(kind)}<td>{_prose(description)}</tr>"
        for name, kind, description in rows
    )
    return f"<h4>{_text(title)}</h4><table>{lines}</table>" if lines else ""


def _kind(schema: Schema) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "oneOf" in schema:
        return " or ".join(dict.fromkeys(_kind(each) for each in schema["oneOf"]))
    if "enum" in schema:
        return " | ".join("null" if word is None else str(word) for word in schema["enum"])
    if "type" not in schema:
        return "any JSON"
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = [f"{_kind(schema['items'])} list" if kind == "array" and "items" in schema else kind for kind in kinds]
    limits = [f"{word} {schema[name]}" for name, word in _LIMITS.items() if name in schema]
    return " or ".join(words) + (f" ({', '.join(limits)})" if limits else "")


_LIMITS = {
    "format": "",
    "minimum": "from",
    "maximum": "to",
    "minLength": "at least",
    "maxLength": "at most",
    "maxItems": "at most",
}


def _example(example: Any) -> str:
    return "" if example is None else f"<pre>{_text(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"


def _prose(description: str) -> str:
    """A comment, its `words` as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", _text(description))


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)
