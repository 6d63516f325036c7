"""The carrier's REST API, through Twilio's SDK on one aiohttp session.  Nothing is retried here: calls and texts are
not idempotent at Twilio, and callers retry what is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from twilio.rest import Client

from control.clients.twilio_http import Http, asked, carrier_code, is_refusal, was_not_sent
from control.clients.twilio_media import File, Media, MediaRefused
from control.clients.twilio_texts import CarrierText, Text, Texts
from hum.carrier import OVERRIDES
from hum.errors import CarrierError
from hum.settings import ControlSettings

__all__ = [
    "Carrier",
    "CarrierCall",
    "CarrierNumber",
    "CarrierText",
    "File",
    "Lookup",
    "Lookups",
    "MediaRefused",
    "Offer",
    "Placement",
    "Text",
    "Twilio",
    "Webhooks",
    "Wish",
    "carrier_code",
    "is_refusal",
    "was_not_sent",
]

NO_SUCH_RESOURCE = 20404
NOT_ON_SALE = 21422
MOST_NUMBERS = 10_000
NOT_IN_PROGRESS = 21220
#: A call's events of which we are told.
CALL_EVENTS = ("initiated", "ringing", "answered", "completed")
#: How many of the latest calls between two numbers are looked through.
MOST_CALLS = 50


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
    """How a call stands at the carrier."""

    status: str
    ended_at: datetime | None
    sid: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """A call to place: who calls whom, and where the carrier asks and tells of it."""

    account: str  # that holds the number; empty: ours
    from_e164: str
    to_e164: str
    url: str
    status_url: str
    amd_url: str | None  # None: nobody asks whether a machine answered
    ring_seconds: int
    longest_seconds: int


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

    async def end_call(self, call_sid: str, account: str = "") -> bool:
        """Hang up; False when the call was over already, or the carrier knows no such call."""
        ...

    async def redirect_call(self, call_sid: str, url: str, account: str = "") -> bool:
        """Let a live call leave whatever it is doing, and ask this URL for its next step; False when it was over already, or
        the carrier knows no such call.
        """
        ...

    async def find_call(self, call_sid: str, account: str = "") -> CarrierCall | None:
        """How a call stands; None when the carrier knows no such call."""
        ...

    async def place_call(self, placement: Placement) -> str:
        """Call somebody; return the carrier's id of the call.  Costs money, and is not idempotent."""
        ...

    async def placed_calls(self, account: str, from_e164: str, to_e164: str, since: datetime) -> Sequence[CarrierCall]:
        """The calls between these numbers that the account has placed since then, newest first."""
        ...

    async def send_text(self, text: Text) -> CarrierText:
        """Ask the carrier to send a text.  Costs money, and is not idempotent."""
        ...

    async def sent_texts(self, account: str, from_e164: str, to_e164: str, since: datetime) -> Sequence[CarrierText]:
        """The texts from one number to the other that the carrier was asked for since then, newest first."""
        ...

    async def find_text(self, sid: str, account: str = "") -> CarrierText | None:
        """How a text stands; None when the carrier knows no such text."""
        ...

    async def fetch_media(self, url: str, account: str, most_bytes: int) -> File:
        """A file that came with a text.  Raises MediaRefused for one that will never be had."""
        ...


class Lookups(Protocol):
    """The carrier's directory of numbers."""

    async def look_up(self, e164: str) -> Lookup | None:
        """What the carrier knows about a number, None for an unknown number.  Costs money.  Raises CarrierError."""
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
        self._media = Media(self._http.session, self._client, settings)

    async def close(self) -> None:
        await self._media.close()
        await self._http.close()

    async def find_number(self, e164: str) -> CarrierNumber | None:
        found = await asked(self._client.incoming_phone_numbers.list_async(phone_number=e164, limit=2))
        return next((_number(number) for number in found if number.phone_number == e164), None)

    async def list_numbers(self) -> Sequence[CarrierNumber]:
        found = await asked(self._client.incoming_phone_numbers.list_async(limit=MOST_NUMBERS, page_size=1000))
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
            found = await asked(
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
                await asked(self._client.incoming_phone_numbers.create_async(phone_number=e164, **_pointing(webhooks)))
            )
        except CarrierError as error:
            if error.metadata.get("carrier_code") == str(NOT_ON_SALE):
                return None
            raise

    async def release_number(self, sid: str) -> None:
        try:
            await asked(self._client.incoming_phone_numbers(sid).delete_async())
        except CarrierError as error:
            if error.metadata.get("carrier_code") != str(NO_SUCH_RESOURCE):
                raise

    async def point_number(self, sid: str, webhooks: Webhooks) -> None:
        await asked(self._client.incoming_phone_numbers(sid).update_async(**_pointing(webhooks)))

    async def end_call(self, call_sid: str, account: str = "") -> bool:
        return await self._update(call_sid, account, status="completed")

    async def redirect_call(self, call_sid: str, url: str, account: str = "") -> bool:
        return await self._update(call_sid, account, url=url, method="POST")

    async def _update(self, call_sid: str, account: str, **changes: str) -> bool:
        try:
            await asked(self._calls(account)(call_sid).update_async(**changes))
        except CarrierError as error:
            if error.metadata.get("carrier_code") not in {str(NO_SUCH_RESOURCE), str(NOT_IN_PROGRESS)}:
                raise
            return False
        return True

    async def find_call(self, call_sid: str, account: str = "") -> CarrierCall | None:
        try:
            found = await asked(self._calls(account)(call_sid).fetch_async())
        except CarrierError as error:
            if error.metadata.get("carrier_code") != str(NO_SUCH_RESOURCE):
                raise
            return None
        return CarrierCall(found.status, found.end_time, call_sid)

    async def place_call(self, placement: Placement) -> str:
        detection = {"machine_detection": "DetectMessageEnd", "async_amd": "true"} if placement.amd_url else {}
        if placement.amd_url:
            detection |= {"async_amd_status_callback": placement.amd_url, "async_amd_status_callback_method": "POST"}
        placed = await asked(
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
        return str(placed.sid)

    async def placed_calls(self, account: str, from_e164: str, to_e164: str, since: datetime) -> Sequence[CarrierCall]:
        found = await asked(
            self._calls(account).list_async(to=to_e164, from_=from_e164, limit=MOST_CALLS, page_size=MOST_CALLS)
        )
        return [
            CarrierCall(each.status, each.end_time, each.sid)
            for each in found
            if str(each.direction).startswith("outbound-api") and each.date_created and each.date_created >= since
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
            found = await asked(
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
        Webhooks(
            _asks(number.voice_url, number.voice_method, number.voice_application_sid),
            _asks(number.status_callback, number.status_callback_method),
            _asks(number.sms_url, number.sms_method, number.sms_application_sid),
            _asks(number.sms_fallback_url, number.sms_fallback_method, number.sms_application_sid),
        ),
        number.account_sid or None,
    )


def _asks(url: str | None, method: str | None, application_sid: str | None = None) -> str:
    """The URL that the carrier posts to; empty if it asks otherwise: an application's URLs go before the number's own."""
    return url or "" if method != "GET" and not application_sid else ""


def _able(capabilities: Any) -> list[str]:
    able = capabilities or {}
    return [name for name in ("voice", "sms", "mms") if able.get(name) or able.get(name.upper())]


def _pointing(webhooks: Webhooks) -> dict[str, str]:
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
