"""The client of the carrier's REST API, through Twilio's SDK on one aiohttp session.

It retries nothing: calls and texts are not idempotent at Twilio.  Callers retry the requests that are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from twilio.rest import Client

from control.clients.twilio_http import Http, carrier_code, is_refusal, perform, was_not_sent
from control.clients.twilio_media import File, MediaRefused, MessageMediaClient
from control.clients.twilio_texts import CarrierText, Text, Texts
from hum.connectionoverrides import OVERRIDES
from hum.contract.errors import CarrierError
from hum.settings import ControlSettings

__all__ = [
    "CarrierCall",
    "CarrierClient",
    "CarrierNumber",
    "CarrierText",
    "File",
    "Lookup",
    "Lookups",
    "MediaRefused",
    "NumberSearch",
    "Offer",
    "Placement",
    "Text",
    "Twilio",
    "Webhooks",
    "carrier_code",
    "is_refusal",
    "was_not_sent",
]

NO_SUCH_RESOURCE = 20404
NOT_ON_SALE = 21422
MOST_NUMBERS = 10_000
NOT_IN_PROGRESS = 21220
#: The call events for which we request callbacks.
CALL_EVENTS = ("initiated", "ringing", "answered", "completed")
#: The latest calls between two numbers that are searched.
MOST_CALLS = 50
#: The calls that one request lists: the largest page.
MOST_LISTED = 1_000


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
    """A number for sale."""

    e164: str
    friendly_name: str
    locality: str | None
    region: str | None
    country: str
    capabilities: Sequence[str]


@dataclass(frozen=True, slots=True)
class NumberSearch:
    """Filters for numbers for sale; None or empty matches any."""

    country: str = "US"
    area_code: str | None = None
    locality: str | None = None
    region: str | None = None
    contains: str | None = None
    capabilities: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Lookup:
    """The carrier's data about a number; None for an unknown field."""

    caller_name: str | None
    carrier: str | None
    line_type: str | None


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The URLs that the carrier calls."""

    voice_url: str
    voice_status_url: str
    sms_url: str = ""
    sms_fallback_url: str = ""

    @classmethod
    def at(cls, public_url: str) -> "Webhooks":
        return cls(
            voice_url=f"{public_url}/twilio/voice{OVERRIDES}",
            voice_status_url=f"{public_url}/twilio/voice/status{OVERRIDES}",
            sms_url=f"{public_url}/twilio/sms{OVERRIDES}",
            sms_fallback_url=f"{public_url}/twilio/sms/fallback{OVERRIDES}",
        )


@dataclass(frozen=True, slots=True)
class CarrierCall:
    """A call's state at the carrier."""

    status: str
    ended_at: datetime | None
    sid: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """A call to place: its numbers, the URLs that the carrier requests, and its limits."""

    account: str  # that owns the number; empty: ours
    from_e164: str
    to_e164: str
    url: str
    status_url: str
    amd_url: str | None  # None: no answering machine detection
    ring_seconds: int
    longest_seconds: int


class CarrierClient(Protocol):
    """The carrier, as control uses it.  Every method raises CarrierError."""

    async def find_number(self, e164: str) -> CarrierNumber | None:
        """Return the account's number, or None."""
        ...

    async def list_numbers(self) -> Sequence[CarrierNumber]:
        """Return all numbers of the account."""
        ...

    async def offers(self, search: NumberSearch, limit: int) -> Sequence[Offer]:
        """Return numbers for sale; empty for a country in which the carrier sells none."""
        ...

    async def buy_number(self, e164: str, webhooks: Webhooks) -> CarrierNumber | None:
        """Buy a number with these webhooks; return None if it is not for sale.  Costs money, and is not idempotent."""
        ...

    async def release_number(self, sid: str) -> None:
        """Release a number; do nothing if the account does not have it."""
        ...

    async def point_number(self, sid: str, webhooks: Webhooks) -> None:
        """Set the number's webhooks."""
        ...

    async def end_call(self, call_sid: str, account: str = "") -> bool:
        """Hang up; return False if the call has ended or is unknown to the carrier."""
        ...

    async def redirect_call(self, call_sid: str, url: str, account: str = "") -> bool:
        """Redirect a live call to `url` for its next step; return False if it has ended or is unknown."""
        ...

    async def find_call(self, call_sid: str, account: str = "") -> CarrierCall | None:
        """Return a call's state; None if the carrier does not know it."""
        ...

    async def calls_in_progress(self, account: str = "") -> frozenset[str]:
        """Return the ids of an account's answered calls that go on, at most the newest `MOST_LISTED`."""
        ...

    async def completed_calls(self, since: datetime, account: str = "") -> Sequence[CarrierCall]:
        """Return an account's answered calls that began since then and are over, at most the newest `MOST_LISTED`."""
        ...

    async def place_call(self, placement: Placement) -> str:
        """Place a call; return its `call_sid`.  Costs money, and is not idempotent."""
        ...

    async def placed_calls(self, account: str, from_e164: str, to_e164: str, since: datetime) -> Sequence[CarrierCall]:
        """Return the calls that the account has placed from one number to the other since then, newest first."""
        ...

    async def send_text(self, text: Text) -> CarrierText:
        """Send a text.  Costs money, and is not idempotent."""
        ...

    async def sent_texts(self, account: str, from_e164: str, to_e164: str, since: datetime) -> Sequence[CarrierText]:
        """Return the texts that the carrier accepted from one number to the other since then, newest first."""
        ...

    async def find_text(self, sid: str, account: str = "") -> CarrierText | None:
        """Return a text's state; None if the carrier does not know it."""
        ...

    async def fetch_media(self, url: str, account: str, most_bytes: int) -> File:
        """Fetch a file of an inbound text.  Raises MediaRefused if no retry can succeed."""
        ...


