"""Every setting, metric, option and field is used, or docs/not-implemented.md says that it is not."""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FileDescriptor

from hum import settings
from hum.contract.comments import comment
from tests.house.sources import nodes, tree

ROOT = Path(__file__).parents[2]
ROOMS = ("cli", "evals", "hum", "gateway", "control", "media", "realtime", "storage", "sandbox", "voice")
PAGE = ROOT / "docs" / "not-implemented.md"
MARK = "Not implemented: "
METRICS = {"Counter", "Gauge", "Histogram", "Summary"}
USES = {"inc", "dec", "observe", "set", "labels", "time", "set_function", "count_exceptions", "track_inprogress"}
#: Read from the environment before the settings, because it decides which modules are imported.
BEFORE_SETTINGS = {"interpreted"}

SETTINGS = ROOT / "hum" / "settings"


@cache
def trees() -> Sequence[tuple[Path, ast.Module]]:
    """The project's own modules; generated ones name every field."""
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "_pb2" not in path.name]
    return [(path, tree(path)) for path in paths]


# --- settings -----------------------------------------------------------------------------------------------------


def reads(tree: ast.AST) -> set[str]:
    return {node.attr for node in nodes(tree, ast.Attribute) if isinstance(node.ctx, ast.Load)}


def with_derived(read: set[str], *modules: ast.Module) -> set[str]:
    """`read`, and the settings that the properties in `read` are derived from."""
    classes = [node for module in modules for node in module.body if isinstance(node, ast.ClassDef)]
    methods = [node for cls in classes for node in cls.body if isinstance(node, ast.FunctionDef)]
    return read.union(*(reads(method) for method in methods if method.name in read))


def unread_settings(fields: Iterable[str], read: set[str]) -> set[str]:
    return set(fields) - read - BEFORE_SETTINGS


def test_every_setting_is_read() -> None:
    read = {name for path, tree in trees() if path.parent != SETTINGS for name in reads(tree)}
    read = with_derived(read, *(tree(path) for path in sorted(SETTINGS.glob("*.py"))))
    marked = {field for field, info in settings.UpSettings.model_fields.items() if info.validation_alias in listed()}
    assert unread_settings(settings.UpSettings.model_fields, read) <= marked


def test_a_setting_that_nothing_reads_is_found() -> None:
    module = ast.parse(
        "class S:\n    a = 1\n    def b(self):\n        return self.a\n    def d(self):\n        return self.c"
    )
    assert unread_settings({"a", "c"}, with_derived({"b"}, module)) == {"c"}


def test_marked_settings_are_in_the_table() -> None:
    marked = {name for name, field in settings.variables().items() if (field.description or "").startswith("not impl")}
    assert marked == {name for name in listed() if name in settings.variables()}


# --- metrics ------------------------------------------------------------------------------------------------------


def metrics(tree: ast.Module) -> set[str]:
    """The module's constants that are metrics."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            if ast.unparse(node.value.func).rpartition(".")[2] in METRICS:
                found |= {ast.unparse(target) for target in node.targets}
    return found


def used(tree: ast.Module) -> set[str]:
    """The names on which a metric's method is called: `X` of `X.inc()` and of `metrics.X.inc()`."""
    calls = [node.func for node in nodes(tree, ast.Call)]
    methods = [func for func in calls if isinstance(func, ast.Attribute) and func.attr in USES]
    return {ast.unparse(func.value).rpartition(".")[2] for func in methods}


def unused_metrics(modules: Iterable[tuple[str, ast.Module]]) -> set[str]:
    """Metrics that neither their own module nor one that imports it uses."""
    # Each module is read once: all pairs of them are many.
    read = [(name, metrics(tree), used(tree), imports(tree)) for name, tree in modules]
    unused = set()
    for name, defined, _, _ in read:
        users = [names for other, _, names, imported in read if other == name or name in imported]
        unused |= {f"{name}.{metric}" for metric in defined.difference(*users)}
    return unused


