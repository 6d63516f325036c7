"""`hum up`: the whole platform, until stopped."""

import asyncio
import sys

from hum import settings
from hum.cli.platform import Platform
from hum.cli.processes import DidNotStart
from hum.settings import UpSettings
from hum.signals import stop_signal


async def run() -> int:
    """Start everything, print the addresses, wait for a signal; 1 when something does not start or keeps exiting."""
    stop = stop_signal()
    platform = Platform(settings.load(UpSettings))
    starting = asyncio.create_task(platform.start())
    waiting = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return 130
        await starting
        _say_where(platform)
        failing = asyncio.create_task(platform.programs.failed.wait())
        await asyncio.wait({waiting, failing}, return_when=asyncio.FIRST_COMPLETED)
        failing.cancel()
    except DidNotStart as error:
        sys.stderr.write(f"hum: {error}\n")
        return 1
    finally:
        waiting.cancel()
        await platform.stop()
    if platform.programs.failure:
        sys.stderr.write(f"hum: {platform.programs.failure}\n")
        return 1
    return 0


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