class Lookups(Protocol):
    """The carrier's look-up of numbers."""

    async def look_up(self, e164: str) -> Lookup | None:
        """Look a number up; return None for an unknown one.  Costs money.  Raises CarrierError."""
        ...


class Twilio:
    """The carrier, at `TWILIO_API_BASE_URL`."""

    def __init__(self, settings: ControlSettings, seconds: float) -> None:
        self._http = Http(seconds, settings.carrier_connect_seconds)
        tokens = settings.twilio_auth_tokens
        self._client = Client(
            settings.twilio_api_key or settings.twilio_account_sid or "AC0",
            settings.twilio_api_secret or (tokens[0] if tokens else "none"),
            settings.twilio_account_sid or "AC0",
            http_client=self._http,
        )
        self._client.api.base_url = settings.twilio_api_base_url.rstrip("/")
        self._client.lookups.base_url = settings.lookups_base_url.rstrip("/")
        self._texts = Texts(self._client)
        self._media = MessageMediaClient(self._http.session, self._client, settings)

    async def close(self) -> None:
        await self._media.close()
        await self._http.close()

    async def find_number(self, e164: str) -> CarrierNumber | None:
        numbers = await perform(self._client.incoming_phone_numbers.list_async(phone_number=e164, limit=2))
        return next((_number(number) for number in numbers if number.phone_number == e164), None)

    async def list_numbers(self) -> Sequence[CarrierNumber]:
        numbers = await perform(self._client.incoming_phone_numbers.list_async(limit=MOST_NUMBERS, page_size=1000))
        return [_number(number) for number in numbers]

    async def offers(self, search: NumberSearch, limit: int) -> Sequence[Offer]:
        capabilities = {f"{name}_enabled": True for name in search.capabilities}
        filters = {
            "area_code": search.area_code,
            "in_locality": search.locality,
            "in_region": search.region,
            "contains": search.contains,
        }
        criteria = {name: value for name, value in filters.items() if value is not None}
        try:
            numbers = await perform(
                self._client.available_phone_numbers(search.country).local.list_async(
                    **criteria, **capabilities, limit=limit
                )
            )
        except CarrierError as error:
            if error.metadata.get("carrier_code") == str(NO_SUCH_RESOURCE):
                return []
            raise
        return [
            Offer(
                number.phone_number,
                number.friendly_name or number.phone_number,
                number.locality,
                number.region,
                number.iso_country or search.country,
                _capabilities(number.capabilities),
            )
            for number in numbers
        ]

    async def buy_number(self, e164: str, webhooks: Webhooks) -> CarrierNumber | None:
        try:
            return _number(
                await perform(self._client.incoming_phone_numbers.create_async(phone_number=e164, **_fields(webhooks)))
            )
        except CarrierError as error:
            if error.metadata.get("carrier_code") == str(NOT_ON_SALE):
                return None
            raise

    async def release_number(self, sid: str) -> None:
        try:
            await perform(self._client.incoming_phone_numbers(sid).delete_async())
        except CarrierError as error:
            if error.metadata.get("carrier_code") != str(NO_SUCH_RESOURCE):
                raise

    async def point_number(self, sid: str, webhooks: Webhooks) -> None:
        await perform(self._client.incoming_phone_numbers(sid).update_async(**_fields(webhooks)))

    async def end_call(self, call_sid: str, account: str = "") -> bool:
        return await self._update(call_sid, account, status="completed")

    async def redirect_call(self, call_sid: str, url: str, account: str = "") -> bool:
        return await self._update(call_sid, account, url=url, method="POST")

    async def _update(self, call_sid: str, account: str, **changes: str) -> bool:
        try:
            await perform(self._calls(account)(call_sid).update_async(**changes))
        except CarrierError as error:
            if error.metadata.get("carrier_code") not in {str(NO_SUCH_RESOURCE), str(NOT_IN_PROGRESS)}:
                raise
            return False
        return True

    async def find_call(self, call_sid: str, account: str = "") -> CarrierCall | None:
        try:
            call = await perform(self._calls(account)(call_sid).fetch_async())
        except CarrierError as error:
            if error.metadata.get("carrier_code") != str(NO_SUCH_RESOURCE):
                raise
            return None
        return CarrierCall(call.status, call.end_time, call_sid)

    async def calls_in_progress(self, account: str = "") -> frozenset[str]:
        calls = await perform(
            self._calls(account).list_async(status="in-progress", limit=MOST_LISTED, page_size=MOST_LISTED)
        )
        return frozenset(call.sid for call in calls)

    async def completed_calls(self, since: datetime, account: str = "") -> Sequence[CarrierCall]:
        calls = await perform(
            self._calls(account).list_async(
                status="completed", start_time_after=since, limit=MOST_LISTED, page_size=MOST_LISTED
            )
        )
        return [CarrierCall(call.status, call.end_time, call.sid) for call in calls]

    async def place_call(self, placement: Placement) -> str:
        detection = {"machine_detection": "DetectMessageEnd", "async_amd": "true"} if placement.amd_url else {}
        if placement.amd_url:
            detection |= {"async_amd_status_callback": placement.amd_url, "async_amd_status_callback_method": "POST"}
        call = await perform(
            self._calls(placement.account).create_async(
                to=placement.to_e164,
                from_=placement.from_e164,
                url=placement.url,
                method="POST",
                status_callback=placement.status_url,
                status_callback_method="POST",
                status_callback_event=list(CALL_EVENTS),
                timeout=placement.ring_seconds,
                time_limit=placement.longest_seconds,
                **detection,
            )
        )
        return str(call.sid)

    async def placed_calls(self, account: str, from_e164: str, to_e164: str, since: datetime) -> Sequence[CarrierCall]:
        calls = await perform(
            self._calls(account).list_async(to=to_e164, from_=from_e164, limit=MOST_CALLS, page_size=MOST_CALLS)
        )
        return [
            CarrierCall(call.status, call.end_time, call.sid)
            for call in calls
            if str(call.direction).startswith("outbound-api") and call.date_created and call.date_created >= since
        ]

    async def send_text(self, text: Text) -> CarrierText:
        return await self._texts.send(text)

    async def sent_texts(self, account: str, from_e164: str, to_e164: str, since: datetime) -> Sequence[CarrierText]:
        return await self._texts.sent(account, from_e164, to_e164, since)

    async def find_text(self, sid: str, account: str = "") -> CarrierText | None:
        return await self._texts.find(sid, account)

    async def fetch_media(self, url: str, account: str, most_bytes: int) -> File:
        return await self._media.fetch(url, account, most_bytes)

    def _calls(self, account: str) -> Any:
        return self._client.api.accounts(account).calls if account else self._client.calls

    async def look_up(self, e164: str) -> Lookup | None:
        try:
            number = await perform(
                self._client.lookups.v2.phone_numbers(e164).fetch_async(fields="caller_name,line_type_intelligence")
            )
        except CarrierError as error:
            if error.metadata.get("carrier_code") == str(NO_SUCH_RESOURCE):
                return None
            raise
        name, line = number.caller_name or {}, number.line_type_intelligence or {}
        return Lookup(name.get("caller_name"), line.get("carrier_name"), line.get("type"))