def imports(tree: ast.Module) -> set[str]:
    """The modules that a module imports, by their dotted names."""
    found = set()
    for node in nodes(tree, ast.Import):
        found |= {each.name for each in node.names}
    for other in nodes(tree, ast.ImportFrom):
        if other.module:
            found |= {other.module, *(f"{other.module}.{each.name}" for each in other.names)}
    return found


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_every_metric_is_used() -> None:
    modules = [(dotted(path), tree) for path, tree in trees()]
    assert sum(len(metrics(tree)) for _, tree in modules) > 20
    assert not unused_metrics(modules)


@pytest.mark.parametrize(
    ("use", "unused"),
    [
        ("from m import X\nX.labels('a').inc()", set()),
        ("import m\nm.X.inc()", set()),
        ("from m import X\nX", {"m.X"}),
        ("X.inc()", {"m.X"}),  # another X
    ],
)
def test_a_metric_that_nothing_uses_is_found(use: str, unused: set[str]) -> None:
    assert unused_metrics([("m", ast.parse("X = Counter('x', 'y')")), ("n", ast.parse(use))]) == unused


# --- options of commands -------------------------------------------------------------------------------------------


def options(tree: ast.AST) -> set[str]:
    """The attributes that a module's `add_argument` calls fill."""
    found = set()
    for node in nodes(tree, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument" and node.args:
            named = [each.value for each in node.keywords if each.arg == "dest"]
            text = ast.literal_eval((named or node.args)[0])
            found.add(text.lstrip("-").replace("-", "_"))
    return found


def test_every_option_is_read() -> None:
    parsed = [tree for _, tree in trees()]
    named = set().union(*map(options, parsed))
    assert {"owner_email", "from_"} <= named
    assert named <= set().union(*map(reads, parsed))


def test_an_option_that_nothing_reads_is_found() -> None:
    tree = ast.parse("p.add_argument('--a-b')\np.add_argument('--c', dest='d')\na.d")
    assert options(tree) - reads(tree) == {"a_b"}


# --- the table ----------------------------------------------------------------------------------------------------


def listed() -> set[str]:
    """The names in the first column of the page's first table."""
    table = PAGE.read_text().split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def files() -> Iterator[FileDescriptor]:
    for path in sorted((ROOT / "hum" / "v1").glob("*_pb2.py")):
        if path.name != "validate_pb2.py":
            yield import_module(f"hum.v1.{path.stem}").DESCRIPTOR


def contract_names() -> dict[str, str]:
    """Every message, field (`Message.field`), enum and value of the contract, and its comment."""
    names: dict[str, str] = {}
    for file in files():
        for message in file.message_types_by_name.values():
            names |= dict(message_names(message))
        for enum in file.enum_types_by_name.values():
            names[enum.name] = comment(enum.full_name)
            names |= {value.name: comment(f"{enum.full_name}.{value.name}") for value in enum.values}
    return names


def message_names(message: Descriptor) -> Iterator[tuple[str, str]]:
    yield message.name, comment(message.full_name)
    for field in message.fields:
        yield f"{message.name}.{field.name}", comment(field.full_name)


def test_every_name_in_the_table_exists() -> None:
    assert listed()
    assert listed() <= contract_names().keys() | settings.variables().keys()


def test_the_table_and_the_marks_in_the_contract_agree() -> None:
    names = contract_names()
    marked = {name for name, text in names.items() if text.startswith(MARK)}
    assert marked == {name for name in listed() if name in names}


def test_columns_in_the_page_exist() -> None:
    columns = re.findall(r"^\| `(\w+)\.(\w+)`", PAGE.read_text().split("\n## ")[1], re.MULTILINE)
    sql = "\n".join(path.read_text() for path in sorted((ROOT / "storage" / "migrations").glob("*.sql")))
    assert columns
    for table, column in columns:
        created = re.search(rf"CREATE TABLE {table} \(.*?\n\)", sql, re.DOTALL)
        assert created, table
        assert re.search(rf"\b{column}\b", created[0]) or f"ADD COLUMN {column} " in sql, f"{table}.{column}"
