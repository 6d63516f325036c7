"""The carrier's directory: Lookup v2 (at Twilio on a host of its own).  It records every lookup: lookups cost money.

    GET /v2/PhoneNumbers/{e164}?Fields=caller_name,line_type_intelligence
Control API, without authentication:
    PUT /sandbox/lookups/{e164}   {caller_name?, caller_type?, carrier_name?, type?} → 204
    GET /sandbox/lookups          {"asked": [e164, ...]}, oldest first
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.twilio.errors import ApiError
from sandbox.twilio.exchange import E164, Exchange
from sandbox.twilio.numbers import national
from sandbox.twilio.rest import authenticate

PACKAGES = (
    "caller_name", "sim_swap", "call_forwarding", "line_status", "line_type_intelligence", "identity_match",
    "reassigned_number", "sms_pumping_risk", "phone_number_quality_score", "pre_fill",
)  # fmt: skip


class Listing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A number's entry in the directory."""

    caller_name: str | None = None
    caller_type: str | None = None
    carrier_name: str | None = "Sandbox Wireless"
    type: str | None = "mobile"


class Directory:
    """Routes for one exchange.  A number that is not listed is a mobile without a name."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.listings: dict[str, Listing] = {}
        #: Every number that was looked up, oldest first.
        self.lookups: list[str] = []
        #: HTTP status of every lookup, if set.
        self.out_of_order: int | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/v2/PhoneNumbers/{e164}", self._fetch),
            Route("/sandbox/lookups", self._list_lookups),
            Route("/sandbox/lookups/{e164}", self._set_listing, methods=["PUT"]),
        ]

    async def _fetch(self, request: Request) -> Response:
        try:
            authenticate(self._exchange.account, request)
            e164 = request.path_params["e164"]
            if not E164.fullmatch(e164):
                raise ApiError(20404, f"The requested resource {request.url.path} was not found")
        except ApiError as refused:
            return refused.response()
        self.lookups.append(e164)
        if self.out_of_order is not None:
            return Response("upstream error", self.out_of_order)
        packages_requested = request.query_params.get("Fields", "").split(",")
        return JSONResponse(lookup_json(e164, self.listings.get(e164, Listing()), packages_requested, str(request.url)))

    async def _list_lookups(self, _: Request) -> Response:
        return JSONResponse({"asked": self.lookups})

    async def _set_listing(self, request: Request) -> Response:
        try:
            listing = msgspec.json.decode(await request.body(), type=Listing)
        except msgspec.DecodeError as error:
            return JSONResponse({"error": str(error)}, 400)
        self.listings[request.path_params["e164"]] = listing
        return Response(status_code=204)


def lookup_json(e164: str, listing: Listing, packages_requested: list[str], url: str) -> dict[str, Any]:
    """Return a v2 PhoneNumber resource; a package that was not requested is null."""
    packages: Mapping[str, Any] = {
        "caller_name": {
            "caller_name": listing.caller_name,
            "caller_type": listing.caller_type,
            "error_code": None,
        },
        "line_type_intelligence": {
            "mobile_country_code": "310" if listing.type == "mobile" else None,
            "mobile_network_code": "456" if listing.type == "mobile" else None,
            "carrier_name": listing.carrier_name,
            "type": listing.type,
            "error_code": None,
        },
    }
    is_north_american = e164.startswith("+1")
    return {
        "calling_country_code": "1" if is_north_american else None,
        "country_code": "US" if is_north_american else None,
        "phone_number": e164,
        "national_format": national(e164),
        "valid": True,
        "validation_errors": [],
        **{name: packages.get(name) if name in packages_requested else None for name in PACKAGES},
        "url": url,
    }
