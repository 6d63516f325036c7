"""A HUM_HOME that ends with the command that made it, however that ends.

A guard, a process in a session of its own, reads its standard input, which ends with the command: after its last line, or by SIGKILL.
The guard then ends the programs that still run in the home, and removes it.
"""

import asyncio
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.platform import PROGRAMS, print_message
from hum.process import home, private
from hum.process.programs import Programs


@asynccontextmanager
async def scratch_home(parent: Path, name: str) -> AsyncIterator[Path]:
    """Create a home in `parent` whose directory's name begins with `name`; the programs in it end with the context."""
    path = parent / f"{name}-{secrets.token_hex(4)}"
    private.create_home(path)
    guard = subprocess.Popen(  # noqa: ASYNC220 - before anything else runs
        [sys.executable, "-m", "cli.scratchhome", str(path)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield path
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        await asyncio.to_thread(guard.wait)


async def _clear(path: Path) -> None:
    programs = Programs(print_message)
    programs.adopt(home.read_facts(path, PROGRAMS).get("programs", []))
    await programs.end_orphans()
    shutil.rmtree(path, ignore_errors=True)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    asyncio.run(_clear(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
