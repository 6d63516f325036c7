"""The REST API: form fields in, JSON out; idempotency keys as Stripe keeps them, failures included."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.serving import cut
from sandbox.stripe import shapes
from sandbox.stripe.book import Book
from sandbox.stripe.errors import CardError, IdempotencyError, StripeApiError
from sandbox.stripe.faults import StripeFault, StripeFaults
from sandbox.stripe.forms import nested
from sandbox.stripe.shapes import Json

#: The one clause of the search language that is supported.
CLAUSE = re.compile(r"metadata\['([^']+)'\]:'([^']+)'")
INTERNAL = {"error": {"message": "An unknown error occurred", "type": "api_error"}}
BUSY = {"error": {"code": "rate_limit", "message": "Request rate limit exceeded.", "type": "invalid_request_error"}}
UNKNOWN_KEY = {"error": {"message": "Invalid API Key provided.", "type": "invalid_request_error"}}

Answer = Callable[[Json, Mapping[str, str]], Json]


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The first response to an idempotency key."""

    request: str
    status: int
    body: Json


class StripeRest:
    def __init__(self, book: Book, faults: StripeFaults, api_key: str) -> None:
        self._book, self._faults, self._api_key = book, faults, api_key
        self._responses: dict[str, StoredResponse] = {}
        #: Every request, as method and path.
        self.requests: list[str] = []

    def routes(self) -> list[Route]:
        book = self._book
        table: list[tuple[str, str, Answer]] = [
            ("POST", "/v1/customers", lambda form, _: book.create_customer(form)),
            ("GET", "/v1/customers/search", self._search_customers),
            ("POST", "/v1/checkout/sessions", lambda form, _: book.open_checkout(form)),
            ("GET", "/v1/checkout/sessions/{id}", lambda _, at: book.checkout(at["id"])),
            ("POST", "/v1/checkout/sessions/{id}/expire", lambda _, at: book.expire_checkout(at["id"])),
            ("POST", "/v1/billing_portal/sessions", lambda form, _: book.open_portal(form)),
            ("GET", "/v1/subscriptions", self._list_subscriptions),
            ("GET", "/v1/subscriptions/{id}", lambda _, at: book.subscription(at["id"])),
            ("POST", "/v1/subscriptions/{id}", lambda form, at: book.update_subscription(at["id"], form)),
            ("GET", "/v1/invoices", self._list_invoices),
            ("GET", "/v1/prices/{id}", self._price),
            ("GET", "/v1/webhook_endpoints", lambda form, _: self._page("/v1/webhook_endpoints", book.endpoints, form)),
            ("GET", "/v1/billing/meters", self._list_meters),
            ("GET", "/v1/billing/meters/{id}/event_summaries", self._summaries),
            ("POST", "/v1/billing/meter_events", lambda form, _: book.tell_meter(form)),
        ]
        return [Route(path, self._endpoint(method, answer), methods=[method]) for method, path, answer in table]

    def _endpoint(self, method: str, answer: Answer) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            self.requests.append(f"{method} {request.url.path}")
            if request.headers.get("authorization") != f"Bearer {self._api_key}":
                return JSONResponse(UNKNOWN_KEY, 401)
            text = (await request.body()).decode() if method == "POST" else request.url.query
            fault = self._faults.next(method, request.url.path)
            if fault is StripeFault.RATE_LIMITED:
                return JSONResponse(BUSY, 429)
            if fault is StripeFault.CUT:
                cut(request)
                return Response()
            key = request.headers.get("idempotency-key", "") if method == "POST" else ""
            status, body, replayed = self._idempotent(
                key,
                f"{method} {request.url.path}?{text}",
                fault,
                lambda: answer(nested(parse_qsl(text, keep_blank_values=True)), request.path_params),
            )
            if fault is StripeFault.LOST:
                cut(request)
                return Response()
            return JSONResponse(body, status, headers={"Idempotent-Replayed": "true"} if replayed else None)

        return endpoint

    def _idempotent(
        self, key: str, request: str, fault: StripeFault | None, act: Callable[[], Json]
    ) -> tuple[int, Json, bool]:
        """Apply Stripe's idempotency: replay a key's first response, 500 and refused payments included; parameter errors
        are not stored.
        """
        if (stored := self._responses.get(key)) is not None:
            if stored.request != request:
                mismatch = IdempotencyError()
                return mismatch.status, mismatch.body(), False
            return stored.status, stored.body, True
        try:
            status, body = 200, INTERNAL if fault is StripeFault.FAILED else act()
        except StripeApiError as error:
            status, body = error.status, error.body()
            if not isinstance(error, CardError):
                return status, body, False
        if fault in {StripeFault.FAILED, StripeFault.FAILED_AFTER}:
            status, body = 500, INTERNAL
        # Copy the object's current state.
        body = json.loads(json.dumps(body))
        if key:
            self._responses[key] = StoredResponse(request, status, body)
        return status, body, False

    def forget_keys(self) -> None:
        """Expire all idempotency keys, as after a day."""
        self._responses.clear()

    # -- lists

    def _search_customers(self, form: Json, _: Mapping[str, str]) -> Json:
        clause = CLAUSE.fullmatch(form.get("query", ""))
        if clause is None:
            raise StripeApiError("We were unable to parse your search query.", param="query")
        name, value = clause.groups()
        customers = [customer for customer in self._book.customers.values() if customer["metadata"].get(name) == value]
        return {
            "object": "search_result",
            "data": customers,
            "has_more": False,
            "next_page": None,
            "url": "/v1/customers/search",
        }

    def _list_subscriptions(self, form: Json, _: Mapping[str, str]) -> Json:
        status = form.get("status")
        subscriptions = [
            subscription
            for subscription in self._book.subscriptions.values()
            if subscription["customer"] == form.get("customer", subscription["customer"])
            and (
                status == "all"
                or subscription["status"] == status
                or (status is None and subscription["status"] != "canceled")
            )
        ]
        return self._page("/v1/subscriptions", subscriptions[::-1], form)

    def _list_invoices(self, form: Json, _: Mapping[str, str]) -> Json:
        invoices = [
            invoice
            for invoice in self._book.invoices.values()
            if form.get("subscription") in {None, invoice["parent"]["subscription_details"]["subscription"]}
            and form.get("status") in {None, invoice["status"]}
        ]
        return self._page("/v1/invoices", invoices[::-1], form)

    def _price(self, _: Json, at: Mapping[str, str]) -> Json:
        if at["id"] not in self._book.prices:
            raise StripeApiError(f"No such price: '{at['id']}'", param="price", code="resource_missing", status=404)
        return self._book.prices[at["id"]]

    def _list_meters(self, form: Json, _: Mapping[str, str]) -> Json:
        return self._page("/v1/billing/meters", list(self._book.meters.values()), form)

    def _summaries(self, form: Json, at: Mapping[str, str]) -> Json:
        meter = self._book.meters.get(at["id"])
        if meter is None:
            raise StripeApiError(f"No such meter: '{at['id']}'", code="resource_missing", status=404)
        since, until = int(form["start_time"]), int(form["end_time"])
        if since % 60 or until % 60:
            raise StripeApiError("The times must be aligned with minutes.", param="start_time")
        total = self._book.metered(meter["event_name"], form["customer"], since, until)
        summary = {
            "id": "mtrusg_standin",
            "object": "billing.meter_event_summary",
            "aggregated_value": float(total),
            "end_time": until,
            "livemode": False,
            "meter": meter["id"],
            "start_time": since,
        }
        return self._page(f"/v1/billing/meters/{meter['id']}/event_summaries", [summary] if total else [], form)

    def _page(self, url: str, objects: list[Json], form: Json) -> Json:
        limit = int(form.get("limit", 10))
        if last := form.get("starting_after"):
            place = next((n for n, listed in enumerate(objects, 1) if listed["id"] == last), None)
            if place is None:
                raise StripeApiError(f"No such object: '{last}'", param="starting_after", code="resource_missing")
            objects = objects[place:]
        return shapes.listed(url, objects[:limit], has_more=len(objects) > limit)
