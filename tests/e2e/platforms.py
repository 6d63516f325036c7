"""`hum up` in the test's own process, with each plane as a process of its own, and its settings between a carrier and a model."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cli.platform import Platform
from hum.settings import UpSettings
from sandbox.openai import Model
from sandbox.signin import Issuer
from sandbox.twilio import Carrier
from tests.e2e.conftest import ACCOUNT, KEY, TOKEN, listen_settings
from tests.support.patient import PATIENT
from tests.support.programs import variables


@asynccontextmanager
async def started(monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str]) -> AsyncIterator[Platform]:
    """A platform with these variables and constants."""
    for name, value in variables(settings).items():
        monkeypatch.setenv(name, value)
    platform = Platform(UpSettings())
    try:
        await platform.start()
        yield platform
    finally:
        await platform.stop()


def free_sockets(home_dir: Path) -> dict[str, str]:
    chosen = listen_settings(home_dir)
    return {f"HUM_{plane.upper()}_LISTEN": chosen[f"{plane}_listen"] for plane in ("control", "gateway", "media")}


def settings_between(carrier: Carrier, model: Model, *, database_url: str, home: Path) -> dict[str, str]:
    """Return variables and constants of a patient platform whose calls come from `carrier` and are answered by `model`."""
    return {
        "HUM_DATABASE_URL": database_url,
        "HUM_HOME": str(home),
        "HUM_DRAIN_SECONDS": "1",
        **PATIENT,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_BASE_URL": carrier.url,
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": model.url,
        **free_sockets(home),
    }


@asynccontextmanager
async def served_issuer(settings: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """Run an issuer for the gateway of `settings`; yield the variables that name it."""
    back = f"http://{settings['HUM_GATEWAY_LISTEN']}/auth/callback"
    async with Issuer.serve(client_secret="s", redirect_uri=back) as issuer:
        yield {"HUM_OIDC_ISSUER": issuer.url, "HUM_OIDC_CLIENT_ID": "hum", "HUM_OIDC_CLIENT_SECRET": "s"}
