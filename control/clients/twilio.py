"""The carrier's REST API, through Twilio's SDK on one aiohttp session.  Nothing is retried here: calls and texts are
not idempotent at Twilio, and callers retry what is.
"""

import json
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import aiohttp
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from hum.carrier import OVERRIDES
from hum.errors import CarrierBusy, CarrierError
from hum.settings import Carrier as CarrierSettings

T = TypeVar("T")

NO_SUCH_RESOURCE = 20404
NOT_ON_SALE = 21422
MOST_NUMBERS = 10_000
NOT_IN_PROGRESS = 21220
TOO_MANY_REQUESTS = 429
#: The longest wait that we accept from the carrier, and the wait when it gives none.
MAX_RETRY_AFTER_SECONDS, RETRY_AFTER_SECONDS = 300.0, 1.0


@dataclass(frozen=True, slots=True)
class CarrierNumber:
    """A number that the account holds."""

    sid: str
    e164: str
    friendly_name: str
    capabilities: Sequence[str]
    webhooks: "Webhooks"
    account_sid: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A number on sale."""

    e164: str
    friendly_name: str
    locality: str | None
    region: str | None
    country: str
    capabilities: Sequence[str]


@dataclass(frozen=True, slots=True)
class Wish:
    """Filters for numbers on sale; None or empty matches any."""

    country: str = "US"
    area_code: str | None = None
    locality: str | None = None
    region: str | None = None
    contains: str | None = None
    capabilities: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the carrier knows about any number; None for what it doesn't know."""

    caller_name: str | None
    carrier: str | None
    line_type: str | None


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The URLs that the carrier calls."""

    voice_url: str
    voice_status_url: str

    @classmethod
    def at(cls, public_url: str) -> "Webhooks":
        return cls(f"{public_url}/twilio/voice{OVERRIDES}", f"{public_url}/twilio/voice/status{OVERRIDES}")


@dataclass(frozen=True, slots=True)
class CarrierCall:
    """How a call stands at the carrier."""

    status: str
    ended_at: datetime | None


class Carrier(Protocol):
    """What control asks of the carrier.  Every method raises CarrierError."""

    async def find_number(self, e164: str) -> CarrierNumber | None:
        """The account's own number, or None."""
        ...

    async def list_numbers(self) -> Sequence[CarrierNumber]:
        """All numbers that the account holds."""
        ...

    async def offers(self, wish: Wish, limit: int) -> Sequence[Offer]:
        """Numbers on sale; none for a country in which the carrier sells none."""
        ...

    async def buy_number(self, e164: str, webhooks: Webhooks) -> CarrierNumber | None:
        """Buy a number, its webhooks pointed here; None when it is not on sale (any more).  Costs money, and is not
        idempotent.
        """
        ...

    async def release_number(self, sid: str) -> None:
        """Give a number back; one that the account does not hold counts as given back."""
        ...

    async def point_number(self, sid: str, webhooks: Webhooks) -> None:
        """Point the number's webhooks here."""
        ...

    async def end_call(self, call_sid: str) -> bool:
        """Hang up; False when the call was over already, or the carrier knows no such call."""
        ...

    async def find_call(self, call_sid: str) -> CarrierCall | None:
        """How a call stands; None when the carrier knows no such call."""
        ...


class Lookups(Protocol):
    """The carrier's directory of numbers."""

    async def look_up(self, e164: str) -> Lookup | None:
        """What the carrier knows about a number, None for an unknown number.  Costs money.  Raises CarrierError."""
        ...


class _Http(AsyncHttpClient):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's transport: one session, a timeout on every request, no redirects, no logging: requests hold numbers."""

    def __init__(self, seconds: float) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True, timeout=seconds)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds), trust_env=False)

    async def request(
        self,
        method: str,
        url: str,
        params: dict[str, str] | None = None,
        data: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the session has one for all
        allow_redirects: bool = False,
    ) -> Response:
        sent = dict(headers or {}) | ({"Authorization": aiohttp.encode_basic_auth(*auth)} if auth else {})
        async with self._session.request(
            method, url, params=params, data=data, headers=sent, allow_redirects=allow_redirects
        ) as answer:
            if answer.status == TOO_MANY_REQUESTS:
                raise CarrierBusy(_seconds(answer.headers.get("Retry-After", "")))
            return Response(answer.status, await answer.text(), answer.headers)

    async def close(self) -> None:
        await self._session.close()


