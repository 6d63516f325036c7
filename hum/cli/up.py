"""`hum up`: the whole platform, until stopped."""

import asyncio
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from grpc import aio

from hum import home, refusal, settings
from hum.cli import banner
from hum.cli.lock import AlreadyRuns
from hum.cli.operator import operator
from hum.cli.platform import Platform, say
from hum.lifetime import notify
from hum.network import shown_url
from hum.programs import DidNotStart
from hum.settings import UpSettings
from hum.signals import Signals
from hum.v1 import runtime_pb2

LOOK_SECONDS = 0.2
#: How long the last lines wait for what they ask control.
ASK_SECONDS = 5.0


async def run(*, replace: bool = False) -> int:
    """Start everything, or take over what runs, print the addresses, and wait for a signal.

    0 when stopped, or when another `hum up` took over; 1 when something does not start; 2 when a setting is wrong, or another
    one runs.
    """
    signals = Signals()
    platform = Platform(settings.load(UpSettings))
    platform.require_settings()
    home.require(platform.settings.home)
    platform.programs.serves = lambda name, ms: _print([banner.started(name, ms)])
    starting = asyncio.create_task(platform.start(replace=replace))
    stopping = asyncio.create_task(signals.stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return await _interrupted(platform, starting)
        await starting
        await _say_where(platform)
        notify(platform.settings.notify_socket)
        await _run_on(platform, stopping)
    except AlreadyRuns as error:
        say(str(error))
        return 2
    except DidNotStart as error:
        say(str(error))
        await _give_up(platform)
        return refusal.STATUS if error.status == refusal.STATUS else 1
    except OSError as error:
        say(str(error))
        await _give_up(platform)
        return 1
    finally:
        stopping.cancel()
    if signals.leave.is_set() and not signals.hurry.is_set():
        await platform.hand_over()
        say("another `hum up` has taken over; everything goes on")
        return 0
    await _stop(platform, signals)
    return 0


async def _run_on(platform: Platform, stopping: "asyncio.Task[object]") -> None:
    """Wait until a stop; SIGHUP gives every plane a successor."""
    renewing: set[asyncio.Task[None]] = set()

    def renew() -> None:
        if not renewing:
            renewing.add(task := asyncio.create_task(platform.programs.renew(), name="renew"))
            task.add_done_callback(renewing.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, renew)
    await asyncio.wait({stopping})
    for task in renewing:
        task.cancel()
    await asyncio.gather(*renewing, return_exceptions=True)


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


async def _stop(platform: Platform, signals: Signals) -> None:
    telling = asyncio.create_task(_tell_calls(platform))
    platform.programs.stopped = lambda name, ms: _print([banner.stopped(name, ms)])
    await platform.stop(signals.hurry)
    telling.cancel()


async def _tell_calls(platform: Platform) -> None:
    """Say how many calls are waited for, at once and whenever that changes."""
    before = 0
    if not platform.programs.calls:
        say("stopping; no call is open.  Ctrl-C or SIGTERM again ends everything at once")
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


async def _say_where(platform: Platform) -> None:
    where, home_dir = platform.where, platform.settings.home
    number = where["numbers"][0] if "numbers" in where else "<your number>"
    lines = banner.urls(where, home_dir) + banner.outside(_chosen(platform.settings), where, home_dir)
    lines += banner.next_steps(_command(platform.settings), number, await _organization(platform.settings))
    _print(lines)


def _chosen(config: UpSettings) -> banner.Chosen:
    has_carrier = config.is_set("TWILIO_ACCOUNT_SID") or config.is_set("TWILIO_API_BASE_URL")
    has_model = config.is_set("OPENAI_API_KEY") or config.is_set("OPENAI_BASE_URL")
    return banner.Chosen(
        shown_url(config.database_url) if config.is_set("HUM_DATABASE_URL") else "",
        f"account {config.twilio_account_sid} at {shown_url(config.twilio_api_base_url)}" if has_carrier else "",
        f"{config.realtime_model} at {shown_url(config.openai_base_url)}" if has_model else "",
        config.oidc_issuer if config.is_set("HUM_OIDC_ISSUER") else "",
    )


def _command(config: UpSettings) -> str:
    """`hum`, as whoever has another terminal here has to type it."""
    found = shutil.which("hum")
    program = Path(sys.executable).parent / "hum"
    typed = banner.command(program, Path(found).absolute() if found else None, Path.cwd())
    return f"HUM_HOME={shlex.quote(str(config.home))} {typed}" if config.is_set("HUM_HOME") else typed


async def _organization(config: UpSettings) -> str | None:
    """The newest organization, if there is one."""
    async with operator(config) as control:
        request = runtime_pb2.ListOrganizationsRequest(limit=1)
        try:
            page = await control.stub.ListOrganizations(request, metadata=control.metadata, timeout=ASK_SECONDS)
        except aio.AioRpcError:
            return None
    return page.organizations[0].id if page.organizations else None


def _print(lines: Sequence[str]) -> None:
    """Tell the operator, who may have closed the terminal."""
    with suppress(OSError):
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
