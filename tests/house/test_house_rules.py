"""The house rules that a machine can check (docs/architecture.md), besides those of `make static`."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor

from hum.contract.services import services
from tests.house.sources import functions, nodes, tree

ROOT = Path(__file__).parents[2]
ROOMS = ("cli", "evals", "hum", "gateway", "control", "media", "realtime", "storage", "sandbox", "voice")
MODULE_LINES, FUNCTION_LINES = 500, 60
BIN = Path(sys.executable).parent


def modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from (path for path in sorted((ROOT / room).rglob("*.py")) if "hum/v1" not in str(path))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def calls(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything that is called or read as an attribute."""
    for node in nodes(tree, ast.Attribute):
        if isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the names of all modules that are imported."""
    for node in nodes(tree, ast.Import):
        yield from (alias.name for alias in node.names)
    for other in nodes(tree, ast.ImportFrom):
        if other.module is not None:
            yield other.module


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)


def test_no_module_and_no_function_is_too_long() -> None:
    others = [path for folder in ("bench", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
    long = [
        f"{name(path)}: {lines} lines"
        for path in [*modules(), *others]
        if (lines := path.read_text().count("\n")) > MODULE_LINES
    ]
    for path in modules():
        for node in functions(tree(path)):
            if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES:
                long.append(f"{name(path)}: {node.name} has {lines} lines")
    assert not long


def test_one_file_reads_the_clock_and_one_package_the_environment() -> None:
    clocks = {"time.time", "time.monotonic", "time.perf_counter", "datetime.now", "datetime.utcnow", "date.today"}
    environment = {"os.environ", "os.getenv", "os.environb"}
    offenders = []
    for path in modules():
        if name(path).startswith("sandbox/"):
            continue
        seen = set(calls(tree(path)))
        if seen & clocks and name(path) != "hum/clock.py":
            offenders.append(f"{name(path)} reads the clock")
        if seen & environment and not name(path).startswith("hum/settings/"):
            offenders.append(f"{name(path)} reads the environment")
    assert not offenders


def test_only_storage_contains_sql() -> None:
    sql = re.compile(r"^\s*(SELECT\s.+\sFROM|INSERT INTO|UPDATE\s+\w+\s+SET|DELETE FROM|CREATE TABLE)\b", re.DOTALL)
    offenders = []
    for path in modules():
        if name(path).startswith("storage/"):
            continue
        for node in nodes(tree(path), ast.Constant):
            if isinstance(node.value, str) and sql.match(node.value):
                offenders.append(f"{name(path)}:{node.lineno}")
    assert not offenders


def test_a_lock_on_a_row_is_no_stronger_than_needed() -> None:
    """FOR UPDATE is for rows that go: it makes every check of a foreign key to the row wait, and so deadlocks of rows that
    nobody changes.  A queue that skips what is locked makes nobody wait.
    """
    erasing = {"storage/deleted_organizations.py", "storage/erasures.py", "storage/text_erasures.py"}
    strong = [
        (name(path), line.strip())
        for path in modules()
        if name(path).startswith("storage/") and name(path) not in erasing
        for line in path.read_text().splitlines()
        if "FOR UPDATE" in line and "SKIP LOCKED" not in line
    ]
    assert strong == []


def test_no_process_on_uvloop_forks_itself() -> None:
    """There, asyncio runs Python in the forked child before it is the program, beside locks of other threads: it was seen to crash."""
    on_uvloop = (
        "control",
        "gateway",
        "media",
        "storage",
        "realtime",
        "sandbox",
        "tests/support",
        "tests/media",
        "bench/media",
        "bench/handover",
    )
    forking = [
        str(path.relative_to(ROOT))
        for folder in on_uvloop
        for path in (ROOT / folder).rglob("*.py")
        if "create_subprocess" in path.read_text()
    ]
    assert forking == []


def test_tests_need_no_benchmark() -> None:
    """What both need is in `tests/support`."""
    offenders = [
        f"{name(path)} imports {module}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if not name(path).startswith("tests/bench/") and "bench" in path.read_text()
        for module in imported(tree(path))
        if module.split(".")[0] == "bench"
    ]
    assert not offenders


def test_only_the_root_of_a_plane_is_called_app() -> None:
    offenders = []
    for path in modules():
        for node in nodes(tree(path), ast.ImportFrom):
            if node.module in {"control.app", "gateway.app", "media.app"}:
                offenders.append(name(path))
    assert not offenders


#: Participles say what happened to a thing, not what it is; `settings`, `headers`, `payload` and `request` do.
PARTICIPLES = {"told", "said", "asked", "given"}


def bound(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that is bound: variables, arguments, attributes."""
    for node in nodes(tree, ast.Name, ast.arg, ast.Attribute):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


