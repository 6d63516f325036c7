"""A request in three languages: curl, Python (httpx) and TypeScript (fetch, as in Node and browsers).

The key is read from the environment, so that a snippet runs as it is once the ids in it are the reader's own.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from gateway.reference.operations import JSON, STREAM, Operation, Schema

PYTHON_WORDS: Final = {True: "True", False: "False", None: "None"}
TYPESCRIPT_WORDS: Final = {True: "true", False: "false", None: "null"}
IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SHORT_CHARS: Final = 60
FIRST_PAGE: Final = 20
KEY: Final = "HUM_KEY"
SESSION: Final = "HUM_SESSION"


class Snippet(NamedTuple):
    language: str
    code: str


@dataclass(frozen=True, slots=True)
class Example:
    """A request made from an operation's examples.

    `path` includes the values of its variables and the query.  `secret` is the header that authenticates: its name, the
    text before the value, and the environment variable with the value.
    """

    verb: str
    server: str
    path: str
    secret: tuple[str, str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    #: The media type of the answer; empty if there is none.
    answer: str = ""

    @property
    def url(self) -> str:
        return self.server + self.path

    @property
    def file(self) -> str:
        """The file to which the answer is written; empty if the answer is no file."""
        kind = self.answer.rpartition("/")[2]
        endings = {"x-ndjson": "jsonl"}
        return "" if self.answer in {"", JSON, STREAM} else f"answer.{endings.get(kind, kind)}"


def example(document: Schema, operation: Operation) -> Example:
    """Return the request that an operation's examples describe."""
    values = {
        parameter["name"]: str(parameter["example"])
        for parameter in operation.spec["parameters"]
        if parameter["in"] == "path"
    }
    path = re.sub(r"{(\w+)}", lambda match: quote(values[match[1]], safe=""), operation.path)
    if operation.takes("limit"):
        path += "?" + urlencode({"limit": FIRST_PAGE})
    server = document["servers"][0]["url"]
    headers = {}
    if operation.for_people:
        name = document["components"]["securitySchemes"]["session"]["name"]
        secret = ("Cookie", f"{name}=", SESSION)
        if operation.verb != "GET":
            headers["Origin"] = server
    else:
        secret = ("Authorization", "Bearer ", KEY)
    return Example(
        operation.verb,
        server,
        path,
        secret,
        headers,
        operation.bodies.get(JSON, {}).get("example"),
        next(iter(operation.contents), ""),
    )


def snippets(request: Example) -> list[Snippet]:
    """Return the request in each language."""
    return [
        Snippet("curl", _curl(request)),
        Snippet("Python", _python(request)),
        Snippet("TypeScript", _fetch(request)),
    ]


def with_header(request: Example, name: str, value: str) -> Example:
    return replace(request, headers={**request.headers, name: value})


def page_through(operation: Operation, request: Example) -> list[Snippet]:
    """Return snippets that read all pages of a list, in a loop over its cursor."""
    plural = next(name for name in operation.contents[JSON]["example"] if name != "next_cursor")
    name, before, variable = request.secret
    path = request.path.partition("?")[0]
    python = f"""\
import os

import httpx

headers = {{"{name}": f"{before}{{os.environ['{variable}']}}"}}
with httpx.Client(base_url="{request.server}", headers=headers) as hum:
    query = {{"limit": "200"}}
    while True:
        page = hum.get("{path}", params=query).raise_for_status().json()
        for each in page["{plural}"]:
            print(each)
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]"""
    typescript = f"""\
const query = new URLSearchParams({{ limit: "200" }});
while (true) {{
  const answer = await fetch(`{request.server}{path}?${{query}}`, {{
    headers: {{ {name}: `{before}${{process.env.{variable}}}` }},
  }});
  if (!answer.ok) throw new Error(await answer.text());
  const page = await answer.json();
  for (const each of page.{plural}) console.log(each);
  if (page.next_cursor === null) break;
  query.set("cursor", page.next_cursor);
}}"""
    curl = _curl(replace(request, path=f"{path}?limit=200&cursor=$CURSOR")).replace(
        f"'{request.server}{path}?limit=200&cursor=$CURSOR'", f'"{request.server}{path}?limit=200&cursor=$CURSOR"'
    )
    return [Snippet("Python", python), Snippet("TypeScript", typescript), Snippet("curl", curl)]


# --- curl ---------------------------------------------------------------------------------------------------------


