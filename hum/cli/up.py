"""`hum up`: the whole platform, until stopped."""

import asyncio
import signal
import sys
from contextlib import suppress

from hum import refusal, settings
from hum.cli.lock import AlreadyRuns
from hum.cli.platform import Platform, say
from hum.lifetime import notify
from hum.programs import DidNotStart
from hum.settings import UpSettings
from hum.signals import Signals

LOOK_SECONDS = 0.2


async def run(*, replace: bool = False) -> int:
    """Start everything, or take over what runs, print the addresses, and wait for a signal.

    0 when stopped, or when another `hum up` took over; 1 when something does not start or keeps exiting; 2 when a setting
    is wrong, or another one runs.
    """
    signals = Signals()
    platform = Platform(settings.load(UpSettings))
    platform.require_settings()
    starting = asyncio.create_task(platform.start(replace=replace))
    stopping = asyncio.create_task(signals.stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return await _interrupted(platform, starting)
        await starting
        _say_where(platform)
        notify(platform.settings.notify_socket)
        await _run_on(platform, stopping)
    except AlreadyRuns as error:
        say(str(error))
        return 2
    except DidNotStart as error:
        say(str(error))
        await _give_up(platform)
        return refusal.STATUS if error.status == refusal.STATUS else 1
    finally:
        stopping.cancel()
    if signals.leave.is_set() and not signals.hurry.is_set():
        await platform.hand_over()
        say("another `hum up` has taken over; everything goes on")
        return 0
    return await _stop(platform, signals)


async def _run_on(platform: Platform, stopping: "asyncio.Task[object]") -> None:
    """Until a stop, or until something keeps exiting; SIGHUP gives every plane a successor."""
    renewing: set[asyncio.Task[None]] = set()

    def renew() -> None:
        if not renewing:
            renewing.add(task := asyncio.create_task(platform.programs.renew(), name="renew"))
            task.add_done_callback(renewing.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, renew)
    failing = asyncio.create_task(platform.programs.failed.wait())
    await asyncio.wait({stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
    for task in (failing, *renewing):
        task.cancel()
    await asyncio.gather(failing, *renewing, return_exceptions=True)


async def _interrupted(platform: Platform, starting: "asyncio.Task[None]") -> int:
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    await _give_up(platform)
    return 130


async def _give_up(platform: Platform) -> None:
    """End what was started; but what was taken over goes on, as it was or by its successors."""
    if platform.programs.adopted:
        await platform.hand_over()
        say("what ran before goes on; `hum up` again takes it over")
        return
    at_once = asyncio.Event()
    at_once.set()
    await platform.stop(at_once)


async def _stop(platform: Platform, signals: Signals) -> int:
    if platform.programs.failure:
        say(platform.programs.failure)
    telling = asyncio.create_task(_tell_calls(platform))
    await platform.stop(signals.hurry)
    telling.cancel()
    return 1 if platform.programs.failure else 0


async def _tell_calls(platform: Platform) -> None:
    """Say how many calls are waited for, whenever that changes."""
    before = 0
    while True:
        calls = platform.programs.calls
        if calls != before:
            before = calls
            say(
                f"waiting for {calls} call{'' if calls == 1 else 's'} to end, for up to "
                f"{platform.settings.drain_seconds:g} s; Ctrl-C or SIGTERM again ends them at once"
                if calls
                else "the last call has ended"
            )
        await asyncio.sleep(LOOK_SECONDS)


def _say_where(platform: Platform) -> None:
    where = platform.where
    lines = [
        f"HUM is up.  {platform.settings.home / 'run.json'} lists the addresses.",
        f"  API         {where['public_url']}/api   (document: {where['public_url']}/openapi.json)",
        f"  media       {where['media_url']}/media/twilio",
        f"  control     {where['control_address']}",
        *(f"  metrics     {url}   of {plane}" for plane, url in where["metrics_urls"].items()),
    ]
    if "carrier_url" in where:
        lines.append(f"  carrier     {where['carrier_url']}   a stand-in; it holds {', '.join(where['numbers'])}")
    lines.append(f"  sign in     {where['public_url']}/auth/login")
    if "signin_url" in where:
        lines.append(f"  issuer      {where['signin_url']}   a stand-in; anyone can sign in")
    if "model_url" in where:
        lines.append(f"  model       {where['model_url']}   a stand-in")
    lines += [
        "",
        "Next:  hum admin create-org --name Clinic --owner-email you@example.com",
        "       hum admin create-api-key --org <id> --role admin",
        f"       hum call --to {platform.numbers[0]} --say 'Hello'   once a flow answers that number",
        "Stop with Ctrl-C.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
