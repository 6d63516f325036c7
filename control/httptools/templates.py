"""Templates of HTTP tools: a small part of Jinja2, in which whatever a template does is counted.  Pure.

A template can show a value, choose, and repeat.  It can't assign, call, add or import, so no value in it grows: what grows is
the output, by loops.  Each pass of a loop costs as many steps as it has parts and text, each output and filter as many as it is
long, and a template has so many steps and no more, whatever it is given.

    source ──▶ Jinja's parser ──▶ only what is allowed ──▶ loops made to count ──▶ Jinja's compiler ──▶ run with steps
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from jinja2 import ChainableUndefined, Environment, TemplateError, Undefined, nodes, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment

MOST_CHARS, MOST_NODES, DEEPEST, DEEPEST_LOOPS = 8_000, 600, 24, 3
MOST_STEPS = 20_000
#: So many characters of an output, or of what a filter reads, are one step.
STEP_CHARS = 16
#: A secret's place in what was rendered: its name between two of these, which no value contains.
MARK: Final = "\0"
SECRETS: Final = "secrets"
_LEFT, _COUNTED = " steps", " counted"  # names that no template can write
_SHOWN_OF_LOOP = frozenset({"index", "index0", "first", "last", "length"})
_NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.If,
    nodes.For,
    nodes.Filter,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.CondExpr,
    nodes.Neg,
)
_TESTS = frozenset(
    {"defined", "undefined", "none", "string", "number", "boolean", "mapping", "sequence", "true", "false"}
)


class BadTemplate(ValueError):  # noqa: N818
    """What is wrong with a template, as a sentence."""


class CannotRender(Exception):  # noqa: N818
    """A template could not be rendered with these values; why, as a sentence."""


class Into(Enum):
    """What a template is for; so a value in it is written."""

    TEXT = auto()
    #: A part of a URL: no value can add another part.
    URL = auto()
    #: A member of a JSON document that is one value, which keeps its type.
    JSON = auto()


@dataclass(frozen=True, slots=True)
class Template:
    """A template that may be rendered.  `shows_value`: it is one expression and nothing else."""

    render: "Callable[[Mapping[str, Any], Steps], str]"
    secrets: frozenset[str]
    shows_value: bool


@dataclass(slots=True)
class Steps:
    """What the templates of one request may do, all together."""

    left: int = MOST_STEPS

    def spend(self, steps: int) -> None:
        self.left -= 1 + steps
        if self.left < 0:
            raise CannotRender("The template is too much work for these values.")


# --- what values are, and how they are written --------------------------------------------------------------------


class _Environment(SandboxedEnvironment):
    """Looks into JSON, and into nothing else of a value."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in _SHOWN_OF_LOOP:
            return getattr(obj, attribute)
        return self._inside(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self._inside(obj, argument)

    def _inside(self, obj: Any, key: Any) -> Any:
        if isinstance(obj, dict) and isinstance(key, str) and key in obj:
            return obj[key]
        if isinstance(obj, list) and type(key) is int and -len(obj) <= key < len(obj):
            return obj[key]
        return self.undefined(obj=obj, name=str(key)[:60])


def _spend(context: Context, value: Any) -> None:
    steps: Steps = context[_LEFT]
    steps.spend(_size(value) // STEP_CHARS)


def _size(value: Any) -> int:
    match value:
        case str():
            return len(value)
        case int() if not isinstance(value, bool):
            return value.bit_length() // 3
        case list() | dict():
            return len(_dumped(value))
        case _:
            return 1


def _dumped(value: Any) -> str:
    return json.dumps(None if isinstance(value, Undefined) else value, ensure_ascii=False, default=lambda _: None)


def _plain(value: Any) -> str:
    """A value as text: nothing for what is missing or null."""
    match value:
        case None | Undefined():
            return ""
        case str():
            return value.replace(MARK, "")
        case bool() | list() | dict():
            return _dumped(value).replace(MARK, "")
        case int() | float():
            return str(value)
        case _:
            return ""


@pass_context
def _as_text(context: Context, value: Any) -> str:
    _spend(context, value)
    return _plain(value)


@pass_context
def _as_url(context: Context, value: Any) -> str:
    _spend(context, value)
    text = _plain(value)
    if not text:
        raise CannotRender("A value in the URL is empty.")
    return quote(text, safe="")


@pass_context
def _as_json(context: Context, value: Any) -> str:
    _spend(context, value)
    return _dumped(_without_marks(value))


def _without_marks(value: Any) -> Any:
    match value:
        case str():
            return value.replace(MARK, "")
        case dict():
            return {name.replace(MARK, ""): _without_marks(each) for name, each in value.items()}
        case list():
            return [_without_marks(each) for each in value]
        case _:
            return value


# --- what templates may do with them ------------------------------------------------------------------------------


def _filter(body: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that pays for what it reads."""

    @pass_context
    def paid(context: Context, value: Any, *arguments: Any) -> Any:
        for each in (value, *arguments):
            _spend(context, each)
        try:
            return body(value, *arguments)
        except (TypeError, ValueError, OverflowError) as error:
            raise CannotRender("A filter of the template can't be applied to this value.") from error

    return paid


def _joined(value: Any, between: Any = "") -> str:
    if not isinstance(value, list) or len(_plain(between)) > 20:
        raise ValueError(value)
    return _plain(between).join(map(_plain, value))


def _cut(value: Any, most: Any = 200) -> str:
    text = _plain(value)
    return text if len(text) <= int(most) else text[: int(most)].rstrip() + "…"


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | dict) else 0


def _ends(place: int) -> Callable[[Any], Any]:
    return lambda value: value[place] if isinstance(value, str | list) and value else None


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "default": lambda value, other="": other if isinstance(value, Undefined) or value in (None, "") else value,
    "upper": lambda value: _plain(value).upper(),
    "lower": lambda value: _plain(value).lower(),
    "title": lambda value: _plain(value).title(),
    "trim": lambda value: _plain(value).strip(),
    "truncate": _cut,
    "length": _length,
    "first": _ends(0),
    "last": _ends(-1),
    "join": _joined,
    "keys": lambda value: list(value) if isinstance(value, dict) else [],
    "tojson": _dumped,
    "int": lambda value: int(float(value)),
    "round": lambda value, digits=0: round(float(value), min(int(digits), 10)),
}


@pass_context
def _counted(context: Context, value: Any, cost: int) -> list[Any]:
    """What a loop passes through, paid for in advance."""
    found: list[Any] = value if isinstance(value, list) else []
    steps: Steps = context[_LEFT]
    steps.spend(cost * len(found))
    return found


def _environment(finalize: Callable[..., str]) -> Environment:
    made = _Environment(
        undefined=ChainableUndefined,
        finalize=finalize,
        autoescape=False,
        optimized=False,  # nothing is computed without being paid for
        keep_trailing_newline=True,
        cache_size=0,
    )
    made.filters = {name: _filter(body) for name, body in _FILTERS.items()} | {_COUNTED: _counted}
    made.tests = {name: test for name, test in made.tests.items() if name in _TESTS}
    made.globals = {}
    return made


_ENVIRONMENTS = {
    Into.TEXT: _environment(_as_text),
    Into.URL: _environment(_as_url),
    Into.JSON: _environment(_as_json),
}


# --- from source to template --------------------------------------------------------------------------------------


@lru_cache(maxsize=500)
def compiled(source: str, into: Into) -> Template:
    """A template that may be rendered.  Raises BadTemplate."""
    if len(source) > MOST_CHARS:
        raise BadTemplate(f"The template is longer than {MOST_CHARS} characters.")
    if MARK in source:
        raise BadTemplate("The template has a NUL character in it.")
    environment = _ENVIRONMENTS[into]
    try:
        tree = environment.parse(source)
        _check(tree)
        shown = tree.body[0].nodes if len(tree.body) == 1 and isinstance(tree.body[0], nodes.Output) else []
        secrets = _with_marks(tree)
        shows_value = len(shown) == 1 and not isinstance(tree.body[0].nodes[0], nodes.TemplateData)  # type: ignore[attr-defined]
        _make_loops_count(tree)
        made = environment.from_string(tree)
    except BadTemplate:
        raise
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise BadTemplate(
            f"The template is not valid{f' in line {line}' if line else ''}: {error.message}"[:300]
        ) from error
    except (RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
        raise BadTemplate("The template is nested too deep, or has a number that is too long.") from error

    def render(values: Mapping[str, Any], steps: Steps) -> str:
        try:
            return "".join(made.generate({**values, _LEFT: steps}))
        except CannotRender:
            raise
        except (TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise CannotRender(f"The template can't be filled with these values: {error}"[:300]) from error

    return Template(render, frozenset(secrets), shows_value)


def _check(tree: nodes.Template) -> None:
    """Raises BadTemplate for whatever a template may not have."""
    count = 0
    left: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while left:
        node, depth, loops = left.pop()
        count += 1
        loops += isinstance(node, nodes.For)
        if count > MOST_NODES or depth > DEEPEST or loops > DEEPEST_LOOPS:
            raise BadTemplate("The template has too many parts, or is nested too deep.")
        if (complaint := _refusal(node)) is not None:
            line = getattr(node, "lineno", None)
            raise BadTemplate(f"{complaint}{f' (line {line})' if line else ''}.")
        left += ((child, depth + 1, loops) for child in node.iter_child_nodes())


def _refusal(node: nodes.Node) -> str | None:
    match node:
        case nodes.Name(name=name) if name.startswith("_"):
            return f"The name {name[:40]!r} can't be used"
        case nodes.For(recursive=True) | nodes.For(test=nodes.Expr()):
            return "A loop can be neither recursive nor conditional"
        case nodes.For(target=target) if not isinstance(target, nodes.Name):
            return "A loop has one variable"
        case nodes.Filter(name=name) if name not in _FILTERS:
            return f"There is no filter {name[:40]!r}; there are {', '.join(sorted(_FILTERS))}"
        case nodes.Filter(node=None) | nodes.Filter(kwargs=[_, *_]):
            return "A filter stands behind a value, and its arguments have no names"
        case nodes.Filter(dyn_args=args, dyn_kwargs=kwargs) if args or kwargs:
            return "A filter takes no list of arguments"
        case nodes.Test(name=name) if name not in _TESTS:
            return f"There is no test {name[:40]!r}; there are {', '.join(sorted(_TESTS))}"
        case nodes.Operand():
            return None
    if not isinstance(node, _NODES):
        return f"A template can show, choose and repeat; it can't have {type(node).__name__!r}"
    return None


def _with_marks(tree: nodes.Template) -> set[str]:
    """Put a mark in the place of each `{{ secrets.name }}`; the names.  Raises BadTemplate for a secret anywhere else."""
    found = set[str]()
    for output in tree.find_all(nodes.Output):
        for place, shown in enumerate(output.nodes):
            match shown:
                case nodes.Getattr(node=nodes.Name(name="secrets"), attr=name):
                    found.add(name)
                    output.nodes[place] = nodes.TemplateData(f"{MARK}{name}{MARK}", lineno=shown.lineno)
    if any(name.name == SECRETS for name in tree.find_all(nodes.Name)):
        raise BadTemplate("A secret can only be written by itself, as {{ secrets.name }}: nothing can be done with it.")
    return found


def _make_loops_count(tree: nodes.Template) -> None:
    for loop in list(tree.find_all(nodes.For)):
        cost = 1 + sum(_cost(part) for each in loop.body for part in _all(each))
        loop.iter = nodes.Filter(loop.iter, _COUNTED, [nodes.Const(cost)], [], None, None, lineno=loop.lineno)


def _cost(part: nodes.Node) -> int:
    """What a pass of a loop pays for a part of its body; text is written at each pass, however it got there."""
    return 1 + (len(part.data) // STEP_CHARS if isinstance(part, nodes.TemplateData) else 0)


def _all(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    yield from node.find_all(nodes.Node)
