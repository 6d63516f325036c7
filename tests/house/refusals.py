"""The sentences of refusals, read from the sources: what is raised, and what functions that judge a value return.

A sentence is a text with `{}` where a value goes.  Constants are followed by name, also into other modules.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.house.sources import nodes, tree

PLANES = ("control", "gateway", "hum", "storage")
#: Exceptions whose text becomes a refusal's, or a field's reason.
PASSED_ON = {
    "BadColumns",
    "BadForm",
    "BadSheet",
    "BadTextTemplate",
    "BadToolTemplate",
    "BadValue",
    "InvalidValue",
    "NotANumber",
    "NotJson",
    "Unreadable",
    "ValidationError",
}
#: Calls of which the first argument is said, the second, and the third, besides those of refusals and of PASSED_ON.
SAID = (
    {"report", "_invalid", "ways.append"},
    {"BadBody", "EgressError", "FieldError", "refusal", "_refuse", "_fill_text"},
    {"answer"},
)
#: Refusals that no person sees: of programs' credentials, and one of a client that has left.
UNSEEN = {"ApiKeyRequired", "ClientDisconnected", "InsufficientScope"}
#: Functions that return what is wrong with a value, or None.
JUDGE = re.compile(r"_?(bad_\w+|fault|too_many|too_large|refusal(_of_name)?|must_be)")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Sentence:
    """A sentence, and the place that has it."""

    text: str
    place: str


@dataclass
class Module:
    """One source, with the constants of its texts."""

    path: str
    tree: ast.Module
    constants: dict[str, ast.expr] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.constants[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                self.constants[node.target.id] = node.value


class Sources:
    """All sources of the planes that answer requests."""

    def __init__(self, root: Path) -> None:
        paths = [path for plane in PLANES for path in (root / plane).rglob("*.py") if "_pb2" not in path.name]
        self.modules = [Module(path.relative_to(root).as_posix(), tree(path)) for path in sorted(paths)]

    @cached_property
    def refusals(self) -> Mapping[str, str]:
        """The classes of refusals, with the sentence that each has by itself."""
        classes = [node for module in self.modules for node in nodes(module.tree, ast.ClassDef)]
        kinds, found = {"RequestRefused": ""}, -1
        while found != len(kinds):
            found = len(kinds)
            for node in classes:
                if any(_name(base) in kinds for base in node.bases):
                    kinds[node.name] = ast.get_docstring(node) or ""
        return kinds

    def sentences(self) -> Iterator[Sentence]:
        """Yield every sentence that a refusal may say."""
        for module in self.modules:
            yield from self._in(module, module.tree, None)

    def _in(self, module: Module, node: ast.AST, function: Function | None) -> Iterator[Sentence]:
        if isinstance(node, Function):
            function = node
        for expression in self._said(node, function):
            for text in self._texts(module, expression, function):
                if re.search(r"[a-z] ", text):
                    yield Sentence(text, f"{module.path}:{function.name if function else ''}")
        for child in ast.iter_child_nodes(node):
            yield from self._in(module, child, function)

    def _said(self, node: ast.AST, function: Function | None) -> Iterator[ast.expr]:
        """Yield the expressions of a node whose text is said."""
        match node:
            case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
                if function is not None and JUDGE.fullmatch(function.name):
                    yield value
            case ast.Raise(exc=ast.Name(id=kind)) if kind in self.refusals and kind not in UNSEEN:
                yield ast.Constant(self.refusals[kind])
            case ast.Call(func=func, args=args):
                kind = _name(func)
                if kind in PASSED_ON or (kind in self.refusals and kind not in UNSEEN | {"BadBody", "InvalidRequest"}):
                    yield from args[:1] or [ast.Constant(self.refusals.get(kind, ""))]
                for place, kinds in enumerate(SAID):
                    if kind in kinds or ast.unparse(func) in kinds:
                        yield from args[place : place + 1]

    def _texts(self, module: Module, node: ast.expr, function: Function | None, depth: int = 0) -> Iterator[str]:
        """Yield the texts that an expression may have."""

        def follow(inner: ast.expr) -> Iterator[str]:
            return self._texts(module, inner, function, depth + 1)

        match node:
            case _ if depth > 6:
                return
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=parts):
                yield from self._joined(module, parts, function)
            case ast.IfExp(body=body, orelse=other):
                yield from (*follow(body), *follow(other))
            case ast.BoolOp(values=values):
                for value in values:
                    yield from follow(value)
            case ast.Subscript(value=value):
                yield from follow(value)
            case ast.Call(func=ast.Attribute(value=value, attr="format")):
                yield from (re.sub(r"\{\w*\}", "{}", text) for text in follow(value))
            case ast.Tuple(elts=values) | ast.List(elts=values):
                for value in values:
                    yield from follow(value)
            case ast.Dict(values=values):
                for value in values:
                    yield from follow(value)
            case ast.DictComp(value=value):
                yield from follow(value)
            case ast.Name(id=name):
                yield from self._named(module, name, function, depth)
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if name.isupper():
                for source in self.modules:
                    if source.path.endswith(f"/{owner}.py") and name in source.constants:
                        yield from self._texts(source, source.constants[name], None, depth + 1)

    def _joined(self, module: Module, parts: list[ast.expr], function: Function | None) -> Iterator[str]:
        texts = [""]
        for part in parts:
            if isinstance(part, ast.Constant):
                said = [str(part.value)]
            else:
                assert isinstance(part, ast.FormattedValue)
                constant = part.value if isinstance(part.value, ast.Name | ast.IfExp | ast.Constant) else None
                said = list(self._texts(module, constant, function, 3)) if constant is not None else []
                said = said or ["{}"]
            texts = [before + after for before in texts for after in said]
        yield from texts

    def _named(self, module: Module, name: str, function: Function | None, depth: int) -> Iterator[str]:
        """Yield the texts of a name: what its function assigns to it, or a module's constant."""
        if name.isupper() or name.lstrip("_").isupper():
            if name in module.constants:
                yield from self._texts(module, module.constants[name], None, depth + 1)
                return
            imported = {
                alias.asname or alias.name: (node.module or "").replace(".", "/") + ".py"
                for node in ast.walk(module.tree)
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
            for other in self.modules:
                if other.path == imported.get(name) and name in other.constants:
                    yield from self._texts(other, other.constants[name], None, depth + 1)
            return
        for node in ast.walk(function) if function else ():
            if isinstance(node, ast.Assign) and any(_name(target) == name for target in node.targets):
                yield from self._texts(module, node.value, function, depth + 1)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
