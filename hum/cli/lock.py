"""One platform for each HUM_HOME: whoever holds the lock runs it."""

import asyncio
import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from hum import private
from hum.clock import now
from hum.signals import LEAVE

LOOK_SECONDS = 0.05
HAND_OVER_SECONDS = 30.0


class AlreadyRuns(Exception):  # noqa: N818 - it says what is the case
    """Another process runs the platform of this home; the message names it and says what to do."""


class Lock:
    """The lock of one home.  The system lets go of it when its holder ends, however that happens."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file: IO[str] | None = None

    @property
    def is_held(self) -> bool:
        return self._file is not None

    async def take(self, *, replace: bool = False) -> None:
        """Take it; with `replace`, ask whoever holds it to let go first, and to leave its programs running.

        Raises AlreadyRuns.
        """
        private.create_home(self._home)
        file = os.fdopen(os.open(self._home / "up.lock", os.O_RDWR | os.O_CREAT, private.FILE), "r+")
        try:
            if not _locked(file):
                holder = _facts(file)
                if not (replace and await self._handed_over(file, holder)):
                    raise AlreadyRuns(self._sentence(holder))
        except BaseException:
            file.close()
            raise
        self._file = file
        self.describe("")

    def describe(self, url: str) -> None:
        """Say who holds it, for whoever comes next."""
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

    async def _handed_over(self, file: IO[str], holder: dict[str, Any]) -> bool:
        with suppress(ProcessLookupError, KeyError):
            os.kill(holder["pid"], LEAVE)
        with suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_SECONDS):
                while not _locked(file):  # noqa: ASYNC110 - nothing signals the release of a lock
                    await asyncio.sleep(LOOK_SECONDS)
                return True
        return False

    def _sentence(self, holder: dict[str, Any]) -> str:
        who = f"process {holder['pid']}, since {holder['since']}" if holder else "another process"
        where = f", at {holder['url']}" if holder.get("url") else ""
        return (
            f"HUM already runs in {self._home.resolve()}: {who}{where}. "
            "Stop it, set another HUM_HOME, or take its place with `hum up --replace`."
        )


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _facts(file: IO[str]) -> dict[str, Any]:
    """Who holds the lock; empty for one that has only just taken it."""
    file.seek(0)
    try:
        facts: dict[str, Any] = json.loads(file.read())
    except ValueError:
        return {}
    return facts
