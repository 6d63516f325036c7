"""Shared fixtures: a real PostgreSQL with a fresh copy of the migrated database for each test, and a fence around
loopback.
"""

import asyncio
import gc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import hypothesis
import pytest
import structlog
import uvloop
from hypothesis.internal.entropy import deterministic_PRNG

from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate
from tests.support import parked, ports, quick, template
from tests.support.anyhour import at_any_hour
from tests.support.databases import LENT_PREFIX, Databases, drop, introspect_once, new, open_schema
from tests.support.examples import ALL, USUAL, examples
from tests.support.present import present
from tests.support.stalls import Stalls
from tests.support.template import FAST
from tests.topics import TOPICS

pytest_plugins = ["tests.support.workers"]

#: The home of a server that is migrated, for the workers to copy.
TEMPLATE = pytest.StashKey[Path]()
#: Each test's database is 700 files, made and thrown away: in memory a tenth of the work.  Containers may have little of it.
MEMORY, MEMORY_BYTES = Path("/dev/shm"), 1 << 30
#: How long an example takes says how busy the machine is.  `make test` draws the same examples each time, so that a commit turns
#: no test red that it doesn't touch; new ones are drawn where all are.
hypothesis.settings.register_profile(
    "quick",
    max_examples=examples(USUAL),
    deadline=None,
    derandomize=not ALL,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("quick")
#: structlog's own way to show a line takes longer than to write it, and an exception, with every frame's variables, seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["level", "event"], repr_native_str=False),
    ]
)


#: Of what pytest and the imports hold for ever, millions of objects, the collector walks nothing, and it looks at the rest less often.
GC_THRESHOLDS = (20_000, 20, 20)
gc.disable()


@pytest.hookimpl(tryfirst=True)  # before pytest decides where the tests' folders are
def pytest_configure(config: pytest.Config) -> None:
    for name, topic in TOPICS.items():
        config.addinivalue_line("markers", f"{name}: {topic.about}")
    if config.option.workers and not config.option.collectonly:
        cleanup = ExitStack()
        config.add_cleanup(cleanup.close)
        where = place_for_a_server()
        home = cleanup.enter_context(home_for_a_server(where))
        if where is not None and config.option.basetemp is None:
            config.option.basetemp = home / "tests"
        cleanup.enter_context(_ended_with_us(home))
        making = template.begin(home)
        cleanup.callback(making.wait)
        cleanup.callback(making.terminate)
        config.stash[TEMPLATE] = home


