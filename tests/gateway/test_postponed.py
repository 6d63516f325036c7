"""Webhooks that wait for control: what fails is tried again, and what can't be told holds up nothing behind it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.held import Away
from gateway.postponed import MOST_TRIES, Postponed, Webhook
from hum.settings import GatewaySettings
from hum.spool import Spool


class Control:
    """Fails to take the first webhook so many times, each time like this."""

    def __init__(self, fails: int, how: Callable[[], Exception]) -> None:
        self._fails, self._how = fails, how
        self.tries, self.told = 0, []

    async def tell(self, webhook: Webhook) -> None:
        if webhook.path == "/first":
            self.tries += 1
            if self.tries <= self._fails:
                raise self._how()
        self.told.append(webhook.path)


@pytest.mark.parametrize(
    "how", [ZeroDivisionError, lambda: Away("INTERNAL")], ids=["a bug of ours", "a bug of control"]
)
@pytest.mark.parametrize(
    ("fails", "told"), [(2, ["/first", "/second"]), (100, ["/second"])], ids=["for a while", "for ever"]
)
async def test_a_webhook_that_fails_is_tried_again_and_then_given_up(
    tmp_path: Path, fails: int, told: list[str], how: Callable[[], Exception]
) -> None:
    postponed = Postponed(Spool(tmp_path / "spool"), GatewaySettings(home=tmp_path, postponed_retry_seconds=0.01))
    control = Control(fails, how)
    for path in ("/first", "/second"):
        assert await postponed.keep(path, b"")
    running = asyncio.create_task(postponed.run(control.tell))
    async with asyncio.timeout(60):
        while "/second" not in control.told:
            await asyncio.sleep(0.01)
    running.cancel()
    assert control.told == told
    assert control.tries == min(fails + 1, MOST_TRIES)
    assert not postponed.fault
    postponed.close()


async def test_what_another_version_wrote_holds_up_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    for record in (b"\xff", b"{}", b'{"path":"/first"}'):
        spool.append(record)
    postponed = Postponed(spool, GatewaySettings(home=tmp_path))
    control = Control(0, ZeroDivisionError)
    assert await postponed.keep("/second", b"")
    running = asyncio.create_task(postponed.run(control.tell))
    async with asyncio.timeout(60):
        while not control.told:
            await asyncio.sleep(0.01)
    running.cancel()
    assert control.told == ["/second"]
    postponed.close()
