"""The carrier's REST API, through Twilio's SDK on one aiohttp session.  Nothing is retried blindly: calls and texts are
not idempotent at Twilio, and what is, is asked again by whoever wants it.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import aiohttp
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from hum.errors import CarrierError
from hum.settings import Carrier as CarrierSettings

T = TypeVar("T")

#: Connection overrides (Twilio "Webhooks connection overrides"): five tries, on every kind of failure.
OVERRIDES = "#rc=5&rp=all&ct=2000&rt=5000"
NO_SUCH_RESOURCE = 20404
NOT_IN_PROGRESS = 21220


@dataclass(frozen=True, slots=True)
class CarrierNumber:
    """A number that the account holds."""

    sid: str
    friendly_name: str
    capabilities: Sequence[str]


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Where the carrier shall ask."""

    voice_url: str
    voice_status_url: str

    @classmethod
    def at(cls, public_url: str) -> "Webhooks":
        return cls(f"{public_url}/twilio/voice{OVERRIDES}", f"{public_url}/twilio/voice/status{OVERRIDES}")


class Carrier(Protocol):
    """What control asks of the carrier.  Every method raises CarrierError."""

    async def find_number(self, e164: str) -> CarrierNumber | None:
        """The account's own number, or None."""
        ...

    async def point_number(self, sid: str, webhooks: Webhooks) -> None:
        """Let the carrier ask us about this number."""
        ...

    async def end_call(self, call_sid: str) -> None:
        """Hang up.  A call that is over stays over."""
        ...


class _Http(AsyncTwilioHttpClient):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's client with a deadline on every request, and without its log of them."""

    def __init__(self, seconds: float) -> None:
        super().__init__(pool_connections=False)
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds), trust_env=False)
        self._seconds = aiohttp.ClientTimeout(total=seconds)

    async def request(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["timeout"] = self._seconds
        return await super().request(*args, **kwargs)

    def log_request(self, kwargs: Any) -> None:
        """Requests hold phone numbers."""

    def log_response(self, status_code: int, response: Any) -> None:
        """So do responses."""


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

    async def close(self) -> None:
        await self._http.close()

    async def find_number(self, e164: str) -> CarrierNumber | None:
        found = await _asked(self._client.incoming_phone_numbers.list_async(phone_number=e164, limit=2))
        for number in found:
            if number.phone_number == e164:
                able = number.capabilities or {}
                names = [name for name in ("voice", "sms", "mms") if able.get(name) or able.get(name.upper())]
                return CarrierNumber(number.sid, number.friendly_name or "", names)
        return None

    async def point_number(self, sid: str, webhooks: Webhooks) -> None:
        await _asked(
            self._client.incoming_phone_numbers(sid).update_async(
                voice_url=webhooks.voice_url,
                voice_method="POST",
                status_callback=webhooks.voice_status_url,
                status_callback_method="POST",
            )
        )

    async def end_call(self, call_sid: str) -> None:
        try:
            await _asked(self._client.calls(call_sid).update_async(status="completed"))
        except CarrierError as error:
            if error.metadata.get("carrier_code") not in {str(NO_SUCH_RESOURCE), str(NOT_IN_PROGRESS)}:
                raise


async def _asked(request: Awaitable[T]) -> T:
    try:
        return await request
    except TwilioRestException as error:
        raise CarrierError(f"the carrier refused: {error.msg}", carrier_code=str(error.code)) from error
    except (TwilioException, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise CarrierError(f"the carrier did not answer: {type(error).__name__}") from error
