"""The project's own modules as trees, each parsed once and walked once."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

Node = TypeVar("Node", bound=ast.AST)


@cache
def tree(path: Path) -> ast.Module:
    """Not to be changed by whoever gets it."""
    return ast.parse(path.read_text())


def nodes(root: ast.AST, *types: type[Node]) -> Iterator[Node]:
    """Yield the nodes of these types in a tree, its root included, one type after the other."""
    for each in types:
        yield from cast("Sequence[Node]", _by_type(root).get(each, ()))


def functions(root: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions in a tree, also those inside of others."""
    yield from nodes(root, ast.FunctionDef)
    yield from nodes(root, ast.AsyncFunctionDef)


@cache
def _by_type(root: ast.AST) -> Mapping[type[ast.AST], Sequence[ast.AST]]:
    found = defaultdict[type[ast.AST], list[ast.AST]](list)
    for node in ast.walk(root):
        found[type(node)].append(node)
    return found
