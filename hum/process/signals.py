"""The signals to a process: stop, leave to the successor, end at once."""

import asyncio
import signal

#: From the supervisor: drain and end now, as a successor serves.  Idempotent.
LEAVE = signal.SIGUSR1
#: From the supervisor: end at once.
HURRY = signal.SIGUSR2


class Signals:
    """Events that signals set; construct it in the running loop.

    `stop` is set by every signal, `hurry` by the second SIGTERM or SIGINT or by HURRY, `leave` by LEAVE and with
    `hurry`.
    """

    def __init__(self) -> None:
        self.stop, self.leave, self.hurry = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._stop_count = 0
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(LEAVE, self.ask_to_leave)
        loop.add_signal_handler(HURRY, self._on_hurry)

    def _on_stop(self) -> None:
        self._stop_count += 1
        self.stop.set()
        if self._stop_count > 1:
            self._on_hurry()

    def ask_to_leave(self) -> None:
        """Set the events that LEAVE sets."""
        self.leave.set()
        self.stop.set()

    def _on_hurry(self) -> None:
        self.hurry.set()
        self.ask_to_leave()


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets from now on; call it in the running loop."""
    return Signals().stop
