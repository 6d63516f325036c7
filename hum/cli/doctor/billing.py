"""What `hum doctor` makes of Stripe: the key, the plans' prices, the meters, the webhook.  Pure, and without secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hum.cli.doctor.facts import Answer
from hum.cli.doctor.finding import Finding
from hum.network import shown_url
from hum.plans import Plans
from hum.settings import UpSettings

ABOUT = "billing"
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 401, 403, 404
NOT_ASKED = Answer(0)
TEST_KEYS = ("sk_test_", "rk_test_")
#: Where the gateway takes Stripe's webhooks, and which it must be sent.
PATH = "/stripe/webhook"
EVENTS = (
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.paid",
    "invoice.payment_failed",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out: of the plans' file, and what Stripe says."""

    plans: Plans | None
    fault: str = ""
    prices: Mapping[str, Answer] = field(default_factory=dict)
    meters: Answer = NOT_ASKED
    endpoints: Answer = NOT_ASKED


def judge(config: UpSettings, found: Found) -> list[Finding]:
    """A finding for each thing that is wrong, or one that all is well."""
    if not config.stripe_api_key:
        if config.stripe_webhook_secret:
            return [Finding(ABOUT, "STRIPE_WEBHOOK_SECRET is set, and no key", "set STRIPE_API_KEY")]
        return [Finding(ABOUT, "no key of Stripe's is set: there are no plans, and no limits")]
    if found.plans is None:
        return [Finding(ABOUT, f"the plans can't be read: {found.fault}", "correct HUM_PLANS_FILE")]
    where = shown_url(config.stripe_api_base)
    answers = [*found.prices.values(), found.meters]
    if any(answer.status == UNAUTHORIZED for answer in answers):
        return [Finding(ABOUT, f"{where} refuses the key", "correct STRIPE_API_KEY")]
    if (broken := next((each for each in answers if each.status not in {OK, NOT_FOUND, FORBIDDEN}), None)) is not None:
        came = broken.fault or f"it answered {broken.status}"
        return [Finding(ABOUT, f"{where} does not answer ({came})", "check the network, and STRIPE_API_BASE")]
    wrong = [*_prices(found), *_meters(found, found.plans), *_webhook(config, found)]
    if config.production and config.stripe_api_key.startswith(TEST_KEYS):
        wrong.append(Finding(ABOUT, "the key is for Stripe's test mode", "set STRIPE_API_KEY to a live one"))
    sold = [plan.id for plan in found.plans.plans if plan.is_for_sale]
    if not sold:
        wrong.append(Finding(ABOUT, "no plan is for sale", "give plans a price_id, in HUM_PLANS_FILE"))
    return wrong or [Finding(ABOUT, f"{where} has the prices of {', '.join(sold)}")]


def _prices(found: Found) -> list[Finding]:
    wrong = []
    for price, answer in found.prices.items():
        if answer.status == NOT_FOUND:
            wrong.append(
                Finding(ABOUT, f"Stripe has no {price}", "correct HUM_PLANS_FILE, or use the key of its account")
            )
        elif answer.status == OK and isinstance(answer.json, dict) and not answer.json.get("active"):
            wrong.append(
                Finding(ABOUT, f"{price} is archived at Stripe", "activate it, or name another in HUM_PLANS_FILE")
            )
    return wrong


def _meters(found: Found, plans: Plans) -> list[Finding]:
    listed = found.meters.json.get("data", ()) if isinstance(found.meters.json, dict) else None
    if listed is None or found.meters.status != OK:
        return []  # a restricted key may not list them
    there = {each.get("event_name") for each in listed}
    return [
        Finding(ABOUT, f"Stripe has no active meter for {event}", "make it there, or take it out of HUM_PLANS_FILE")
        for event in sorted(set(plans.meters.values()) - there)
    ]


def _webhook(config: UpSettings, found: Found) -> list[Finding]:
    if not config.stripe_webhook_secret:
        fix = f"make an endpoint at Stripe for {config.public_url}{PATH}, and set STRIPE_WEBHOOK_SECRET to its secret"
        return [Finding(ABOUT, "Stripe's webhooks are not taken", fix)]
    listed = found.endpoints.json.get("data", ()) if isinstance(found.endpoints.json, dict) else None
    if listed is None or found.endpoints.status != OK:
        return []  # a restricted key may not list them
    ours = [each for each in listed if each.get("url") == config.public_url + PATH and each.get("status") == "enabled"]
    if not ours:
        return [
            Finding(ABOUT, f"Stripe sends nothing to {config.public_url}{PATH}", "make an endpoint for it at Stripe")
        ]
    sent = {event for each in ours for event in each.get("enabled_events", ())}
    missing = [] if "*" in sent else sorted(set(EVENTS) - sent)
    return [Finding(ABOUT, "the endpoint lacks events", f"add {', '.join(missing)} at Stripe")] if missing else []
