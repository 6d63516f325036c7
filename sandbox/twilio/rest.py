"""The REST API of the carrier: /2010-04-01/Accounts/{Sid}/...  Form fields in, snake_case JSON out."""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.twilio.call import API_VERSION, Call, Callback, Document, Fallback, Fetch, Instruction
from sandbox.twilio.errors import ApiError
from sandbox.twilio.exchange import E164, MAX_CALL_S, Account, Exchange, Order
from sandbox.twilio.geography import area_of, place_of
from sandbox.twilio.numbers import CAPABILITIES, ID_FIELDS, METHOD_FIELDS, URL_FIELDS, Number, national

ROOT = f"/{API_VERSION}/Accounts/{{account_sid}}"
MAX_PAGE = 1000

Endpoint = Callable[[Request], Awaitable[Response]]
Json = dict[str, Any]


class Rest:
    """Routes for one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        table: list[tuple[str, str, Endpoint]] = [
            ("POST", "/Calls.json", self._create_call),
            ("GET", "/Calls.json", self._list_calls),
            ("GET", "/Calls/{sid}.json", self._fetch_call),
            ("POST", "/Calls/{sid}.json", self._update_call),
            ("POST", "/IncomingPhoneNumbers.json", self._buy_number),
            ("GET", "/IncomingPhoneNumbers.json", self._list_numbers),
            ("GET", "/IncomingPhoneNumbers/{sid}.json", self._fetch_number),
            ("POST", "/IncomingPhoneNumbers/{sid}.json", self._update_number),
            ("DELETE", "/IncomingPhoneNumbers/{sid}.json", self._release_number),
            ("GET", "/AvailablePhoneNumbers/{country}/Local.json", self._list_on_sale),
        ]
        return [Route(ROOT + path, self._guarded(endpoint), methods=[verb]) for verb, path, endpoint in table]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            try:
                self._authenticate(request)
                return await endpoint(request)
            except ApiError as refused:
                return refused.response()

        return answer

    def _authenticate(self, request: Request) -> None:
        authenticate(self._exchange.account, request)
        if request.path_params["account_sid"] != self._exchange.account.sid:
            raise _not_found(request)

    async def _create_call(self, request: Request) -> Response:
        form = await request.form()
        to, from_ = _text(form, "To"), _text(form, "From")
        if not to:
            raise ApiError(21201, "No 'To' number is specified")
        if not from_:
            raise ApiError(21213, "No 'From' number is specified")
        if not E164.fullmatch(to):
            raise ApiError(21211, f"Invalid 'To' Phone Number: {to}")
        if self._exchange.numbers.find(from_) is None:
            raise ApiError(21210, f"Source phone number '{from_}' is not verified or held by this account.")
        first = _instruction(form)
        if first is None:
            raise ApiError(21205, "Url parameter is required.")
        detects = _text(form, "MachineDetection") in {"Enable", "DetectMessageEnd"}
        is_async = _text(form, "AsyncAmd").lower() == "true"
        amd_url = _text(form, "AsyncAmdStatusCallback") if detects and is_async else ""
        order = Order(
            to=to,
            from_=from_,
            first=first,
            callback=_callback(form),
            fallback=Fallback(_text(form, "FallbackUrl")) if _text(form, "FallbackUrl") else None,
            timeout_s=_number(form, "Timeout", 60, 600),
            time_limit_s=_number(form, "TimeLimit", MAX_CALL_S, 24 * 3600),
            detects_machines=detects,
            amd_callback=Callback(amd_url) if amd_url else None,
        )
        return JSONResponse(call_json(self._exchange.place(order)), 201)

    async def _list_calls(self, request: Request) -> Response:
        query = request.query_params
        filters = {"to": query.get("To"), "from": query.get("From"), "status": query.get("Status")}
        calls = [
            each
            for each in map(call_json, reversed(self._exchange.calls.values()))
            if all(value is None or each[name] == value for name, value in filters.items())
        ]
        return _page(request, "calls", calls)

    async def _fetch_call(self, request: Request) -> Response:
        return JSONResponse(call_json(self._call(request)))

    async def _update_call(self, request: Request) -> Response:
        call, form = self._call(request), await request.form()
        status, instruction = _text(form, "Status"), _instruction(form)
        if call.is_over or call.hung_up_by is not None:
            raise ApiError(21220, "Call is not in-progress. Cannot redirect.")
        if status in {"completed", "canceled"}:
            if status == "completed" or call.status in {"queued", "ringing"}:
                call.hang_up("rest")
        elif status:
            raise ApiError(20001, f"Invalid Status: {status}")
        elif instruction is not None:
            if call.status != "in-progress":
                raise ApiError(21220, "Call is not in-progress. Cannot redirect.")
            call.redirect(instruction)
        return JSONResponse(call_json(call))

    def _call(self, request: Request) -> Call:
        call = self._exchange.calls.get(request.path_params["sid"])
        if call is None:
            raise _not_found(request)
        return call

    async def _buy_number(self, request: Request) -> Response:
        form = await request.form()
        book, e164 = self._exchange.numbers, _text(form, "PhoneNumber")
        if not e164:
            on_sale = book.on_sale(area_code=_text(form, "AreaCode"))
            if not on_sale:
                raise ApiError(21452, "No phone numbers found in area code")
            e164 = on_sale[0]
        if not E164.fullmatch(e164):
            raise ApiError(21421, f"PhoneNumber is invalid: {e164}")
        if book.find(e164) is not None or e164 not in book.on_sale(area_code=area_of(e164)):
            raise ApiError(21422, f"{e164} is not available.")
        number = book.add(e164)
        number.configure(_snake(form))
        return JSONResponse(number_json(self._exchange.account.sid, number), 201)

    async def _list_numbers(self, request: Request) -> Response:
        pattern, name = request.query_params.get("PhoneNumber"), request.query_params.get("FriendlyName")
        numbers = [
            number_json(self._exchange.account.sid, each)
            for each in self._exchange.numbers
            if (pattern is None or pattern.lstrip("+ ") in each.e164) and (name is None or each.friendly_name == name)
        ]
        return _page(request, "incoming_phone_numbers", numbers)

    async def _fetch_number(self, request: Request) -> Response:
        return JSONResponse(number_json(self._exchange.account.sid, self._number(request)))

    async def _update_number(self, request: Request) -> Response:
        number = self._number(request)
        number.configure(_snake(await request.form()))
        return JSONResponse(number_json(self._exchange.account.sid, number))

    async def _release_number(self, request: Request) -> Response:
        self._exchange.numbers.remove(self._number(request).sid)
        return Response(status_code=204)

    def _number(self, request: Request) -> Number:
        number = self._exchange.numbers.get(request.path_params["sid"])
        if number is None:
            raise _not_found(request)
        return number

    async def _list_on_sale(self, request: Request) -> Response:
        country, query = request.path_params["country"], request.query_params
        if country != "US":
            raise _not_found(request)
        found = self._exchange.numbers.on_sale(
            query.get("AreaCode", ""), query.get("Contains", ""), query.get("InRegion", ""), query.get("InLocality", "")
        )
        return _page(request, "available_phone_numbers", [on_sale_json(each) for each in found])


def authenticate(account: Account, request: Request) -> None:
    """Basic authentication with the account's own credentials or an API key.  Raises ApiError."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user, password = "", ""
    if scheme.lower() != "basic" or not account.admits(user, password):
        raise ApiError(20003, "Authenticate")