def test_names_say_what_a_thing_is() -> None:
    offenders = [
        f"{name(path)}:{line}: {word}"
        for path in modules()
        for line, word in bound(tree(path))
        if word.strip("_") in PARTICIPLES
    ]
    assert not offenders


@pytest.mark.parametrize("source", ["def f(told): ...", "given = 1", "self._asked = 1", "for said in []: ..."])
def test_a_participle_is_found(source: str) -> None:
    assert [word for _, word in bound(ast.parse(source)) if word.strip("_") in PARTICIPLES]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("optional string e164 = 2 [", "optional int32 e164 = 2 ["),
        ("optional string friendly_name = 3", "optional string nice_name = 3"),
        ("bool sms_enabled = 6;", ""),
    ],
)
def test_a_broken_field_is_refused(tmp_path: Path, before: str, after: str) -> None:
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    numbers = tmp_path / "proto/hum/v1/numbers.proto"
    text = numbers.read_text()
    assert before in text
    numbers.write_text(text.replace(before, after))
    done = run(sys.executable, "proto/contract.py", "breaking", cwd=tmp_path)
    assert done.returncode == 100, "a breaking change passed"
    assert "numbers.proto" in done.stdout


def test_every_rpc_says_who_may_call_it() -> None:
    from hum.contract import authorization
    from hum.v1 import options_pb2

    for service in services():
        for method in service.methods:
            access = authorization.access_of(method)
            assert method.GetOptions().HasExtension(options_pb2.access), method.full_name
            if access.audience == options_pb2.AUDIENCE_UNSPECIFIED:
                assert access.role and re.fullmatch(r"[a-z]+:(read|write)", access.scope), method.full_name


def holds(message: Descriptor, name: str, seen: frozenset[str] = frozenset()) -> bool:
    """Tell whether a message, or a message in it, has a field of this name."""
    if message.full_name in seen:
        return False
    inner = [field.message_type for field in message.fields if field.message_type is not None]
    seen |= {message.full_name}
    return name in message.fields_by_name or any(holds(each, name, seen) for each in inner)


def test_answers_with_secrets_are_marked() -> None:
    """Such an answer must not be stored under an idempotency key."""
    from google.api import annotations_pb2

    from hum.contract import authorization

    found = set()
    for service in services():
        for method in service.methods:
            verb = method.GetOptions().Extensions[annotations_pb2.http].WhichOneof("pattern")
            if verb == "post" and holds(method.output_type, "secret"):
                found.add(method.full_name)
                assert authorization.access_of(method).answers_secret, method.full_name
    assert found == {
        "hum.v1.IdentityService.CreateApiKey",
        "hum.v1.WebhooksService.CreateWebhook",
        "hum.v1.WebhooksService.RotateWebhookSecret",
        "hum.v1.TriggersService.CreateTrigger",
        "hum.v1.TriggersService.RotateTriggerToken",
        "hum.v1.TriggersService.RotateTriggerSecret",
        "hum.v1.CrmConnectorsService.CreateCrmConnector",
        "hum.v1.CrmConnectorsService.RotateCrmSecret",
    }


def test_methods_that_end_something_are_marked() -> None:
    """An organization that has stored too much may still call them."""
    from google.api import annotations_pb2

    from hum.contract import authorization

    verbs = (
        "Cancel",
        "Close",
        "Decline",
        "Delete",
        "Deny",
        "End",
        "Erase",
        "HangUp",
        "Pause",
        "Remove",
        "Revoke",
        "Stop",
    )
    for service in services():
        for method in service.methods:
            access = authorization.access_of(method)
            verb = method.GetOptions().Extensions[annotations_pb2.http].WhichOneof("pattern")
            if verb is not None and method.name.startswith(verbs):
                assert access.ends or verb == "delete", method.full_name
            assert not access.ends or verb == "post", method.full_name


def test_locks_name_no_place() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text()
        assert "://" not in text and "--index" not in text and "--find-links" not in text, lock
        assert "--hash=sha256:" in text


def test_the_roles_that_docs_print_are_the_roles_that_are_made() -> None:
    from storage.migrate import ROLES

    embedded = (ROOT / "storage/embedded.py").read_text()
    for grant in (
        "GRANT USAGE, CREATE ON SCHEMA public TO hum_owner",
        "GRANT USAGE ON SCHEMA public TO hum_app, hum_system",
    ):
        assert grant in ROLES
        assert grant in embedded
