"""The transport of Twilio's REST API, and the outcomes of its requests.  Nothing is retried: calls and texts are not
idempotent at Twilio.  Callers retry the requests that are.

A request has one of four outcomes: done; refused for good (`is_refusal`); certainly without effect, but possible to
retry (`was_not_sent`); else unknown.
"""

import json
import logging
from collections.abc import Awaitable
from typing import TypeVar

import aiohttp
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response

from hum import answers
from hum.contract.errors import CarrierBusy, CarrierError

T = TypeVar("T")

TOO_MANY_REQUESTS = 429
UNAUTHORIZED = "401"
#: The carrier is overloaded: it has not accepted the call or text, and accepts none at the moment.
TOO_BUSY = frozenset({"20429", "22005", "14107", "63018"})
#: The number's queue at the carrier is full, with hours of texts: further ones stay in ours.
QUEUE_FULL = "21611"
MOST_MESSAGE_CHARS = 300
#: The longest `Retry-After` that we respect, and the back-offs if the carrier sends none.
MAX_RETRY_AFTER_SECONDS, RETRY_AFTER_SECONDS, QUEUE_FULL_SECONDS = 300.0, 1.0, 60.0


class Http(AsyncHttpClient):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's transport: one session, timeouts, no redirects, and no logging, since requests hold numbers."""

    def __init__(self, seconds: float, connect_seconds: float) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True, timeout=seconds)
        # A separate limit for connecting: a request that times out there was certainly not sent.
        self.session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=seconds, connect=min(connect_seconds, seconds / 2)), trust_env=False
        )

    async def request(
        self,
        method: str,
        url: str,
        params: dict[str, str] | None = None,
        data: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - set on the session
        allow_redirects: bool = False,
    ) -> Response:
        all_headers = dict(headers or {}) | ({"Authorization": aiohttp.encode_basic_auth(*auth)} if auth else {})
        async with self.session.request(
            method, url, params=params, data=data, headers=all_headers, allow_redirects=allow_redirects
        ) as answer:
            body = await answers.read(answer.content.iter_any())
            answers.require_few(body)
            text = body.decode(errors="replace")
            if answer.status == TOO_MANY_REQUESTS:
                raise _busy(answer.headers.get("Retry-After", ""), text)
            return Response(answer.status, text, answer.headers)

    async def close(self) -> None:
        await self.session.close()


def is_refusal(error: CarrierError) -> bool:
    """Return whether the carrier refused the request for good."""
    return error.metadata.get("carrier_status", "").startswith("4")


def was_not_sent(error: CarrierError) -> bool:
    """Return whether the request certainly had no effect, so that it may be retried."""
    if isinstance(error, CarrierBusy) or error.metadata.get("not_sent"):
        return True
    # Wrong credentials are the operator's error: the same request succeeds once they are corrected.
    return error.metadata.get("carrier_status") == UNAUTHORIZED


def carrier_code(error: CarrierError) -> str:
    """Return the carrier's own error code; empty if it sent none."""
    return error.metadata.get("carrier_code", "")


async def perform(request: Awaitable[T]) -> T:
    """Await a request of the SDK and convert its errors.  Raises CarrierError."""
    try:
        return await request
    except TwilioRestException as error:
        raise _refused(error.msg, error.code, error.status) from None
    except TwilioServiceException as error:
        raise _refused(error.detail or error.title, error.code, error.status) from None
    except TwilioException as error:
        raise _refused_page(error) from None
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise CarrierError(f"The carrier can't be reached: {type(error).__name__}.", not_sent="true") from error
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise CarrierError(f"The carrier did not respond: {type(error).__name__}.") from error
    except (AttributeError, KeyError, TypeError) as error:  # the SDK reads missing fields
        raise CarrierError(f"The carrier's answer is malformed: {type(error).__name__}.") from error


def _refused(message: str, code: int | None, status: int) -> CarrierError:
    if str(code) in TOO_BUSY or str(code) == QUEUE_FULL:
        return CarrierBusy(QUEUE_FULL_SECONDS if str(code) == QUEUE_FULL else RETRY_AFTER_SECONDS, str(code))
    # Without a code of its own (the SDK repeats the status), the answer came from a proxy on the way, not the carrier.
    if code is None or code == status:
        return CarrierError(
            f"The carrier's API returned an unexpected error: {str(message)[:MOST_MESSAGE_CHARS]}",
            http_status=str(status),
        )
    return CarrierError(
        f"The carrier refused: {str(message)[:MOST_MESSAGE_CHARS]}", carrier_code=str(code), carrier_status=str(status)
    )


def _busy(retry_after: str, body: str) -> CarrierBusy:
    """Build the error of a busy carrier from `Retry-After` in seconds (RFC 9110, 10.2.3); Twilio sends no dates."""
    try:
        code = str(json.loads(body)["code"])
    except (ValueError, KeyError, TypeError):
        code = "20429"
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return CarrierBusy(min(float(text), MAX_RETRY_AFTER_SECONDS), code)
    return CarrierBusy(QUEUE_FULL_SECONDS if code == QUEUE_FULL else RETRY_AFTER_SECONDS, code)


def _refused_page(error: Exception) -> CarrierError:
    """Build the error of a refused list: the SDK passes the raw response as the exception's second argument."""
    answer = error.args[1] if len(error.args) > 1 else None
    try:
        body = json.loads(answer.text) if isinstance(answer, Response) else {}
    except ValueError:
        body = {}
    if "code" not in body:
        return CarrierError(
            f"The carrier refused: {error.args[0] if error.args else type(error).__name__}"[:MOST_MESSAGE_CHARS]
        )
    return CarrierError(
        f"The carrier refused: {str(body.get('message', ''))[:MOST_MESSAGE_CHARS]}", carrier_code=str(body["code"])
    )
