"""A class with more than ten fields should be several classes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import nodes, tree

ROOT = Path(__file__).parents[2]
ROOMS = ("media", "control", "gateway")
FIELDS = 10
#: Those that may have more, and why.
EXCEPTIONS = {
    "WindowBuffers": "views of a few buffers, made once, for numpy to write into",
}


def is_record(cls: ast.ClassDef) -> bool:
    """Plain data that never changes: a frozen dataclass or struct, a message of settings."""
    calls = (*cls.decorator_list, cls)
    keywords = [each for call in calls if isinstance(call, ast.Call | ast.ClassDef) for each in call.keywords]
    frozen = any(
        each.arg == "frozen" and isinstance(each.value, ast.Constant) and each.value.value is True for each in keywords
    )
    bases = {ast.unparse(base) for base in cls.bases}
    return frozen or any(base.endswith(("Settings", "Row", "NamedTuple", "Enum")) for base in bases)


def stored(target: ast.expr) -> Iterator[str]:
    """The attributes of `self` that an assignment sets."""
    for node in ast.walk(target):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                yield node.attr


def fields(cls: ast.ClassDef) -> set[str]:
    """A dataclass's fields, `__slots__`, and whatever its methods set on `self`."""
    found = set[str]()
    for node in cls.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__":
            found |= {str(each.value) for each in ast.walk(node.value) if isinstance(each, ast.Constant)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                targets = inner.targets if isinstance(inner, ast.Assign) else []
                if isinstance(inner, ast.AnnAssign | ast.AugAssign):
                    targets = [inner.target]
                found |= {name for target in targets for name in stored(target)}
    return found


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in nodes(tree(path), ast.ClassDef):
                yield str(path.relative_to(ROOT)), node


def test_no_class_has_more_than_ten_fields() -> None:
    crowded = {
        f"{path}: {cls.name} has {count}"
        for path, cls in classes()
        if (count := len(fields(cls))) > FIELDS and not is_record(cls) and cls.name not in EXCEPTIONS
    }
    assert not crowded


def test_exceptions_are_needed() -> None:
    crowded = {cls.name for _, cls in classes() if len(fields(cls)) > FIELDS and not is_record(cls)}
    assert set(EXCEPTIONS) <= crowded


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("class A:\n    __slots__ = ('a', 'b')", 2),
        ("@dataclass\nclass A:\n    a: int\n    b: str = ''", 2),
        ("class A:\n    def __init__(self):\n        self.a, self.b = 1, 2\n    def f(self):\n        self.c: int = self.d.e", 3),
        ("class A:\n    def f(self, other):\n        other.a = self.b = 1\n        self.c[0] = 2", 1),
    ],
)  # fmt: skip
def test_fields_are_counted_wherever_they_are_set(source: str, count: int) -> None:
    (cls,) = ast.parse(source).body
    assert isinstance(cls, ast.ClassDef)
    assert len(fields(cls)) == count