def _number(number: Any) -> CarrierNumber:
    """Convert the SDK's object to a number of the account."""
    return CarrierNumber(
        number.sid,
        number.phone_number,
        number.friendly_name or "",
        _capabilities(number.capabilities),
        Webhooks(
            _webhook(number.voice_url, number.voice_method, number.voice_application_sid),
            _webhook(number.status_callback, number.status_callback_method),
            _webhook(number.sms_url, number.sms_method, number.sms_application_sid),
            _webhook(number.sms_fallback_url, number.sms_fallback_method, number.sms_application_sid),
        ),
        number.account_sid or None,
    )


def _webhook(url: str | None, method: str | None, application_sid: str | None = None) -> str:
    """Return the URL that the carrier posts to; empty if it uses GET, or an application's URLs take precedence."""
    return url or "" if method != "GET" and not application_sid else ""


def _capabilities(enabled: Any) -> list[str]:
    flags = enabled or {}
    return [name for name in ("voice", "sms", "mms") if flags.get(name) or flags.get(name.upper())]


def _fields(webhooks: Webhooks) -> dict[str, str]:
    return {
        "voice_application_sid": "",
        "voice_url": webhooks.voice_url,
        "voice_method": "POST",
        "status_callback": webhooks.voice_status_url,
        "status_callback_method": "POST",
        "sms_application_sid": "",
        "sms_url": webhooks.sms_url,
        "sms_method": "POST",
        "sms_fallback_url": webhooks.sms_fallback_url,
        "sms_fallback_method": "POST",
    }
