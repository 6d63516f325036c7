"""Programs that tests and benchmarks start; each ends with the block that started it, however that ends.

Under uvloop, asyncio starts a program by running Python in the forked child first, while locks of this process's other threads may be
held: children were seen to die there.  `subprocess` has no such step.
"""

import asyncio
import os
import shlex
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from hum.settings.overrides import OVERRIDES
from tests.support.waits import patience


class Program(subprocess.Popen[bytes]):
    """A program; `poll()` returns whether it has ended, and one that has ended ignores its signals."""

    async def ended(self, seconds: float = 60) -> int:
        """Wait for the end; return the exit status.  Raises TimeoutExpired."""
        return await asyncio.to_thread(self.wait, seconds)

    async def outputs(self, seconds: float = 60) -> tuple[bytes, bytes]:
        """Return all output of its pipes until it ends.  Raises TimeoutExpired."""
        return await asyncio.to_thread(self.communicate, timeout=seconds)

    async def line(self) -> str:
        """Return the next line that it prints.  Raises EOFError if it ends instead."""
        assert self.stdout is not None, "made with a pipe"
        if not (text := await asyncio.to_thread(self.stdout.readline)):
            raise EOFError(f"a program ended with status {await self.ended()}")
        return text.decode().strip()


def variables(values: Mapping[str, object]) -> dict[str, str]:
    """Return the environment for a program: what has a name in lower case is a constant, and goes into HUM_OVERRIDES."""
    environment = {name: str(value) for name, value in values.items()}
    constants = [name for name in environment if name.islower() and name not in os.environ]
    pairs = shlex.join(f"{name}={environment.pop(name)}" for name in constants)
    if pairs:
        environment[OVERRIDES] = f"{environment.get(OVERRIDES, '')} {pairs}".strip()
    return environment


@asynccontextmanager
async def running(*command: str | Path, patience_seconds: float = 0, **options: Any) -> AsyncIterator[Program]:
    """Run a program until the block is left; then kill it, unless it ends within `patience_seconds` after SIGTERM.

    `options` are those of `subprocess.Popen`.
    """
    with Program(command, **options) as program:
        try:
            yield program
        finally:
            if patience_seconds:
                program.terminate()
                with suppress(subprocess.TimeoutExpired):
                    await program.ended(patience_seconds)
            program.kill()


async def listening(program: Program, port: int) -> None:
    """Wait until a program accepts connections at this port of this machine.  Fails if it ends instead."""
    async with patience():
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            assert program.poll() is None, "it ended"
            await asyncio.sleep(0.1)
