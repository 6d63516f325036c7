"""The findings of `hum doctor` about Stripe: key, prices, meters and webhook.  Pure, without secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cli.doctor.facts import ProbeAnswer
from cli.doctor.finding import Finding
from hum.network import redacted_url
from hum.plans import Plans
from hum.settings import UpSettings

ABOUT = "billing"
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 401, 403, 404
NOT_ASKED = ProbeAnswer(0)
TEST_KEYS = ("sk_test_", "rk_test_")
#: The path of the gateway's webhook for Stripe, and the events that Stripe must send.
PATH = "/stripe/webhook"
EVENTS = (
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.paid",
    "invoice.payment_failed",
)


@dataclass(frozen=True, slots=True)
class StripeFacts:
    """The facts: the plans' file, and Stripe's answers."""

    plans: Plans | None
    fault: str = ""
    prices: Mapping[str, ProbeAnswer] = field(default_factory=dict)
    meters: ProbeAnswer = NOT_ASKED
    endpoints: ProbeAnswer = NOT_ASKED


def judge(config: UpSettings, facts: StripeFacts) -> list[Finding]:
    """Return a finding for each thing that is wrong, or one that all is well."""
    if not config.stripe_api_key:
        if config.stripe_webhook_secret:
            return [Finding(ABOUT, "STRIPE_WEBHOOK_SECRET is set, and no key", "set STRIPE_API_KEY")]
        return [Finding(ABOUT, "no key of Stripe's is set: there are no plans, and no limits")]
    if facts.plans is None:
        return [Finding(ABOUT, f"the plans can't be read: {facts.fault}", "correct HUM_PLANS_FILE")]
    url = redacted_url(config.stripe_api_base)
    answers = [*facts.prices.values(), facts.meters]
    if any(answer.status == UNAUTHORIZED for answer in answers):
        return [Finding(ABOUT, f"{url} refuses the key", "correct STRIPE_API_KEY")]
    if (
        failed := next((answer for answer in answers if answer.status not in {OK, NOT_FOUND, FORBIDDEN}), None)
    ) is not None:
        fault = failed.fault or f"it answered {failed.status}"
        return [Finding(ABOUT, f"{url} does not answer ({fault})", "check the network")]
    findings = [*_prices(facts), *_meters(facts, facts.plans), *_webhook(config, facts)]
    if config.production and config.stripe_api_key.startswith(TEST_KEYS):
        findings.append(Finding(ABOUT, "the key is for Stripe's test mode", "set STRIPE_API_KEY to a live one"))
    sold = [plan.id for plan in facts.plans.plans if plan.is_for_sale]
    if not sold:
        findings.append(Finding(ABOUT, "no plan is for sale", "give plans a price_id, in HUM_PLANS_FILE"))
    return findings or [Finding(ABOUT, f"{url} has the prices of {', '.join(sold)}")]


def _prices(facts: StripeFacts) -> list[Finding]:
    findings = []
    for price, answer in facts.prices.items():
        if answer.status == NOT_FOUND:
            findings.append(
                Finding(ABOUT, f"Stripe has no {price}", "correct HUM_PLANS_FILE, or use the key of its account")
            )
        elif answer.status == OK and isinstance(answer.json, dict) and not answer.json.get("active"):
            findings.append(
                Finding(ABOUT, f"{price} is archived at Stripe", "activate it, or name another in HUM_PLANS_FILE")
            )
    return findings


def _meters(facts: StripeFacts, plans: Plans) -> list[Finding]:
    meters = facts.meters.json.get("data", ()) if isinstance(facts.meters.json, dict) else None
    if meters is None or facts.meters.status != OK:
        return []  # a restricted key may not list them
    active = {meter.get("event_name") for meter in meters}
    return [
        Finding(ABOUT, f"Stripe has no active meter for {event}", "make it there, or take it out of HUM_PLANS_FILE")
        for event in sorted(set(plans.meters.values()) - active)
    ]


def _webhook(config: UpSettings, facts: StripeFacts) -> list[Finding]:
    if not config.stripe_webhook_secret:
        fix = f"make an endpoint at Stripe for {config.public_url}{PATH}, and set STRIPE_WEBHOOK_SECRET to its secret"
        return [Finding(ABOUT, "Stripe's webhooks are not taken", fix)]
    endpoints_listed = facts.endpoints.json.get("data", ()) if isinstance(facts.endpoints.json, dict) else None
    if endpoints_listed is None or facts.endpoints.status != OK:
        return []  # a restricted key may not list them
    enabled = [
        endpoint
        for endpoint in endpoints_listed
        if endpoint.get("url") == config.public_url + PATH and endpoint.get("status") == "enabled"
    ]
    if not enabled:
        return [
            Finding(ABOUT, f"Stripe sends nothing to {config.public_url}{PATH}", "make an endpoint for it at Stripe")
        ]
    subscribed = {event for endpoint in enabled for event in endpoint.get("enabled_events", ())}
    missing = [] if "*" in subscribed else sorted(set(EVENTS) - subscribed)
    return [Finding(ABOUT, "the endpoint lacks events", f"add {', '.join(missing)} at Stripe")] if missing else []
