"""What the stand-in knows, and what happens to it: people pay or don't, months pass, subscriptions end.

Pure: time comes from `clock`, in seconds.  Each change appends the events that Stripe sends of it, with the object as it is then.
"""

import copy
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.stripe import shapes
from sandbox.stripe.errors import ApiError
from sandbox.stripe.shapes import Json

#: A stand-in's months are of one length.
MONTH_SECONDS = 30 * 24 * 3600
#: In which a meter takes an event, and remembers its identifier.
EARLIEST_SECONDS, LATEST_SECONDS, REMEMBERS_SECONDS = 35 * 24 * 3600, 300, 24 * 3600
OVER = ("canceled", "incomplete_expired")


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
        #: All that Stripe would send, in the order in which it happened.
        self.events: list[Json] = []
        self._lines: dict[str, list[Json]] = {}
        self._wanted: dict[str, Json] = {}

    @property
    def now(self) -> int:
        return int(self._clock())

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{secrets.token_hex(8)}"

    def tell(self, type: str, held: Json) -> None:
        self.events.append(shapes.event(self._id("evt"), self.now, type, copy.deepcopy(held)))

    # -- what an operator sets up

    def add_price(self, id: str, amount: int, *, meter: str | None = None) -> Json:
        """A monthly price; `meter`: by what is metered under this event's name."""
        meter_id = self.add_meter(meter)["id"] if meter else None
        usage_type = "metered" if meter else "licensed"
        self.prices[id] = shapes.price(id, self.now, f"prod_{id}", amount, usage_type, meter_id)
        return self.prices[id]

    def add_meter(self, event_name: str) -> Json:
        found = next((each for each in self.meters.values() if each["event_name"] == event_name), None)
        if found is None:
            found = shapes.meter(self._id("mtr"), self.now, event_name)
            self.meters[found["id"]] = found
        return found

    def add_endpoint(self, url: str, *events: str) -> None:
        """Where an operator has events sent; the stand-in sends all of them in any case."""
        self.endpoints.append(
            {
                "id": self._id("we"),
                "object": "webhook_endpoint",
                "enabled_events": list(events or ("*",)),
                "status": "enabled",
                "url": url,
            }
        )

    # -- what the product asks for

    def create_customer(self, params: Json) -> Json:
        made = shapes.customer(
            self._id("cus"), self.now, params.get("name"), params.get("email"), params.get("metadata", {})
        )
        self.customers[made["id"]] = made
        self.tell("customer.created", made)
        return made

    def customer(self, id: str | None) -> Json:
        if id not in self.customers:
            raise ApiError(f"No such customer: '{id}'", param="customer", code="resource_missing")
        return self.customers[id]

    def open_checkout(self, params: Json) -> Json:
        self.customer(params.get("customer"))
        for wanted in params.get("line_items", ()):
            self._price(wanted.get("price"))
        id = self._id("cs_test")
        made = shapes.checkout(id, self.now, params, f"{self.url}/pay/{id}")
        self.checkouts[id], self._wanted[id] = made, params
        return made

    def checkout(self, id: str) -> Json:
        if id not in self.checkouts:
            raise ApiError(f"No such checkout.session: {id}", param="session", code="resource_missing", status=404)
        found = self.checkouts[id]
        if found["status"] == "open" and self.now >= found["expires_at"]:
            self._expire(found)
        return found

    def expire_checkout(self, id: str) -> Json:
        found = self.checkout(id)
        if found["status"] != "open":
            raise ApiError('Only Checkout Sessions with a status in ["open"] can be expired.', param="session")
        self._expire(found)
        return found

    def _expire(self, found: Json) -> None:
        found["status"], found["url"] = "expired", None
        self.tell("checkout.session.expired", found)

    def open_portal(self, params: Json) -> Json:
        id, customer = self._id("bps"), self.customer(params.get("customer"))
        return shapes.portal_session(
            id, self.now, customer["id"], params.get("return_url"), f"{self.url}/p/session/{id}"
        )

    def subscription(self, id: str) -> Json:
        if id not in self.subscriptions:
            raise ApiError(f"No such subscription: '{id}'", param="id", code="resource_missing", status=404)
        return self.subscriptions[id]

    def update_subscription(self, id: str, params: Json) -> Json:
        found = self.subscription(id)
        if found["status"] in OVER:
            raise ApiError("A canceled subscription can only update its cancellation_details and metadata.")
        if "cancel_at_period_end" in params and "cancel_at" in params:
            raise ApiError("You may only specify one of these parameters: cancel_at, cancel_at_period_end.")
        found["metadata"] = found["metadata"] | params.get("metadata", {})
        if "cancel_at_period_end" in params:
            ends = params["cancel_at_period_end"] == "true"
            found["cancel_at_period_end"] = ends
            found["cancel_at"] = self._first(found)["current_period_end"] if ends else None
            found["canceled_at"] = self.now if ends else None
        if "cancel_at" in params:
            found["cancel_at"] = int(params["cancel_at"]) if params["cancel_at"] else None
        prorates = params.get("proration_behavior", "create_prorations") == "create_prorations"
        for change in params.get("items", ()):
            self._change_item(found, change, prorates=prorates)
        self.tell("customer.subscription.updated", found)
        return found

    def _change_item(self, found: Json, change: Mapping[str, Any], *, prorates: bool) -> None:
        items = found["items"]["data"]
        there = next((each for each in items if each["id"] == change.get("id")), None)
        if "id" in change and there is None:
            raise ApiError(f"No such subscription item: '{change['id']}'", param="items", code="resource_missing")
        if there is None:
            if any(each["price"]["id"] == change.get("price") for each in items):
                raise ApiError("Cannot add multiple subscription items with the same price.", param="items")
            items.append(self._item(found["id"], change, self._period(found)))
            self._prorate(found, items[-1], 1, prorates=prorates)
            return
        self._prorate(found, there, -1, prorates=prorates)
        if change.get("deleted") == "true":
            items.remove(there)
            if not items:
                raise ApiError("A subscription must have at least one active plan.", param="items")
            return
        price = self._price(change["price"]) if "price" in change else there["price"]
        quantity = int(change["quantity"]) if "quantity" in change else there.get("quantity")
        there.update(shapes.item(there["id"], there["created"], found["id"], price, quantity, self._period(found)))
        self._prorate(found, there, 1, prorates=prorates)

    def _prorate(self, found: Json, item: Json, sign: int, *, prorates: bool) -> None:
        """What is left of the period, for or against the customer: on the next invoice."""
        starts, ends = self._period(found)
        amount = round(_amount(item) * (ends - self.now) / (ends - starts))
        if prorates and amount:
            self._lines.setdefault(found["id"], []).append(
                shapes.line(self._id("il"), sign * amount, item, proration=True)
            )

    def tell_meter(self, params: Json) -> Json:
        """Raises ApiError, also for an identifier that it remembers."""
        event_name, payload = params.get("event_name"), params.get("payload", {})
        if event_name not in {each["event_name"] for each in self.meters.values()}:
            raise ApiError(f"No active meter found for event name {event_name}.", param="event_name")
        self.customer(payload.get("stripe_customer_id"))
        timestamp = int(params.get("timestamp", self.now))
        if not self.now - EARLIEST_SECONDS <= timestamp <= self.now + LATEST_SECONDS:
            raise ApiError("The timestamp must be within the past 35 days, and not in the future.", param="timestamp")
        identifier = params.get("identifier") or self._id("me")
        for each in self.meter_events:
            if each["identifier"] == identifier and self.now - each["created"] < REMEMBERS_SECONDS:
                raise ApiError(f"An event already exists with identifier {identifier}.")
        made = shapes.meter_event(self.now, params, identifier, timestamp)
        self.meter_events.append(made)
        return made

    def metered(self, event_name: str, customer_id: str, since: int = 0, until: int = 1 << 60) -> int:
        """What a meter has of a customer."""
        return sum(
            int(each["payload"]["value"])
            for each in self.meter_events
            if each["event_name"] == event_name
            and each["payload"]["stripe_customer_id"] == customer_id
            and since <= each["timestamp"] < until
        )

    # -- what people, cards and months do

    def complete(self, checkout_id: str, *, pays: bool = True) -> Json:
        """Somebody pays on the page; `pays` False: the card is refused, and Stripe keeps the subscription as incomplete."""
        checkout = self.checkout(checkout_id)
        if checkout["status"] != "open":
            raise ApiError("The checkout is not open.")
        wanted = self._wanted[checkout_id]
        id, period = self._id("sub"), (self.now, self.now + MONTH_SECONDS)
        items = [self._item(id, each, period) for each in wanted["line_items"]]
        metadata = wanted.get("subscription_data", {}).get("metadata", {})
        made = shapes.subscription(id, self.now, checkout["customer"], items, metadata)
        made["status"] = "active" if pays else "incomplete"
        self.subscriptions[id] = made
        self.tell("customer.subscription.created", made)
        self._bill(made, "subscription_create", pays=pays)
        if pays:
            checkout |= {"status": "complete", "payment_status": "paid", "subscription": id, "url": None}
            self.tell("checkout.session.completed", checkout)
        return made

    def renew(self, subscription_id: str, *, pays: bool = True) -> None:
        """The next period begins, and its invoice is paid, or not.  One that was to end, ends."""
        found = self.subscription(subscription_id)
        if found["cancel_at_period_end"]:
            self.end(subscription_id)
            return
        starts = self._period(found)[1]
        for each in found["items"]["data"]:
            each |= {"current_period_start": starts, "current_period_end": starts + MONTH_SECONDS}
        self._bill(found, "subscription_cycle", pays=pays)
        if not pays:
            found["status"] = "past_due"
        self.tell("customer.subscription.updated", found)

    def pay(self, subscription_id: str) -> None:
        """What is owed is paid after all."""
        found = self.subscription(subscription_id)
        for invoice in self.open_invoices(subscription_id):
            self._settle(invoice)
        found["status"] = "active"
        self.tell("customer.subscription.updated", found)

    def give_up(self, subscription_id: str) -> None:
        """Stripe stops collecting; as the account is set up, the subscription stays, unpaid."""
        found = self.subscription(subscription_id)
        found["status"] = "unpaid"
        self.tell("customer.subscription.updated", found)

    def end(self, subscription_id: str) -> None:
        found = self.subscription(subscription_id)
        found |= {"status": "canceled", "ended_at": self.now, "canceled_at": found["canceled_at"] or self.now}
        self.tell("customer.subscription.deleted", found)

    def open_invoices(self, subscription_id: str) -> list[Json]:
        return [
            each
            for each in self.invoices.values()
            if each["status"] == "open" and each["parent"]["subscription_details"]["subscription"] == subscription_id
        ]

    def _bill(self, found: Json, reason: str, *, pays: bool) -> None:
        lines = self._lines.pop(found["id"], [])
        lines += [shapes.line(self._id("il"), _amount(each), each, proration=False) for each in found["items"]["data"]]
        invoice = shapes.invoice(self._id("in"), self.now, found, lines, reason)
        self.invoices[invoice["id"]] = invoice
        found["latest_invoice"] = invoice["id"]
        self.tell("invoice.finalized", invoice)
        if pays:
            self._settle(invoice)
        else:
            invoice |= {"attempted": True, "attempt_count": 1}
            self.tell("invoice.payment_failed", invoice)

    def _settle(self, invoice: Json) -> None:
        invoice |= {
            "status": "paid",
            "attempted": True,
            "amount_paid": invoice["total"],
            "amount_remaining": 0,
            "attempt_count": invoice["attempt_count"] + 1,
        }
        invoice["status_transitions"]["paid_at"] = self.now
        self.tell("invoice.paid", invoice)

    def _item(self, subscription_id: str, wanted: Mapping[str, Any], period: tuple[int, int]) -> Json:
        price = self._price(wanted.get("price"))
        quantity = None if price["recurring"]["usage_type"] == "metered" else int(wanted.get("quantity", 1))
        return shapes.item(self._id("si"), self.now, subscription_id, price, quantity, period)

    def _price(self, id: str | None) -> Json:
        if id not in self.prices:
            raise ApiError(f"No such price: '{id}'", param="line_items", code="resource_missing")
        return self.prices[id]

    def _first(self, found: Json) -> Json:
        first: Json = found["items"]["data"][0]
        return first

    def _period(self, found: Json) -> tuple[int, int]:
        first = self._first(found)
        return first["current_period_start"], first["current_period_end"]


def _amount(item: Json) -> int:
    amount: int = item["price"]["unit_amount"] * item.get("quantity", 0)
    return amount
