"""Templates of HTTP tools: a small subset of Jinja2 with a budget of steps.  Pure.

A template can show a value, choose, and repeat.  It can't assign, call, add or import, so values don't grow; only the
output grows, by loops.  Each pass of a loop costs steps for its parts and text, each output, filter and comparison for
the length of its values, and all templates of a request share a fixed budget.

    source ──▶ Jinja's parser ──▶ whitelist of nodes ──▶ costs added to loops and comparisons ──▶ Jinja's compiler ──▶ run
"""

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from jinja2 import ChainableUndefined, Environment, TemplateError, Undefined, nodes, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

MOST_CHARS, MOST_NODES, DEEPEST, DEEPEST_LOOPS = 8_000, 600, 24, 3
MOST_STEPS = 20_000
#: Characters of an output, or of a filter's or comparison's input, per step.
STEP_CHARS = 16
#: A secret's name in rendered text stands between two of these; values can't contain them.
MARK: Final = "\0"
SECRETS: Final = "secrets"
_STEPS, _CHARGED, _COMPARED = " steps", " charged", " compared"  # names that no template can write
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


class BadToolTemplate(ValueError):  # noqa: N818
    """An error in a template; the message is for its author."""


class CannotRender(Exception):  # noqa: N818
    """A template can't be rendered with these values; the message says why."""


class Into(Enum):
    """The target of a template, which decides how values are written."""

    TEXT = auto()
    #: A part of a URL: no value can add another part.
    URL = auto()
    #: A member of a JSON document that is one value, which keeps its type.
    JSON = auto()


@dataclass(frozen=True, slots=True)
class ToolTemplate:
    """A checked template.  `shows_value`: it consists of a single expression."""

    render: "Callable[[Mapping[str, Any], Steps], str]"
    secrets: frozenset[str]
    shows_value: bool


@dataclass(slots=True)
class Steps:
    """The budget of all templates of one request."""

    remaining: int = MOST_STEPS

    def spend(self, steps: int) -> None:
        self.remaining -= 1 + steps
        if self.remaining < 0:
            raise CannotRender("The template is too much work for these values.")


# --- values and their output --------------------------------------------------------------------------------------


class _Environment(SandboxedEnvironment):
    """A sandbox that accesses members of JSON values and nothing else."""

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
        # Of a long value or number, not even its text: that would be work outside the budget.
        is_short = isinstance(key, str) or (isinstance(key, int) and key.bit_length() < 64)
        return self.undefined(obj=obj, name=str(key)[:60] if is_short else None)


def _spend(context: Context, value: Any) -> None:
    steps: Steps = context[_STEPS]
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
    """Return a value as text; empty if it is missing or null."""
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
            return {name.replace(MARK, ""): _without_marks(member) for name, member in value.items()}
        case list():
            return [_without_marks(item) for item in value]
        case _:
            return value


# --- filters ------------------------------------------------------------------------------------------------------


def _filter(body: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter so that it spends steps for its input."""

    @pass_context
    def charged(context: Context, value: Any, *arguments: Any) -> Any:
        for operand in (value, *arguments):
            _spend(context, operand)
        try:
            return body(value, *arguments)
        except (TypeError, ValueError, OverflowError) as error:
            raise CannotRender("A filter of the template can't be applied to this value.") from error

    return charged


def _joined(value: Any, between: Any = "") -> str:
    if not isinstance(value, list) or len(_plain(between)) > 20:
        raise ValueError(value)
    return _plain(between).join(map(_plain, value))


def _cut(value: Any, limit: Any = 200) -> str:
    text = _plain(value)
    return text if len(text) <= int(limit) else text[: int(limit)].rstrip() + "…"


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
def _charged(context: Context, value: Any, cost: int) -> list[Any]:
    """Return a loop's items; spend the steps of all its passes in advance."""
    items: list[Any] = value if isinstance(value, list) else []
    steps: Steps = context[_STEPS]
    steps.spend(cost * len(items))
    return items


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
    "in": lambda value, container: value in container,
    "notin": lambda value, container: value not in container,
}


@pass_context
def _compared(context: Context, left: Any, *operands: Any) -> bool:
    """Return a chain of comparisons: operators' names, each followed by its right side."""
    steps: Steps = context[_STEPS]
    for name, right in zip(operands[::2], operands[1::2], strict=True):
        # A short comparison costs nothing but its parts in a loop.
        if cost := _compared_chars(name, left, right) // STEP_CHARS:
            steps.spend(cost)
        if not _OPERATORS[name](left, right):
            return False
        left = right
    return True


def _compared_chars(name: str, left: Any, right: Any) -> int:
    """Return how many characters a comparison reads at most."""
    match left, right:
        case str(), str():
            return len(right) if name in {"in", "notin"} else min(len(left), len(right))
        case _, list() if name in {"in", "notin"}:
            return _size(right)
        case (list(), list()) | (dict(), dict()):
            return _size(left) + _size(right)
        case _:
            return 0


