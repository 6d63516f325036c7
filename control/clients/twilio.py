"""The carrier's REST API, through Twilio's SDK on one aiohttp session.  Nothing is retried blindly: calls and texts are
not idempotent at Twilio, and what is, is asked again by whoever wants it.
"""

import json
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import aiohttp
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
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


class _Http(AsyncHttpClient):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's transport: one session, a deadline on every request, no redirects, and no log: requests hold numbers."""

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
    except TwilioException as error:
        raise _refused_page(error) from error
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise CarrierError(f"the carrier did not answer: {type(error).__name__}") from error


def _refused_page(error: Exception) -> CarrierError:
    """A list that the carrier refused: the SDK hands over its bare answer as the exception's second argument."""
    answer = error.args[1] if len(error.args) > 1 else None
    try:
        told = json.loads(answer.text) if isinstance(answer, Response) else {}
    except ValueError:
        told = {}
    if "code" not in told:
        return CarrierError(f"the carrier refused: {error.args[0] if error.args else type(error).__name__}")
    return CarrierError(f"the carrier refused: {told.get('message', '')}", carrier_code=str(told["code"]))
