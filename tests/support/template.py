"""A stopped server whose database is migrated: each worker starts its own on a copy of the files.

python -m tests.support.template HOME
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Final

from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate
from tests.support.anyhour import at_any_hour
from tests.support.waits import until

#: Nothing here outlives its test; and an autovacuum would hold back readers behind the horizon.
FAST: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "autovacuum": "off",
    "jit": "off",
    "dynamic_shared_memory_type": "mmap",  # among its files: a server that is killed leaves nothing elsewhere
}
FILES, READY, FAILED = "postgres", "ready", "failed"


async def make(home: Path) -> None:
    """Make the template in this folder."""
    server = EmbeddedPostgres(home, settings=FAST)
    url = await server.start()
    await migrate(url)
    await at_any_hour(url)
    await server.stop()
    (home / FILES / "port").unlink()


def begin(home: Path) -> subprocess.Popen[bytes]:
    """Make the template in a process of its own: while tests are collected, a processor has nothing else to do."""
    root = Path(__file__).parents[2]
    with (home / "log").open("wb") as log:
        return subprocess.Popen([sys.executable, "-m", __name__, str(home)], cwd=root, stdout=log, stderr=log)


async def copy(home: Path, to: Path) -> None:
    """Copy the template, once it is made, with the owners of its files."""
    await until(lambda: (home / READY).exists() or (home / FAILED).exists())
    assert (home / READY).exists(), (home / "log").read_text()
    await asyncio.to_thread(subprocess.run, ["/bin/cp", "-a", str(home / FILES), str(to)], check=True)


if __name__ == "__main__":
    at = Path(sys.argv[1])
    try:
        asyncio.run(make(at))
    except BaseException:
        (at / FAILED).touch()
        raise
    (at / READY).touch()
