"""What a process is asked by signals: to stop, to leave to its successor, to end at once."""

import asyncio
import signal

#: From whoever started the process: leave now, a successor serves.  Asked twice, it is asked once.
LEAVE = signal.SIGUSR1
#: From whoever started the process: end at once.
HURRY = signal.SIGUSR2


class Signals:
    """Events that signals set from now on; make it in the running loop.

    `stop` is set by each of them, `hurry` by the second SIGTERM or SIGINT or by HURRY, `leave` by LEAVE and by whatever
    sets `hurry`.
    """

    def __init__(self) -> None:
        self.stop, self.leave, self.hurry = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._stops = 0
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._ask)
        loop.add_signal_handler(LEAVE, self.ask_to_leave)
        loop.add_signal_handler(HURRY, self._hurry)

    def _ask(self) -> None:
        self._stops += 1
        self.stop.set()
        if self._stops > 1:
            self._hurry()

    def ask_to_leave(self) -> None:
        """As LEAVE does."""
        self.leave.set()
        self.stop.set()

    def _hurry(self) -> None:
        self.hurry.set()
        self.ask_to_leave()


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets from now on; call it in the running loop."""
    return Signals().stop
