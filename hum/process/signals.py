"""The signals to a process: stop, drain for the successor, end at once, prepare to stop."""

import asyncio
import signal

#: From the supervisor: drain and end now, as a successor serves; `hum up` hands over instead.  Idempotent.
DRAIN = signal.SIGUSR1
#: From the supervisor: end at once.
END_NOW = signal.SIGUSR2
#: From the supervisor, to a program that is no plane, when everything begins to stop: it may do ahead what its own stop
#: would take long for.  Ignored by default, so by a program of an earlier release as well.
PREPARE = signal.SIGURG


class Signals:
    """Events that signals set; construct it in the running loop.

    `stop` is set by every signal, `end_now` by the second SIGTERM or SIGINT or by END_NOW, `drain` by DRAIN and with
    `end_now`.
    """

    def __init__(self) -> None:
        self.stop, self.drain, self.end_now = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._stop_count = 0
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(DRAIN, self.request_drain)
        loop.add_signal_handler(END_NOW, self._on_end_now)

    def _on_stop(self) -> None:
        self._stop_count += 1
        self.stop.set()
        if self._stop_count > 1:
            self._on_end_now()

    def request_drain(self) -> None:
        """Set the events that DRAIN sets."""
        self.drain.set()
        self.stop.set()

    def _on_end_now(self) -> None:
        self.end_now.set()
        self.request_drain()


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets from now on; call it in the running loop."""
    return Signals().stop