def _environment(finalize: Callable[..., str]) -> Environment:
    environment = _Environment(
        undefined=ChainableUndefined,
        finalize=finalize,
        autoescape=False,
        optimized=False,  # compute nothing outside the budget
        keep_trailing_newline=True,
        cache_size=0,
    )
    environment.filters = {name: _filter(body) for name, body in _FILTERS.items()} | {
        _CHARGED: _charged,
        _COMPARED: _compared,
    }
    environment.tests = {name: test for name, test in environment.tests.items() if name in _TESTS}
    environment.globals = {}
    return environment


_ENVIRONMENTS = {
    Into.TEXT: _environment(_as_text),
    Into.URL: _environment(_as_url),
    Into.JSON: _environment(_as_json),
}


# --- from source to template --------------------------------------------------------------------------------------


@lru_cache(maxsize=500)
def compile_template(source: str, into: Into) -> ToolTemplate:
    """Check and compile a template.  Raises BadToolTemplate."""
    if len(source) > MOST_CHARS:
        raise BadToolTemplate(f"The template is longer than {MOST_CHARS} characters.")
    if MARK in source:
        raise BadToolTemplate("The template has a NUL character in it.")
    if "{" not in source and "\r" not in source:
        return ToolTemplate(lambda _, __: source, frozenset(), shows_value=False)
    environment = _ENVIRONMENTS[into]
    try:
        tree = environment.parse(source)
        _check(tree)
        outputs = tree.body[0].nodes if len(tree.body) == 1 and isinstance(tree.body[0], nodes.Output) else []
        secrets = _insert_marks(tree)
        shows_value = len(outputs) == 1 and not isinstance(tree.body[0].nodes[0], nodes.TemplateData)  # type: ignore[attr-defined]
        _charge_loops(tree)
        _Comparisons().visit(tree)
        template = environment.from_string(tree)
    except BadToolTemplate:
        raise
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise BadToolTemplate(
            f"The template is not valid{f' in line {line}' if line else ''}: {error.message}"[:300]
        ) from error
    except (RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
        raise BadToolTemplate("The template is nested too deep, or has a number that is too long.") from error

    def render(values: Mapping[str, Any], steps: Steps) -> str:
        try:
            # A literal may escape half of a surrogate pair, which UTF-8 can't encode.
            return "".join(template.generate({**values, _STEPS: steps})).encode(errors="replace").decode()
        except CannotRender:
            raise
        except (TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise CannotRender(f"The template can't be filled with these values: {error}"[:300]) from None

    return ToolTemplate(render, frozenset(secrets), shows_value)


def _check(tree: nodes.Template) -> None:
    """Check a template's nodes, its size and its depth.  Raises BadToolTemplate."""
    count = 0
    stack: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while stack:
        node, depth, loops = stack.pop()
        count += 1
        loops += isinstance(node, nodes.For)
        if count > MOST_NODES or depth > DEEPEST or loops > DEEPEST_LOOPS:
            raise BadToolTemplate("The template has too many parts, or is nested too deep.")
        if (complaint := _refusal(node)) is not None:
            line = getattr(node, "lineno", None)
            raise BadToolTemplate(f"{complaint}{f' (line {line})' if line else ''}.")
        stack += ((child, depth + 1, loops) for child in node.iter_child_nodes())


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


def _insert_marks(tree: nodes.Template) -> set[str]:
    """Replace each `{{ secrets.name }}` with a mark; return the names.  Raises BadToolTemplate for other uses of secrets."""
    names = set[str]()
    for output in tree.find_all(nodes.Output):
        for place, expression in enumerate(output.nodes):
            match expression:
                case nodes.Getattr(node=nodes.Name(name="secrets"), attr=name):
                    names.add(name)
                    output.nodes[place] = nodes.TemplateData(f"{MARK}{name}{MARK}", lineno=expression.lineno)
    if any(name.name == SECRETS for name in tree.find_all(nodes.Name)):
        raise BadToolTemplate(
            "A secret can only be written by itself, as {{ secrets.name }}: nothing can be done with it."
        )
    return names


def _charge_loops(tree: nodes.Template) -> None:
    for loop in list(tree.find_all(nodes.For)):
        cost = 1 + sum(_cost(part) for node in loop.body for part in _all(node))
        loop.iter = nodes.Filter(loop.iter, _CHARGED, [nodes.Const(cost)], [], None, None, lineno=loop.lineno)


class _Comparisons(NodeTransformer):
    """Replaces comparisons by a filter that spends steps for their operands."""

    def visit_Compare(self, node: nodes.Compare) -> nodes.Filter:
        self.generic_visit(node)
        operands = [part for operand in node.ops for part in (nodes.Const(operand.op), operand.expr)]
        return nodes.Filter(node.expr, _COMPARED, operands, [], None, None, lineno=node.lineno)


def _cost(part: nodes.Node) -> int:
    """Return the steps of a part of a loop's body per pass; text costs by its length, marks of secrets included."""
    return 1 + (len(part.data) // STEP_CHARS if isinstance(part, nodes.TemplateData) else 0)


def _all(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    yield from node.find_all(nodes.Node)
