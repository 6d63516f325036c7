"""The lock of a HUM_HOME: only its holder runs the platform."""

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

POLL_SECONDS = 0.05
HAND_OVER_SECONDS = 30.0


class AlreadyRunning(Exception):  # noqa: N818 - it says what is the case
    """Another process runs the platform of this home; the message names the process and says what to do."""


class Lock:
    """The lock of one home.  The system releases it when its holder ends, even by a crash."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file: IO[str] | None = None

    @property
    def is_acquired(self) -> bool:
        return self._file is not None

    async def acquire(self, *, replace: bool = False) -> None:
        """Acquire the lock; with `replace`, first ask its holder to release it and to leave its programs running.

        Raises AlreadyRunning.
        """
        private.create_home(self._home)
        file = os.fdopen(os.open(self._home / "up.lock", os.O_RDWR | os.O_CREAT, private.FILE), "r+")
        try:
            if not _try_lock(file):
                holder = _holder_facts(file)
                if not (replace and await self._wait_for_hand_over(file, holder)):
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
        json.dump({"pid": os.getpid(), "since": now().isoformat(timespec="seconds"), "url": url}, self._file)
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
        return (
            f"HUM already runs in {self._home.resolve()}: {holder_text}{url_text}. "
            "Stop it, set another HUM_HOME, or take its place with `hum up --replace`."
        )


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
