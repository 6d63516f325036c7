"""How long this process could not run, so that a test with real time blames the machine for no more than that."""

import asyncio

EVERY_S = 0.005


class Stalls:
    """The longest time that the event loop was late; `longest_ms` is read when the test is over."""

    longest_ms = 0.0

    async def watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due_s = clock() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self.longest_ms = max(self.longest_ms, (clock() - due_s) * 1000)
