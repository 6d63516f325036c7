"""The state that moves has a version, which is raised whenever its classes change."""

import ast
import hashlib
from pathlib import Path

from media.handover import snapshot

ROOT = Path(snapshot.__file__).parents[2]
SOURCES = [
    *sorted((ROOT / "media/core").glob("*.py")),
    *(ROOT / each for each in ("media/callstate.py", "media/io/silero.py", "media/recorder.py", "media/reports.py")),
    *(ROOT / each for each in ("media/handover/movedcall.py", "media/handover/snapshot.py", "hum/peaks.py")),
]
#: Of the version below.  If the test below fails: raise `snapshot.VERSION`, and put the new digest here;
#: `SINCE` follows unless a field only came or went.
SHAPE = "85977ce059b868d3"


def attributes(kind: ast.ClassDef) -> list[str]:
    """The fields, members of an enum and attributes of a class, with the types that are declared."""
    found = set()
    for node in ast.walk(kind):
        match node:
            case ast.AnnAssign(target=ast.Name(name) | ast.Attribute(ast.Name("self"), name)):
                found.add(f"{name}: {ast.unparse(node.annotation)}")
            case ast.Attribute(ast.Name("self"), name, ast.Store()):
                found.add(name)
    found |= {
        f"{target.id} = {ast.unparse(each.value)}"
        for each in kind.body
        if isinstance(each, ast.Assign)
        for target in each.targets
        if isinstance(target, ast.Name)
    }
    return sorted(found)


def shape() -> str:
    lines = [
        f"{path.relative_to(ROOT)}:{node.name}({', '.join(ast.unparse(base) for base in node.bases)}): {attributes(node)}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def test_whoever_changes_what_moves_raises_its_version() -> None:
    assert (snapshot.VERSION, shape()) == (26, SHAPE), (
        "raise VERSION in media/handover/snapshot.py, and note the new shape here"
    )


def test_a_field_more_is_another_shape() -> None:
    kind = ast.parse("class A:\n    x: int\n    def __init__(self): self.y = 1")
    other = ast.parse("class A:\n    x: int\n    def __init__(self): self.y = self.z = 1")
    assert attributes(kind.body[0]) == ["x: int", "y"]  # type: ignore[arg-type]
    assert attributes(other.body[0]) == ["x: int", "y", "z"]  # type: ignore[arg-type]
