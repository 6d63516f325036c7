"""`hum load`: many simulated calls against the gateway that runs here, or one that `--url` and the environment name."""

import argparse
import sys

from hum import home, settings
from hum.cli.simulate import Target
from hum.settings import UpSettings
from sandbox.load import harness


async def run(asked: argparse.Namespace) -> int:
    """Place them and judge; 0 within the thresholds, 1 beyond, 2 if they can't be placed."""
    given = settings.load(UpSettings)
    target = Target.find(given)
    if asked.url:
        tokens = given.twilio_auth_tokens
        target = Target(asked.url.rstrip("/"), given.twilio_account_sid, tokens[0] if tokens else "")
    asked.to = asked.to or next(iter(home.read_run(given.home).get("numbers", ())), "")
    if not target.auth_token or not asked.to:
        sys.stderr.write("hum: nothing runs here; start `hum up` first, or give --url, --to and TWILIO_AUTH_TOKEN\n")
        return 2
    return await harness.main(asked, f"{target.public_url}/twilio/voice", target.account_sid, target.auth_token)
