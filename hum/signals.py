"""How a program of ours is asked to stop."""

import asyncio
import signal


def stop_signal() -> asyncio.Event:
    """Set by SIGTERM or SIGINT, from now on; call it in the running loop."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, asked.set)
    return asked