class Twilio:
    """The carrier, at `TWILIO_API_BASE_URL`."""

    def __init__(self, settings: CarrierSettings, seconds: float) -> None:
        self._http = _Http(seconds)
        tokens = settings.twilio_auth_tokens
        self._client = Client(
            settings.twilio_api_key or settings.twilio_account_sid or "AC0",
            settings.twilio_api_secret or (tokens[0] if tokens else "none"),
            settings.twilio_account_sid or "AC0",
            http_client=self._http,
        )
        self._client.api.base_url = settings.twilio_api_base_url.rstrip("/")
        self._client.lookups.base_url = settings.lookups_base_url.rstrip("/")

    async def close(self) -> None:
        await self._http.close()

    async def find_number(self, e164: str) -> CarrierNumber | None:
        found = await _call(self._client.incoming_phone_numbers.list_async(phone_number=e164, limit=2))
        return next((_number(number) for number in found if number.phone_number == e164), None)

    async def list_numbers(self) -> Sequence[CarrierNumber]:
        found = await _call(self._client.incoming_phone_numbers.list_async(limit=MOST_NUMBERS, page_size=1000))
        return [_number(number) for number in found]

    async def offers(self, wish: Wish, limit: int) -> Sequence[Offer]:
        able = {f"{name}_enabled": True for name in wish.capabilities}
        filters = {
            "area_code": wish.area_code,
            "in_locality": wish.locality,
            "in_region": wish.region,
            "contains": wish.contains,
        }
        chosen = {name: value for name, value in filters.items() if value is not None}
        try:
            found = await _call(
                self._client.available_phone_numbers(wish.country).local.list_async(**chosen, **able, limit=limit)
            )
        except CarrierError as error:
            if error.metadata.get("carrier_code") == str(NO_SUCH_RESOURCE):
                return []
            raise
        return [
            Offer(
                each.phone_number,
                each.friendly_name or each.phone_number,
                each.locality,
                each.region,
                each.iso_country or wish.country,
                _able(each.capabilities),
            )
            for each in found
        ]

    async def buy_number(self, e164: str, webhooks: Webhooks) -> CarrierNumber | None:
        try:
            return _number(
                await _call(self._client.incoming_phone_numbers.create_async(phone_number=e164, **_pointing(webhooks)))
            )
        except CarrierError as error:
            if error.metadata.get("carrier_code") == str(NOT_ON_SALE):
                return None
            raise

    async def release_number(self, sid: str) -> None:
        try:
            await _call(self._client.incoming_phone_numbers(sid).delete_async())
        except CarrierError as error:
            if error.metadata.get("carrier_code") != str(NO_SUCH_RESOURCE):
                raise

    async def point_number(self, sid: str, webhooks: Webhooks) -> None:
        await _call(self._client.incoming_phone_numbers(sid).update_async(**_pointing(webhooks)))

    async def end_call(self, call_sid: str) -> bool:
        try:
            await _call(self._client.calls(call_sid).update_async(status="completed"))
        except CarrierError as error:
            if error.metadata.get("carrier_code") not in {str(NO_SUCH_RESOURCE), str(NOT_IN_PROGRESS)}:
                raise
            return False
        return True

    async def find_call(self, call_sid: str) -> CarrierCall | None:
        try:
            found = await _call(self._client.calls(call_sid).fetch_async())
        except CarrierError as error:
            if error.metadata.get("carrier_code") != str(NO_SUCH_RESOURCE):
                raise
            return None
        return CarrierCall(found.status, found.end_time)

    async def look_up(self, e164: str) -> Lookup | None:
        try:
            found = await _call(
                self._client.lookups.v2.phone_numbers(e164).fetch_async(fields="caller_name,line_type_intelligence")
            )
        except CarrierError as error:
            if error.metadata.get("carrier_code") == str(NO_SUCH_RESOURCE):
                return None
            raise
        name, line = found.caller_name or {}, found.line_type_intelligence or {}
        return Lookup(name.get("caller_name"), line.get("carrier_name"), line.get("type"))


def _number(number: Any) -> CarrierNumber:
    """A number of the account, from the SDK's object."""
    return CarrierNumber(
        number.sid,
        number.phone_number,
        number.friendly_name or "",
        _able(number.capabilities),
        Webhooks(number.voice_url or "", number.status_callback or ""),
        number.account_sid or None,
    )


def _able(capabilities: Any) -> list[str]:
    able = capabilities or {}
    return [name for name in ("voice", "sms", "mms") if able.get(name) or able.get(name.upper())]


def _pointing(webhooks: Webhooks) -> dict[str, str]:
    return {
        "voice_url": webhooks.voice_url,
        "voice_method": "POST",
        "status_callback": webhooks.voice_status_url,
        "status_callback_method": "POST",
    }


def is_refusal(error: CarrierError) -> bool:
    """Tell whether the carrier refused; otherwise it is unknown what it did."""
    return error.metadata.get("carrier_status", "").startswith("4")


def _seconds(retry_after: str) -> float:
    """The header `Retry-After` in seconds (RFC 9110, 10.2.3); a date is not read, Twilio sends none."""
    text = retry_after.strip()
    return min(float(text), MAX_RETRY_AFTER_SECONDS) if text.isascii() and text.isdecimal() else RETRY_AFTER_SECONDS


async def _call(request: Awaitable[T]) -> T:
    try:
        return await request
    except TwilioRestException as error:
        raise CarrierError(
            f"The carrier refused: {error.msg}", carrier_code=str(error.code), carrier_status=str(error.status)
        ) from error
    except TwilioException as error:
        raise _refused_page(error) from error
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise CarrierError(f"The carrier did not respond: {type(error).__name__}.") from error


def _refused_page(error: Exception) -> CarrierError:
    """A list that the carrier refused: the SDK passes the raw response as the exception's second argument."""
    answer = error.args[1] if len(error.args) > 1 else None
    try:
        body = json.loads(answer.text) if isinstance(answer, Response) else {}
    except ValueError:
        body = {}
    if "code" not in body:
        return CarrierError(f"The carrier refused: {error.args[0] if error.args else type(error).__name__}")
    return CarrierError(f"The carrier refused: {body.get('message', '')}", carrier_code=str(body["code"]))
