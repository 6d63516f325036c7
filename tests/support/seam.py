"""python -m tests.support.seam FOLDER: control and workers as `hum` runs them, with a place to stop at each named step.

The product has no code for this: the functions that are called between two steps are wrapped here.  A file FOLDER/PLANE/STEP
arms a step: it contains how often the step is passed first, and `die` or `wait`.  The first process of the plane to reach the step
renames the file, which only one can, and kills itself with SIGKILL, or stands still until the file is gone.
"""

import importlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any, NoReturn

from control import app
from control.delivery import feature as delivery
from control.texts.posting import STEPS as SENDING
from control.texts.posting import TextPoster

#: Each step, and the function that it follows, as `module:name` or `module:class.name`, or precedes, with `<` in front.  Steps at a
#: boundary's function count one method only.
AFTER = {
    "launch: row locked": "control.campaigns.usecases:launchable",
    "launch: queued": "storage.campaigns:launch",
    "launch: committed": "control.boundary.boundary:Boundary._unary",
    "dispatch: chosen": "storage.campaigns:lock_next",
    "dispatch: started": "storage.campaigns:start",
    "dispatch: threads found": "storage.conversations:find_or_create_all",
    "dispatch: texts written": "control.texts.writing:write_all",
    "dispatch: recipients settled": "storage.recipients:record_results",
    "dispatch: committed": "control.campaigns.dispatching:Dispatcher.dispatch_next",
    "dispatch: completed": "storage.campaigns:complete",
    "look-up: listed": "control.clients.twilio:Twilio.sent_texts",
    "look-up: first look": "storage.text_attempts:record_lookup",
    "look-up: absent": "control.texts.statuses:absent",
    "callback: arrived": "<control.texts.ingress:TextsIngressServicer.ReportText",
    "callback: word kept": "storage.text_attempts:append_reports",
    "callback: message set": "storage.text_attempts:set_messages",
    "callback: committed": "control.texts.ingress:TextsIngressServicer.ReportText",
}
PAUSE_SECONDS = 0.005


class Seam:
    """The points at which a process of one plane may be stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._passed = Counter[str]()
        self._armed = dict[str, int]()

    def reached(self, step: str) -> None:
        """Stop this process if it is at an armed step; it continues only when this returns."""
        file = self.folder / step
        try:
            stat = file.stat()
            skip, how = file.read_text().split()
        except (FileNotFoundError, ValueError):
            return
        if self._armed.get(step) != stat.st_ino:
            self._armed[step], self._passed[step] = stat.st_ino, 0
        self._passed[step] += 1
        if self._passed[step] <= int(skip):
            return
        claimed = file.with_name(f"{step}.{how}.{os.getpid()}")
        try:
            file.rename(claimed)
        except FileNotFoundError:
            return  # another process was first
        if how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        while claimed.exists():
            time.sleep(PAUSE_SECONDS)

    async def at_step(self, step: str) -> None:
        self.reached(f"send: {step}")

    def watch(self, step: str, where: str) -> None:
        """Wrap a function to report its step; a function that looked for work and found none has made no step."""
        before, where = where.startswith("<"), where.removeprefix("<")
        module, _, path = where.partition(":")
        owner: Any = importlib.import_module(module)
        *holders, name = path.split(".")
        for holder in holders:
            owner = getattr(owner, holder)
        function: Callable[..., Awaitable[Any]] = getattr(owner, name)
        looks = name in {"next_to_look", "look"}
        method = "LaunchCampaign" if name == "_unary" else ""

        @wraps(function)
        async def watched(*args: Any, **named: Any) -> Any:
            if before:
                self.reached(step)
            result = await function(*args, **named)
            if not before and (result or not looks) and (not method or method in args[1].name):
                self.reached(step)
            return result

        setattr(owner, name, watched)


def arm(folder: Path, plane: str, step: str, skip: int, how: str) -> None:
    """Arm a step: a process of this plane stops there after `skip` passes."""
    draft = folder / plane / ".draft"
    draft.write_text(f"{skip} {how}")
    draft.rename(folder / plane / step)


def disarm(folder: Path) -> None:
    for file in folder.glob("*/*"):
        with suppress(FileNotFoundError):
            file.unlink()


def steps() -> list[str]:
    return [*(f"send: {step}" for step in SENDING), *AFTER]


def main() -> None:
    """Wrap the steps, then fork a process for each plane named on standard input; print its id.

    A fork of a program with loaded modules starts at once, so a plane that died is back before the campaign is over.
    """
    folder = Path(sys.argv[1])
    seam = Seam(folder)
    for step, where in AFTER.items():
        seam.watch(step, where)
    vars(delivery)["TextPoster"] = partial(TextPoster, at_step=seam.at_step)
    # Children that die are reaped at once.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in iter(sys.stdin.readline, ""):
        plane = line.strip()
        pid = os.fork()
        if not pid:
            _become(seam, folder, plane)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become(seam: Seam, folder: Path, plane: str) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with (folder / f"{plane}.log").open("ab") as log, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    seam.folder = folder / plane
    sys.argv = [sys.argv[0], plane]
    try:
        app.main()
    finally:
        (folder / f"{plane}.{os.getpid()}.ended").touch()
        os._exit(0)


if __name__ == "__main__":
    main()
