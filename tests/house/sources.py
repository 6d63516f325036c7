"""The project's own modules as trees, each parsed once."""

import ast
from functools import cache
from pathlib import Path


@cache
def tree(path: Path) -> ast.Module:
    """Not to be changed by whoever gets it."""
    return ast.parse(path.read_text())
