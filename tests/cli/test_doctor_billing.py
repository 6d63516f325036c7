"""What `hum doctor` makes of Stripe, with the stand-in for it."""

from pathlib import Path
from typing import Any

import aiohttp

from cli.doctor import billing, probes
from cli.doctor.probes import Web
from hum.settings import UpSettings
from sandbox.stripe import Stripe
from tests.support.billing import KEY, PLANS, SECRET, stock

AT = "https://hum.example.com"


async def visit(tmp_path: Path, stripe: Stripe, **more: Any) -> list[str]:
    file = tmp_path / "plans.json"
    if not file.exists():
        file.write_text(PLANS)
    usual = {"stripe_api_key": KEY, "stripe_webhook_secret": SECRET, "stripe_api_base": stripe.url, "plans_file": file}
    config = UpSettings(**{"public_url": AT, **usual, **more})
    async with aiohttp.ClientSession() as http:
        found = await probes.stripe(Web(http, 10.0), config)
    lines = [each.line() for each in billing.judge(config, found)]
    assert KEY not in str(lines) and SECRET not in str(lines)
    return lines


async def test_all_is_well_or_what_to_do_is_said(tmp_path: Path) -> None:
    async with Stripe.serve(KEY) as stripe:
        stock(stripe)
        stripe.book.add_endpoint(f"{AT}/stripe/webhook", *billing.EVENTS)
        (line,) = await visit(tmp_path, stripe)
        assert line.startswith("ok   billing") and "starter, business" in line

        async def fix(*words: str, **more: Any) -> None:
            (line,) = await visit(tmp_path, stripe, **more)
            assert line.startswith("fix") and all(word in line for word in words), line

        await fix("STRIPE_API_KEY", stripe_api_key="sk_test_another")
        await fix("STRIPE_API_KEY", stripe_api_key="")
        await fix("STRIPE_WEBHOOK_SECRET", AT, stripe_webhook_secret="")
        await fix("test mode", env="production", public_url=AT)
        await fix("check the network", stripe_api_base="http://127.0.0.1:9")
        await fix("HUM_PLANS_FILE", plans_file=tmp_path / "none")
        await fix("no plan is for sale", plans_file=None)
        stripe.book.prices["price_starter"]["active"] = False
        await fix("price_starter is archived")
        del stripe.book.prices["price_starter"]
        await fix("Stripe has no price_starter")
        stock(stripe)
        stripe.book.endpoints[0]["enabled_events"].remove("invoice.paid")
        await fix("add invoice.paid")
        stripe.book.endpoints.clear()
        await fix("Stripe sends nothing to", f"{AT}/stripe/webhook")
        stripe.book.add_endpoint(f"{AT}/stripe/webhook")
        (meter,) = [each for each in stripe.book.meters.values() if each["event_name"] == "hum_messages"]
        del stripe.book.meters[meter["id"]]
        await fix("hum_messages")


async def test_without_billing(tmp_path: Path) -> None:
    async with Stripe.serve(KEY) as stripe:
        (line,) = await visit(tmp_path, stripe, stripe_api_key="", stripe_webhook_secret="")
        assert line.startswith("ok") and "no limits" in line
        assert stripe.rest.requests == []
