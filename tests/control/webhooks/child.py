"""python -m tests.control.webhooks.child URL STEP: a sender that kills itself at a step of its first delivery."""

import asyncio
import os
import signal
import sys

from control.clients.http import GuardedClient
from hum.secrets import Keyring
from sandbox.receiver import Receiver
from storage.db import Db
from tests.control.webhooks.conftest import LOCAL, Hooked


async def main(url: str, at: str) -> None:
    async def at_step(step: str) -> None:
        if step == at:
            os.kill(os.getpid(), signal.SIGKILL)

    db = await Db.open(url, size=2)
    # The organization and the receiver are the test's.
    hooked = Hooked(db, None, GuardedClient(LOCAL), Receiver(), Keyring([(1, bytes(32))]))  # type: ignore[arg-type]
    await hooked.sender(at_step, request_seconds=3.0, lease_seconds=6.0).send_due()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
