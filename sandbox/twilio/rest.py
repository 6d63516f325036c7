"""The REST API of the carrier: /2010-04-01/Accounts/{Sid}/...  Form fields in, snake_case JSON out."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.twilio.call import API_VERSION
from sandbox.twilio.callsapi import CallsApi
from sandbox.twilio.dialplan import E164
from sandbox.twilio.errors import ApiError
from sandbox.twilio.exchange import Account, Exchange
from sandbox.twilio.forms import Json, not_found, page, rfc2822, snake, text
from sandbox.twilio.geography import area_of, place_of
from sandbox.twilio.messagesapi import CONTENT_PATH, MessagesApi
from sandbox.twilio.numbers import CAPABILITIES, ID_FIELDS, METHOD_FIELDS, URL_FIELDS, Number, national
from sandbox.twilio.outage import Admission

ROOT = f"/{API_VERSION}/Accounts/{{account_sid}}"

Endpoint = Callable[[Request], Awaitable[Response]]


class Rest:
    """Routes for one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._calls = CallsApi(exchange)
        self._messages = MessagesApi(exchange)
        self.admission = Admission(exchange.faults)

    def routes(self) -> list[Route]:
        table: list[tuple[str, str, Endpoint]] = [
            ("POST", "/Calls.json", partial(self.admission.with_faults, "create", self._calls.create)),
            ("GET", "/Calls.json", partial(self.admission.with_faults, "list", self._calls.list)),
            ("GET", "/Calls/{sid}.json", partial(self.admission.with_faults, "fetch", self._calls.fetch)),
            ("POST", "/Calls/{sid}.json", partial(self.admission.with_faults, "update", self._calls.update)),
            ("POST", "/Messages.json", partial(self.admission.with_faults, "message", self._messages.create)),
            ("GET", "/Messages.json", partial(self.admission.with_faults, "message_list", self._messages.list)),
            ("GET", "/Messages/{sid}.json", partial(self.admission.with_faults, "message_fetch", self._messages.fetch)),
            ("GET", "/Messages/{sid}/Media.json", self._messages.list_media),
            (
                "GET",
                "/Messages/{sid}/Media/{media_sid}",
                partial(self.admission.with_faults, "media", self._messages.fetch_media),
            ),
            ("POST", "/IncomingPhoneNumbers.json", self._buy_number),
            ("GET", "/IncomingPhoneNumbers.json", self._list_numbers),
            ("GET", "/IncomingPhoneNumbers/{sid}.json", self._fetch_number),
            ("POST", "/IncomingPhoneNumbers/{sid}.json", self._update_number),
            ("DELETE", "/IncomingPhoneNumbers/{sid}.json", self._release_number),
            ("GET", "/AvailablePhoneNumbers/{country}/Local.json", self._list_on_sale),
        ]
        content = Route(CONTENT_PATH + "/{sid}/{media_sid}", self._messages.content)
        return [
            content,
            *(Route(ROOT + path, self._guarded(endpoint), methods=[verb]) for verb, path, endpoint in table),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            try:
                self._authenticate(request)
                return await self.admission.admit(request, endpoint)
            except ApiError as refused:
                return refused.response()

        return guarded

    def _authenticate(self, request: Request) -> None:
        authenticate(self._exchange.account, request)
        if request.path_params["account_sid"] != self._exchange.account.sid:
            raise not_found(request)

    async def _buy_number(self, request: Request) -> Response:
        form = await request.form()
        book, e164 = self._exchange.numbers, text(form, "PhoneNumber")
        if not e164:
            on_sale = book.on_sale(area_code=text(form, "AreaCode"))
            if not on_sale:
                raise ApiError(21452, "No phone numbers found in area code")
            e164 = on_sale[0]
        if not E164.fullmatch(e164):
            raise ApiError(21421, f"PhoneNumber is invalid: {e164}")
        if book.find(e164) is not None or e164 not in book.on_sale(area_code=area_of(e164)):
            raise ApiError(21422, f"{e164} is not available.")
        number = book.add(e164)
        number.configure(snake(form))
        book.keep()
        return JSONResponse(number_json(self._exchange.account.sid, number), 201)

    async def _list_numbers(self, request: Request) -> Response:
        pattern, name = request.query_params.get("PhoneNumber"), request.query_params.get("FriendlyName")
        numbers = [
            number_json(self._exchange.account.sid, number)
            for number in self._exchange.numbers
            if (pattern is None or pattern.lstrip("+ ") in number.e164)
            and (name is None or number.friendly_name == name)
        ]
        return page(request, "incoming_phone_numbers", numbers)

    async def _fetch_number(self, request: Request) -> Response:
        return JSONResponse(number_json(self._exchange.account.sid, self._number(request)))

    async def _update_number(self, request: Request) -> Response:
        number = self._number(request)
        number.configure(snake(await request.form()))
        self._exchange.numbers.keep()
        return JSONResponse(number_json(self._exchange.account.sid, number))

    async def _release_number(self, request: Request) -> Response:
        self._exchange.numbers.remove(self._number(request).sid)
        self._exchange.numbers.keep()
        return Response(status_code=204)

    def _number(self, request: Request) -> Number:
        number = self._exchange.numbers.get(request.path_params["sid"])
        if number is None:
            raise not_found(request)
        return number

    async def _list_on_sale(self, request: Request) -> Response:
        country, query = request.path_params["country"], request.query_params
        if country != "US":
            raise not_found(request)
        numbers = self._exchange.numbers.on_sale(
            query.get("AreaCode", ""), query.get("Contains", ""), query.get("InRegion", ""), query.get("InLocality", "")
        )
        return page(request, "available_phone_numbers", [on_sale_json(e164) for e164 in numbers])


def authenticate(account: Account, request: Request) -> None:
    """Check Basic authentication: the account's own credentials or an API key.  Raises ApiError."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user, password = "", ""
    if scheme.lower() != "basic" or not account.admits(user, password):
        raise ApiError(20003, "Authenticate")


def number_json(account_sid: str, number: Number) -> Json:
    """Return an IncomingPhoneNumber resource."""
    return {
        "sid": number.sid,
        "account_sid": account_sid,
        "phone_number": number.e164,
        "friendly_name": number.friendly_name,
        "capabilities": CAPABILITIES,
        "date_created": rfc2822(number.created_at),
        "date_updated": rfc2822(number.updated_at),
        **{name: number.get(name) for name in (*URL_FIELDS, *METHOD_FIELDS)},
        **{name: number.get(name) or None for name in ID_FIELDS},
        "voice_caller_id_lookup": False,
        "voice_receive_mode": "voice",
        "address_requirements": "none",
        "emergency_status": "Inactive",
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "beta": False,
        "origin": "twilio",
        "status": "in-use",
        "type": "local",
        "api_version": API_VERSION,
        "uri": f"/{API_VERSION}/Accounts/{account_sid}/IncomingPhoneNumbers/{number.sid}.json",
    }


def on_sale_json(e164: str) -> Json:
    place = place_of(e164)
    return {
        "phone_number": e164,
        "friendly_name": national(e164),
        "locality": place["City"].title() or None,
        "rate_center": place["City"] or None,
        "region": place["State"] or None,
        "postal_code": place["Zip"] or None,
        "iso_country": place["Country"],
        "lata": None,
        "latitude": None,
        "longitude": None,
        "address_requirements": "none",
        "beta": False,
        "capabilities": {"voice": True, "SMS": True, "MMS": True},
    }