def pytest_worker_began() -> None:
    ports.reserve()


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the event loop of the programs."""
    return {"uvloop": uvloop.new_event_loop}


#: What many a worker would import in its first test that needs it.
PRELOADED = (
    "httpcore",
    "httpcore2",
    "openai",
    "stripe",
    "twilio.rest.api",
    "uvicorn.lifespan.off",
    "websockets.server",
)


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.workers:
        for name in PRELOADED:
            import_module(name)
    # Hypothesis collects garbage when a process draws for the first time, which each worker would do.
    with deterministic_PRNG():
        pass
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


#: As Python's own does; that one asyncio replaces whenever a fixture or a test begins to run, a millisecond each time.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _interrupt)
ports.reserve()
introspect_once()
PARKED = parked.Parked()
parked.park(PARKED, lambda database: database.startswith(LENT_PREFIX))
quick.end_servers_at_once()
quick.compile_paths_once()
if not ALL:
    quick.draw_no_constants_of_ours()
#: asyncpg makes a TLS context for each connection unless it is to use none.
os.environ.setdefault("PGSSLMODE", "disable")
#: On a machine that others keep busy, a hundred requests at once take longer than the 5 s for which httpx waits.
for _client in (httpx.Client, httpx.AsyncClient):
    _defaults = present(_client.__init__.__kwdefaults__)
    _defaults["timeout"] = httpx.Timeout(60)
    #: Each client would read the machine's certificates, which takes longer than most requests; here nobody speaks TLS.
    _defaults["verify"] = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a failure without collecting garbage meanwhile: a finalizer's own warning would be parsed for display inside the
    parse of the failure's source, which CPython 3.11 can't (gh-106905), and the whole run would end.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: Any) -> Generator[None, object, object]:
    """A program that refuses to start fails its test alone: pytest loses track of a fixture that ends the process, and fails
    all later tests that have it.
    """
    try:
        return (yield)
    except SystemExit as ended:
        error = AssertionError(f"it refused to start: {ended}")
        fixturedef.cached_result = (None, fixturedef.cache_key(request), (error, None))
        raise error from ended


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Let no test connect beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            host = str(address[0]) if isinstance(address, tuple) else ""
            assert host in {"localhost", "::1"} or host.startswith("127."), f"a test tried to reach {host}"
        connect(self, address)  # type: ignore[arg-type]

    socket.socket.connect = guarded  # type: ignore[method-assign,assignment]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


def place_for_a_server() -> Path | None:
    """Memory, where there is enough: no test of this server is about disks."""
    enough = os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
    return MEMORY if enough else None


@contextmanager
def home_for_a_server(where: Path | None = None) -> Iterator[Path]:
    """A folder that another user can reach.  Run by root, the server uses another account, and pytest restricts its own
    folders whenever another test run begins.
    """
    with tempfile.TemporaryDirectory(prefix="hum-test-", dir=where, ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def open_home() -> Iterator[Path]:
    with home_for_a_server() as home:
        yield home


@pytest.fixture(scope="session")
def shared_home() -> Iterator[Path]:
    with home_for_a_server(place_for_a_server()) as home:
        yield home


@pytest.fixture(scope="session")
def postgres(shared_home: Path, pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of a server whose database `hum` is migrated and stays empty: the template of all others."""
    sockets = shared_home / template.FILES
    server = EmbeddedPostgres(shared_home, settings=FAST | {"unix_socket_directories": str(sockets)})

    async def start() -> str:
        if TEMPLATE in pytestconfig.stash:
            await template.copy(pytestconfig.stash[TEMPLATE], shared_home)
            return await server.start()
        url = await server.start()
        await migrate(url)
        await at_any_hour(url)
        return url

    with _ended_with_us(shared_home):
        url = asyncio.run(start())
        port = urlsplit(url).port
        PARKED.local[present(port)] = f"{sockets}/.s.PGSQL.{port}"
        yield url
        asyncio.run(server.stop())


@contextmanager
def _ended_with_us(home: Path) -> Iterator[None]:
    """However this process ends, the server in this home ends too, and its files go."""
    end = 'read -r _; kill -QUIT "$(head -n 1 "$1/postgres/data/postmaster.pid")"; sleep 1; rm -rf "$1"'
    command = ["/bin/sh", "-c", end, "sh", str(home)]
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    yield
    guard.kill()
    guard.communicate()


@pytest.fixture(scope="session")
def databases(postgres: str) -> Iterator[Databases]:
    found = Databases(postgres.rpartition("/")[0], PARKED)
    yield found
    found.close()
    PARKED.close()


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[str]:
    """A database without even our tables."""
    name = asyncio.run(new(databases.base, "template0"))
    asyncio.run(open_schema(databases.base, name))
    yield f"{databases.base}/{name}"
    asyncio.run(drop(databases.base, name))


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated database of this test's own, without rows."""
    name = databases.lend()
    yield f"{databases.base}/{name}"
    databases.take_back(name)


@pytest.fixture
def short_sessions(database_url: str) -> Iterator[None]:
    """For a test that changes what the database's sessions begin with: none of others goes on in it, and none outlives it."""
    name = database_url.rpartition("/")[2]
    PARKED.forget(name)
    yield
    PARKED.forget(name)


@pytest.fixture
def over_tcp(short_sessions: None) -> Iterator[None]:
    """For a test of the connections' sockets: the server is reached as everywhere else."""
    local = PARKED.local.copy()
    PARKED.local.clear()
    yield
    PARKED.local.update(local)


@pytest.fixture
async def stalls() -> AsyncIterator[Stalls]:
    """How late this process has been since the test began."""
    found = Stalls()
    watching = asyncio.create_task(found.watch())
    yield found
    watching.cancel()
