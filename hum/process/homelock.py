"""The lock of a HUM_HOME: only its holder runs the platform in it, or restores a backup into it and records that."""

import asyncio
import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from hum.clock import now
from hum.process import private
from hum.process.signals import DRAIN

FILE = "up.lock"
UP, RESTORE, MIGRATE = "hum up", "hum restore", "hum migrate --restored"
POLL_SECONDS = 0.05
HAND_OVER_SECONDS = 30.0


class AlreadyRunning(Exception):  # noqa: N818 - it says what is the case
    """Another process has the lock of this home; the message names the process and says what to do."""


class Lock:
    """The lock of one home, for one command.  The system releases it when its holder ends, even by a crash.

    The file stays: a process may have opened it to lock it.
    """

    def __init__(self, home: Path, command: str) -> None:
        self._home = home
        self._command = command
        self._file: IO[str] | None = None

    @property
    def is_acquired(self) -> bool:
        return self._file is not None

    async def acquire(self, *, replace: bool = False) -> None:
        """Acquire the lock; with `replace`, first ask a `hum up` to release it and to leave its programs running.

        Raises AlreadyRunning.
        """
        private.create_home(self._home)
        file = os.fdopen(os.open(self._home / FILE, os.O_RDWR | os.O_CREAT, private.FILE), "r+")
        try:
            if not _try_lock(file):
                holder = _holder_facts(file)
                is_up = holder.get("command", UP) == UP
                if not (replace and is_up and await self._wait_for_hand_over(file, holder)):
                    raise AlreadyRunning(self._already_runs_message(holder))
        # Also a cancellation while it waits: a file that stays open could hold the lock.
        except BaseException:
            file.close()
            raise
        self._file = file
        self.describe("")

    def describe(self, url: str) -> None:
        """Write this process and its URL into the lock file, for processes that find the lock held."""
        assert self._file is not None
        self._file.seek(0)
        self._file.truncate()
        facts = {"command": self._command, "pid": os.getpid(), "since": now().isoformat(timespec="seconds"), "url": url}
        json.dump(facts, self._file)
        self._file.flush()

    def release(self) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None

    async def _wait_for_hand_over(self, file: IO[str], holder: dict[str, Any]) -> bool:
        with suppress(ProcessLookupError, KeyError):
            os.kill(holder["pid"], DRAIN)
        with suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_SECONDS):
                while not _try_lock(file):  # noqa: ASYNC110 - nothing signals the release of a lock
                    await asyncio.sleep(POLL_SECONDS)
                return True
        return False

    def _already_runs_message(self, holder: dict[str, Any]) -> str:
        holder_text = f"process {holder['pid']}, since {holder['since']}" if holder else "another process"
        url_text = f", at {holder['url']}" if holder.get("url") else ""
        command = holder.get("command", UP)
        if command != UP:
            return (
                f"`{command}` runs in {self._home.resolve()}: {holder_text}. "
                "Wait until it has ended, or set another HUM_HOME."
            )
        ways = "Stop it, or set another HUM_HOME."
        if self._command == UP:
            ways = "Stop it, set another HUM_HOME, or take its place with `hum up --replace`."
        return f"HUM already runs in {self._home.resolve()}: {holder_text}{url_text}. {ways}"


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder_facts(file: IO[str]) -> dict[str, Any]:
    """Return the facts about the lock's holder; empty if it has only just acquired the lock."""
    file.seek(0)
    try:
        facts: dict[str, Any] = json.loads(file.read())
    except ValueError:
        return {}
    return facts
