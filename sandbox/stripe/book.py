"""The stand-in's state and its changes: customers pay or fail to, periods pass, subscriptions end.

A subscription is incomplete or active at first, past_due after a failed renewal, active again when paid, else unpaid, and finally
canceled.  Example: complete → active; renew(pays=False) → past_due with an open invoice; pay → active; end → canceled.

Pure: time comes from `clock`, in seconds.  Each change appends the events that Stripe would send, with the object as it is then.
"""

import copy
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.stripe import shapes
from sandbox.stripe.errors import CardError, StripeApiError
from sandbox.stripe.shapes import Json

#: All months of the stand-in have the same length.
MONTH_SECONDS = 30 * 24 * 3600
#: How old and how far ahead a meter event may be, and how long its identifier is retained.
EARLIEST_SECONDS, LATEST_SECONDS, IDENTIFIER_SECONDS = 35 * 24 * 3600, 300, 24 * 3600
OVER = ("canceled", "incomplete_expired")
#: What the stand-in does, of Stripe's behaviours, when the payment of a change is refused.
PAYMENT_BEHAVIORS = ("allow_incomplete", "error_if_incomplete")


class Book:
    def __init__(self, clock: Callable[[], float], url: str = "http://stripe.invalid") -> None:
        self._clock, self.url = clock, url
        self.customers: dict[str, Json] = {}
        self.prices: dict[str, Json] = {}
        self.checkouts: dict[str, Json] = {}
        self.subscriptions: dict[str, Json] = {}
        self.invoices: dict[str, Json] = {}
        self.meters: dict[str, Json] = {}
        self.meter_events: list[Json] = []
        self.endpoints: list[Json] = []
        #: All events that Stripe would send, in order.
        self.events: list[Json] = []
        self._lines: dict[str, list[Json]] = {}
        self._checkout_params: dict[str, Json] = {}
        #: The codes with which customers' cards are refused.
        self._refusals: dict[str, str] = {}

    @property
    def now(self) -> int:
        return int(self._clock())

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{secrets.token_hex(8)}"

    def publish(self, type: str, subject: Json) -> None:
        self.events.append(shapes.event(self._id("evt"), self.now, type, copy.deepcopy(subject)))

    # -- the operator's setup

    def add_price(self, id: str, amount: int, *, meter: str | None = None) -> Json:
        """Add a monthly price; with `meter`, it is metered by the events of this name."""
        meter_id = self.add_meter(meter)["id"] if meter else None
        usage_type = "metered" if meter else "licensed"
        self.prices[id] = shapes.price(id, self.now, f"prod_{id}", amount, usage_type, meter_id)
        return self.prices[id]

    def add_meter(self, event_name: str) -> Json:
        meter = next((candidate for candidate in self.meters.values() if candidate["event_name"] == event_name), None)
        if meter is None:
            meter = shapes.meter(self._id("mtr"), self.now, event_name)
            self.meters[meter["id"]] = meter
        return meter

    def add_endpoint(self, url: str, *events: str) -> None:
        """Add a webhook endpoint of the operator; the stand-in sends all events regardless."""
        self.endpoints.append(
            {
                "id": self._id("we"),
                "object": "webhook_endpoint",
                "enabled_events": list(events or ("*",)),
                "status": "enabled",
                "url": url,
            }
        )

    # -- the product's requests

    def create_customer(self, params: Json) -> Json:
        customer = shapes.customer(
            self._id("cus"), self.now, params.get("name"), params.get("email"), params.get("metadata", {})
        )
        self.customers[customer["id"]] = customer
        self.publish("customer.created", customer)
        return customer

    def customer(self, id: str | None) -> Json:
        if id not in self.customers:
            raise StripeApiError(f"No such customer: '{id}'", param="customer", code="resource_missing")
        return self.customers[id]

    def open_checkout(self, params: Json) -> Json:
        self.customer(params.get("customer"))
        for item in params.get("line_items", ()):
            self._price(item.get("price"))
        id = self._id("cs_test")
        checkout = shapes.checkout(id, self.now, params, f"{self.url}/pay/{id}")
        self.checkouts[id], self._checkout_params[id] = checkout, params
        return checkout

    def checkout(self, id: str) -> Json:
        if id not in self.checkouts:
            raise StripeApiError(
                f"No such checkout.session: {id}", param="session", code="resource_missing", status=404
            )
        checkout = self.checkouts[id]
        if checkout["status"] == "open" and self.now >= checkout["expires_at"]:
            self._expire(checkout)
        return checkout

    def expire_checkout(self, id: str) -> Json:
        checkout = self.checkout(id)
        if checkout["status"] != "open":
            raise StripeApiError('Only Checkout Sessions with a status in ["open"] can be expired.', param="session")
        self._expire(checkout)
        return checkout

    def _expire(self, checkout: Json) -> None:
        checkout["status"], checkout["url"] = "expired", None
        self.publish("checkout.session.expired", checkout)

    def open_portal(self, params: Json) -> Json:
        id, customer = self._id("bps"), self.customer(params.get("customer"))
        return shapes.portal_session(
            id, self.now, customer["id"], params.get("return_url"), f"{self.url}/p/session/{id}"
        )

    def subscription(self, id: str) -> Json:
        if id not in self.subscriptions:
            raise StripeApiError(f"No such subscription: '{id}'", param="id", code="resource_missing", status=404)
        return self.subscriptions[id]

    def update_subscription(self, id: str, params: Json) -> Json:
        """Change a subscription as a whole, or not at all."""
        subscription = self.subscription(id)
        before, lines = copy.deepcopy(subscription), list(self._lines.get(id, ()))
        try:
            self._update(subscription, params)
            self._settle(subscription, params)
        except StripeApiError:
            subscription.clear()
            subscription |= before
            self._lines[id] = lines
            raise
        self.publish("customer.subscription.updated", subscription)
        return subscription

    def _update(self, subscription: Json, params: Json) -> None:
        if subscription["status"] in OVER:
            raise StripeApiError("A canceled subscription can only update its cancellation_details and metadata.")
        if "cancel_at_period_end" in params and "cancel_at" in params:
            raise StripeApiError("You may only specify one of these parameters: cancel_at, cancel_at_period_end.")
        subscription["metadata"] = subscription["metadata"] | params.get("metadata", {})
        if "cancel_at_period_end" in params:
            ends = params["cancel_at_period_end"] == "true"
            subscription["cancel_at_period_end"] = ends
            subscription["cancel_at"] = self._first(subscription)["current_period_end"] if ends else None
            subscription["canceled_at"] = self.now if ends else None
        if "cancel_at" in params:
            subscription["cancel_at"] = int(params["cancel_at"]) if params["cancel_at"] else None
        prorates = params.get("proration_behavior") != "none"
        for change in params.get("items", ()):
            self._change_item(subscription, change, prorates=prorates)

    def _settle(self, subscription: Json, params: Json) -> None:
        """Bill what a change has prorated, if it is to be billed at once."""
        behavior = params.get("payment_behavior", "allow_incomplete")
        if behavior not in PAYMENT_BEHAVIORS:
            raise StripeApiError(f"The stand-in has no payment_behavior={behavior}.", param="payment_behavior")
        lines = self._lines.get(subscription["id"])
        if params.get("proration_behavior") != "always_invoice" or not lines:
            return
        balance = self.customers[subscription["customer"]]["balance"]
        refusal = self._refusals.get(subscription["customer"])
        is_refused = refusal is not None and sum(line["amount"] for line in lines) + balance > 0
        if is_refused and behavior == "error_if_incomplete":
            raise CardError(str(refusal))
        del self._lines[subscription["id"]]
        self._invoice(subscription, "subscription_update", lines, pays=not is_refused)
        if is_refused:
            subscription["status"] = "past_due"

    def _change_item(self, subscription: Json, change: Mapping[str, Any], *, prorates: bool) -> None:
        items = subscription["items"]["data"]
        item = next((candidate for candidate in items if candidate["id"] == change.get("id")), None)
        if "id" in change and item is None:
            raise StripeApiError(f"No such subscription item: '{change['id']}'", param="items", code="resource_missing")
        if item is None:
            if any(existing["price"]["id"] == change.get("price") for existing in items):
                raise StripeApiError("Cannot add multiple subscription items with the same price.", param="items")
            items.append(self._item(subscription["id"], change, self._period(subscription)))
            self._prorate(subscription, items[-1], 1, prorates=prorates)
            return
        self._prorate(subscription, item, -1, prorates=prorates)
        if change.get("deleted") == "true":
            items.remove(item)
            if not items:
                raise StripeApiError("A subscription must have at least one active plan.", param="items")
            return
        price = self._price(change["price"]) if "price" in change else item["price"]
        quantity = int(change["quantity"]) if "quantity" in change else item.get("quantity")
        item.update(
            shapes.item(item["id"], item["created"], subscription["id"], price, quantity, self._period(subscription))
        )
        self._prorate(subscription, item, 1, prorates=prorates)

    def _prorate(self, subscription: Json, item: Json, sign: int, *, prorates: bool) -> None:
        """Add the rest of the period to the next invoice, charged or credited by `sign`."""
        starts, ends = self._period(subscription)
        amount = round(_amount(item) * (ends - self.now) / (ends - starts))
        if prorates and amount:
            self._lines.setdefault(subscription["id"], []).append(
                shapes.line(self._id("il"), sign * amount, item, proration=True)
            )

    def tell_meter(self, params: Json) -> Json:
        """Record a meter event.  Raises StripeApiError, also for an identifier used in the last 24 hours."""
        event_name, payload = params.get("event_name"), params.get("payload", {})
        if event_name not in {meter["event_name"] for meter in self.meters.values()}:
            raise StripeApiError(f"No active meter found for event name {event_name}.", param="event_name")
        self.customer(payload.get("stripe_customer_id"))
        timestamp = int(params.get("timestamp", self.now))
        if not self.now - EARLIEST_SECONDS <= timestamp <= self.now + LATEST_SECONDS:
            raise StripeApiError(
                "The timestamp must be within the past 35 days, and not in the future.", param="timestamp"
            )
        identifier = params.get("identifier") or self._id("me")
        for earlier in self.meter_events:
            if earlier["identifier"] == identifier and self.now - earlier["created"] < IDENTIFIER_SECONDS:
                raise StripeApiError(f"An event already exists with identifier {identifier}.")
        event = shapes.meter_event(self.now, params, identifier, timestamp)
        self.meter_events.append(event)
        return event

    def metered(self, event_name: str, customer_id: str, since: int = 0, until: int = 1 << 60) -> int:
        """Return a meter's total for a customer."""
        return sum(
            int(event["payload"]["value"])
            for event in self.meter_events
            if event["event_name"] == event_name
            and event["payload"]["stripe_customer_id"] == customer_id
            and since <= event["timestamp"] < until
        )

    # -- payments and the passing of periods

    def complete(self, checkout_id: str, *, pays: bool = True) -> Json:
        """Complete a checkout; if `pays` is False, the card is refused, and Stripe keeps the subscription as incomplete."""
        checkout = self.checkout(checkout_id)
        if checkout["status"] != "open":
            raise StripeApiError("The checkout is not open.")
        params = self._checkout_params[checkout_id]
        id, period = self._id("sub"), (self.now, self.now + MONTH_SECONDS)
        items = [self._item(id, item, period) for item in params["line_items"]]
        metadata = params.get("subscription_data", {}).get("metadata", {})
        subscription = shapes.subscription(id, self.now, checkout["customer"], items, metadata)
        subscription["status"] = "active" if pays else "incomplete"
        self.subscriptions[id] = subscription
        self.publish("customer.subscription.created", subscription)
        self._bill(subscription, "subscription_create", pays=pays)
        if pays:
            checkout |= {"status": "complete", "payment_status": "paid", "subscription": id, "url": None}
            self.publish("checkout.session.completed", checkout)
        return subscription

    def renew(self, subscription_id: str, *, pays: bool = True) -> None:
        """Begin the next period, with its invoice paid or not; end a subscription that was to be canceled."""
        subscription = self.subscription(subscription_id)
        if subscription["cancel_at_period_end"]:
            self.end(subscription_id)
            return
        starts = self._period(subscription)[1]
        for item in subscription["items"]["data"]:
            item |= {"current_period_start": starts, "current_period_end": starts + MONTH_SECONDS}
        self._bill(subscription, "subscription_cycle", pays=pays)
        if not pays:
            subscription["status"] = "past_due"
        self.publish("customer.subscription.updated", subscription)

    def decline(self, subscription_id: str, code: str = "card_declined") -> None:
        """Have the customer's card refused for changes of the subscription, until `pay`."""
        self._refusals[self.subscription(subscription_id)["customer"]] = code

    def pay(self, subscription_id: str) -> None:
        """Pay all open invoices of a subscription; one that is over stays so."""
        subscription = self.subscription(subscription_id)
        self._refusals.pop(subscription["customer"], None)
        for invoice in self.open_invoices(subscription_id):
            self._pay_invoice(invoice)
        if subscription["status"] in OVER:
            return
        subscription["status"] = "active"
        self.publish("customer.subscription.updated", subscription)

    def give_up(self, subscription_id: str) -> None:
        """Stop collecting; by the account's settings the subscription stays, unpaid."""
        subscription = self.subscription(subscription_id)
        subscription["status"] = "unpaid"
        self.publish("customer.subscription.updated", subscription)

    def end(self, subscription_id: str) -> None:
        subscription = self.subscription(subscription_id)
        subscription |= {
            "status": "canceled",
            "ended_at": self.now,
            "canceled_at": subscription["canceled_at"] or self.now,
        }
        self.publish("customer.subscription.deleted", subscription)

    def open_invoices(self, subscription_id: str) -> list[Json]:
        return [
            invoice
            for invoice in self.invoices.values()
            if invoice["status"] == "open"
            and invoice["parent"]["subscription_details"]["subscription"] == subscription_id
        ]

    def _bill(self, subscription: Json, reason: str, *, pays: bool) -> None:
        lines = self._lines.pop(subscription["id"], [])
        lines += [
            shapes.line(self._id("il"), _amount(item), item, proration=False) for item in subscription["items"]["data"]
        ]
        self._invoice(subscription, reason, lines, pays=pays)

    def _invoice(self, subscription: Json, reason: str, lines: list[Json], *, pays: bool) -> None:
        customer = self.customers[subscription["customer"]]
        invoice = shapes.invoice(self._id("in"), self.now, subscription, lines, reason, customer["balance"])
        self.invoices[invoice["id"]] = invoice
        customer["balance"] = invoice["ending_balance"]
        subscription["latest_invoice"] = invoice["id"]
        self.publish("invoice.finalized", invoice)
        if pays:
            self._pay_invoice(invoice)
        else:
            invoice |= {"attempted": True, "attempt_count": 1}
            self.publish("invoice.payment_failed", invoice)

    def _pay_invoice(self, invoice: Json) -> None:
        invoice |= {
            "status": "paid",
            "attempted": True,
            "amount_paid": invoice["amount_due"],
            "amount_remaining": 0,
            "attempt_count": invoice["attempt_count"] + 1,
        }
        invoice["status_transitions"]["paid_at"] = self.now
        self.publish("invoice.paid", invoice)

    def _item(self, subscription_id: str, params: Mapping[str, Any], period: tuple[int, int]) -> Json:
        price = self._price(params.get("price"))
        quantity = None if price["recurring"]["usage_type"] == "metered" else int(params.get("quantity", 1))
        return shapes.item(self._id("si"), self.now, subscription_id, price, quantity, period)

    def _price(self, id: str | None) -> Json:
        if id not in self.prices:
            raise StripeApiError(f"No such price: '{id}'", param="line_items", code="resource_missing")
        return self.prices[id]

    def _first(self, subscription: Json) -> Json:
        first: Json = subscription["items"]["data"][0]
        return first

    def _period(self, subscription: Json) -> tuple[int, int]:
        first = self._first(subscription)
        return first["current_period_start"], first["current_period_end"]


def _amount(item: Json) -> int:
    amount: int = item["price"]["unit_amount"] * item.get("quantity", 0)
    return amount