def _curl(request: Example) -> str:
    name, before, variable = request.secret
    lines = [f"curl {shlex.quote(request.url)}", f'-H "{name}: {before}${variable}"']
    if request.verb != ("GET" if request.body is None else "POST"):
        lines[0] = f"curl -X {request.verb} {shlex.quote(request.url)}"
    lines += [f"-H {shlex.quote(f'{key}: {value}')}" for key, value in request.headers.items()]
    if request.body is not None:
        text = json.dumps(request.body, indent=2 if _is_long(request.body) else None, ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(text)}"]
    if request.answer == STREAM:
        lines.append("--no-buffer")
    if request.file:
        lines.append(f"-o {request.file}")
    return " \\\n  ".join(lines)


# --- Python -------------------------------------------------------------------------------------------------------


def _python(request: Example) -> str:
    name, before, variable = request.secret
    headers = [f'    "{name}": f"{before}{{os.environ[\'{variable}\']}}",\n']
    headers += [f"    {json.dumps(key)}: {json.dumps(value)},\n" for key, value in request.headers.items()]
    lines = ["import os", "", "import httpx", "", f"headers = {{\n{''.join(headers)}}}"]
    arguments = f'"{request.url}", headers=headers'
    if request.answer == STREAM:
        lines += [
            f'with httpx.stream("GET", {arguments}, timeout=None) as answer:',
            "    answer.raise_for_status()",
            "    for line in answer.iter_lines():",
            "        print(line)",
        ]
        return "\n".join(lines)
    call = f"httpx.{request.verb.lower()}({arguments}"
    if request.body is not None:
        lines.append(f"body = {_literal(request.body, 4, PYTHON_WORDS)}")
        call += ", json=body"
    lines += [f"answer = {call})", "answer.raise_for_status()"]
    if request.file:
        lines += [f'with open("{request.file}", "wb") as file:', "    file.write(answer.content)"]
    elif request.answer:
        lines.append("print(answer.json())")
    return "\n".join(lines)


# --- TypeScript ---------------------------------------------------------------------------------------------------


def _fetch(request: Example) -> str:
    name, before, variable = request.secret
    headers = [f"    {name}: `{before}${{process.env.{variable}}}`,"]
    pairs = {**request.headers, **({} if request.body is None else {"Content-Type": JSON})}
    headers += [f"    {_member(key)}: {json.dumps(value)}," for key, value in pairs.items()]
    lines = [f'const answer = await fetch("{request.url}", {{']
    if request.verb != "GET":
        lines.append(f'  method: "{request.verb}",')
    lines += ["  headers: {", *headers, "  },"]
    if request.body is not None:
        body = _literal(request.body, 2, TYPESCRIPT_WORDS).replace("\n", "\n  ")
        lines.append(f"  body: JSON.stringify({body}),")
    lines += ["});", "if (!answer.ok) throw new Error(await answer.text());"]
    if request.answer == STREAM:
        lines += [
            "const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();",
            "for (let part = await reader.read(); !part.done; part = await reader.read()) {",
            "  console.log(part.value);",
            "}",
        ]
    elif request.file:
        lines += ["const file = await answer.blob();", "console.log(file.size, file.type);"]
    elif request.answer:
        lines.append("console.log(await answer.json());")
    return "\n".join(lines)


# --- values -------------------------------------------------------------------------------------------------------


def _is_long(value: Any) -> bool:
    return len(json.dumps(value, ensure_ascii=False)) > SHORT_CHARS


def _literal(value: Any, indent: int, words: Mapping[Any, str], depth: int = 0) -> str:
    """Return a JSON value as a literal; `words` are the language's own for true, false and null."""
    if value is None or isinstance(value, bool):
        return words[value]
    if not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)  # Python and TypeScript read its escapes
    items = [
        _literal(item, indent, words, depth + 1) for item in (value.values() if isinstance(value, dict) else value)
    ]
    if isinstance(value, dict):
        names = [json.dumps(key, ensure_ascii=False) if words is PYTHON_WORDS else _member(key) for key in value]
        items = [f"{name}: {item}" for name, item in zip(names, items, strict=True)]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    if not items:
        return opening + closing
    if not _is_long(value) and not any("\n" in item for item in items):
        space = " " if isinstance(value, dict) and words is TYPESCRIPT_WORDS else ""
        return f"{opening}{space}{', '.join(items)}{space}{closing}"
    margin = " " * indent * depth
    lines = "".join(f"{margin}{' ' * indent}{item},\n" for item in items)
    return f"{opening}\n{lines}{margin}{closing}"


def _member(name: str) -> str:
    """Return a member's name in TypeScript, quoted if necessary."""
    return name if IDENTIFIER.fullmatch(name) else json.dumps(name, ensure_ascii=False)