def call_json(call: Call) -> Json:
    """A Call resource."""
    uri = f"/{API_VERSION}/Accounts/{call.account_sid}/Calls/{call.sid}.json"
    return {
        "sid": call.sid,
        "account_sid": call.account_sid,
        "parent_call_sid": call.parent_sid,
        "phone_number_sid": call.number_sid,
        "to": call.to,
        "to_formatted": national(call.to),
        "from": call.from_,
        "from_formatted": national(call.from_),
        "status": call.status,
        "direction": call.direction,
        "date_created": _rfc2822(call.created_at),
        "date_updated": _rfc2822(call.ended_at or call.answered_at or call.created_at),
        "start_time": _rfc2822(call.answered_at),
        "end_time": _rfc2822(call.ended_at),
        "duration": str(call.duration_s) if call.is_over else None,
        "answered_by": call.answered_by,
        "price": None,
        "price_unit": "USD",
        "forwarded_from": None,
        "caller_name": None,
        "group_sid": None,
        "trunk_sid": "",
        "queue_time": "0",
        "annotation": None,
        "api_version": API_VERSION,
        "uri": uri,
        "subresource_uris": {name.lower(): uri.replace(".json", f"/{name}.json") for name in ("Recordings", "Streams")},
    }


def number_json(account_sid: str, number: Number) -> Json:
    """An IncomingPhoneNumber resource."""
    return {
        "sid": number.sid,
        "account_sid": account_sid,
        "phone_number": number.e164,
        "friendly_name": number.friendly_name,
        "capabilities": CAPABILITIES,
        "date_created": _rfc2822(number.created_at),
        "date_updated": _rfc2822(number.updated_at),
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


def _instruction(form: FormData) -> Instruction | None:
    if document := _text(form, "Twiml"):
        return Document(document)
    if url := _text(form, "Url"):
        return Fetch(url, _text(form, "Method").upper() or "POST")
    return None


def _callback(form: FormData) -> Callback | None:
    url = _text(form, "StatusCallback")
    if not url:
        return None
    events = frozenset(word for each in form.getlist("StatusCallbackEvent") for word in str(each).split())
    return Callback(url, _text(form, "StatusCallbackMethod").upper() or "POST", events or frozenset({"completed"}))


def _page(request: Request, name: str, items: Sequence[Json]) -> Response:
    """One page of a list in the 2010 API's form; `next_page_uri` is relative, null on the last page."""
    query = request.query_params
    size = min(MAX_PAGE, max(1, _whole(query.get("PageSize"), 50)))
    page = max(0, _whole(query.get("Page"), 0))
    shown = items[page * size : (page + 1) * size]

    def uri(number: int) -> str:
        kept = {key: value for key, value in query.items() if key not in {"Page", "PageSize", "PageToken"}}
        return f"{request.url.path}?{urlencode(kept | {'PageSize': size, 'Page': number})}"

    body = {
        name: list(shown),
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": page * size + max(0, len(shown) - 1),
        "uri": uri(page),
        "first_page_uri": uri(0),
        "previous_page_uri": uri(page - 1) if page else None,
        "next_page_uri": uri(page + 1) if (page + 1) * size < len(items) else None,
    }
    return JSONResponse(body)


def _not_found(request: Request) -> ApiError:
    return ApiError(20404, f"The requested resource {request.url.path} was not found")


def _snake(form: FormData) -> dict[str, str]:
    pairs: Iterable[tuple[str, Any]] = form.multi_items()
    return {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): str(value) for name, value in pairs}


def _text(form: Mapping[str, Any], name: str) -> str:
    return str(form.get(name, ""))


def _number(form: FormData, name: str, otherwise: int, most: int) -> int:
    return min(most, _whole(_text(form, name), otherwise))


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() else otherwise


def _rfc2822(moment: datetime | None) -> str | None:
    return format_datetime(moment) if moment else None
