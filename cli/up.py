"""`hum up`: the whole platform on this machine, until it is stopped."""

import asyncio
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cli import banner
from cli.platform import Platform, print_message
from hum import refusal, settings
from hum.network import redacted_url
from hum.process import home
from hum.process.homelock import AlreadyRunning
from hum.process.lifetime import notify
from hum.process.programs import StartFailed
from hum.process.signals import Signals
from hum.settings import UpSettings

POLL_SECONDS = 0.2
#: The time limit for control's answer to the last lines' question.
CALL_SECONDS = 5.0


async def run(*, replace: bool = False) -> int:
    """Start everything, or take over running programs, print the addresses, and wait for a signal.

    Return 0 if stopped, or if another `hum up` took over; 1 if a program does not start; 2 if a setting is wrong, or if
    another `hum up` runs in this home.
    """
    signals = Signals()
    platform = Platform(settings.load(UpSettings))
    platform.require_settings()
    home.require(platform.settings.home)
    platform.programs.on_started = lambda name, ms: _print([banner.started(name, ms)])
    starting = asyncio.create_task(platform.start(replace=replace))
    stopping = asyncio.create_task(signals.stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return await _interrupted(platform, starting)
        await starting
        await _print_addresses(platform)
        notify()
        await _wait_for_stop(platform, stopping)
    except AlreadyRunning as error:
        print_message(str(error))
        return 2
    except StartFailed as error:
        print_message(str(error))
        await _end_started(platform)
        return refusal.STATUS if error.status == refusal.STATUS else 1
    except OSError as error:
        print_message(str(error))
        await _end_started(platform)
        return 1
    finally:
        stopping.cancel()
    if signals.drain.is_set() and not signals.end_now.is_set():
        await platform.hand_over()
        print_message("another `hum up` has taken over; everything goes on")
        return 0
    await _stop(platform, signals)
    return 0


async def _wait_for_stop(platform: Platform, stopping: "asyncio.Task[object]") -> None:
    """Wait for a stop; on SIGHUP, replace every plane by a successor."""
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
    await _end_started(platform)
    return 130


async def _end_started(platform: Platform) -> None:
    """End what was started, unless programs were taken over: these run on, or their successors do."""
    if platform.programs.adopted:
        await platform.hand_over()
        print_message("what ran before goes on; `hum up` again takes it over")
        return
    at_once = asyncio.Event()
    at_once.set()
    await platform.stop(at_once)


async def _stop(platform: Platform, signals: Signals) -> None:
    reporting = asyncio.create_task(_report_calls(platform))
    platform.programs.on_stopped = lambda name, ms: _print([banner.stopped(name, ms)])
    await platform.stop(signals.end_now)
    reporting.cancel()


async def _report_calls(platform: Platform) -> None:
    """Print the number of calls in progress, at once and whenever it changes."""
    reported = 0
    if not platform.programs.calls:
        print_message("stopping; no call is open.  Ctrl-C or SIGTERM again ends everything at once")
    while True:
        calls = platform.programs.calls
        if calls != reported:
            reported = calls
            print_message(
                f"waiting for {calls} call{'' if calls == 1 else 's'} to end, for up to "
                f"{platform.settings.drain_seconds:g} s; Ctrl-C or SIGTERM again ends them at once"
                if calls
                else "the last call has ended"
            )
        await asyncio.sleep(POLL_SECONDS)


async def _print_addresses(platform: Platform) -> None:
    addresses, home_dir = platform.where, platform.settings.home
    number = addresses["numbers"][0] if "numbers" in addresses else "<your number>"
    lines = banner.urls(addresses, home_dir) + banner.external_systems(
        _external_systems(platform.settings), addresses, home_dir
    )
    lines += banner.next_steps(_command(platform.settings), number, addresses["public_url"])
    _print(lines)


def _external_systems(config: UpSettings) -> banner.ExternalSystems:
    has_carrier = config.is_set("TWILIO_ACCOUNT_SID") or config.is_set("TWILIO_API_BASE_URL")
    has_model = config.is_set("OPENAI_API_KEY") or config.is_set("OPENAI_BASE_URL")
    return banner.ExternalSystems(
        redacted_url(config.database_url) if config.is_set("HUM_DATABASE_URL") else "",
        f"account {config.twilio_account_sid} at {redacted_url(config.twilio_api_base_url)}" if has_carrier else "",
        f"{config.realtime_model} at {redacted_url(config.openai_base_url)}" if has_model else "",
        config.oidc_issuer if config.is_set("HUM_OIDC_ISSUER") else "",
    )


def _command(config: UpSettings) -> str:
    """Return the command `hum` as it must be typed in another terminal here."""
    on_path = shutil.which("hum")
    program = Path(sys.executable).parent / "hum"
    command = banner.command(program, Path(on_path).absolute() if on_path else None, Path.cwd())
    return f"HUM_HOME={shlex.quote(str(config.home))} {command}" if config.is_set("HUM_HOME") else command


def _print(lines: Sequence[str]) -> None:
    """Print lines for the operator; ignore a closed terminal."""
    with suppress(OSError):
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
