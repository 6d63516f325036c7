"""`hum load`: many simulated calls to the gateway running on this machine, or to the one named by `--url`."""

import argparse
import sys

from cli.simulate import CallTarget
from hum.process import home
from hum.settings import UpSettings
from hum.settings import load as load_settings
from sandbox.load import harness


async def run(arguments: argparse.Namespace) -> int:
    """Place the calls and check the thresholds; return 0 if met, 1 if not, 2 if the calls can't be placed."""
    settings = load_settings(UpSettings)
    target = CallTarget.find(settings)
    if arguments.url:
        tokens = settings.twilio_auth_tokens
        target = CallTarget(arguments.url.rstrip("/"), settings.twilio_account_sid, tokens[0] if tokens else "")
    arguments.to = arguments.to or next(iter(home.read_run(settings.home).get("numbers", ())), "")
    if not target.auth_token or not arguments.to:
        sys.stderr.write(
            "hum: no platform is running on this machine; start `hum up` first, or set --url, --to, TWILIO_ACCOUNT_SID "
            "and TWILIO_AUTH_TOKEN\n"
        )
        return 2
    return await harness.main(arguments, f"{target.public_url}/twilio/voice", target.account_sid, target.auth_token)
