"""The client of inbound texts' files, at the carrier's API and the servers to which it redirects.

The URL comes from a webhook and is not trusted: our credentials go only to the API, and there only to a file of the
text's account; each redirect must lead to one of the carrier's hosts, over the guarded client; bytes and seconds are
bounded.
"""

import asyncio
import re
from typing import NamedTuple
from urllib.parse import urljoin

import aiohttp
from twilio.rest import Client
from yarl import URL

from control.base import egress
from control.base.egress import EgressError, Policy, Reason
from control.clients.http import GuardedClient, HttpLimits
from control.clients.twilio_http import perform
from hum.contract.errors import CarrierError
from hum.settings import ControlSettings

#: The API's hosts with their regions, and a file's path there.
API_HOST = re.compile(r"api(\.[a-z0-9-]+){0,2}\.twilio\.com")
FILE_PATH = re.compile(
    r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})/Messages/[A-Z]{2}[0-9a-fA-F]{32}/Media/ME[0-9a-fA-F]{32}"
)
#: The hosts to which the API redirects: its content servers, and the bucket behind them.
CONTENT_HOST = re.compile(r"([a-z0-9-]+\.)*(twiliocdn|twilio)\.com")
BUCKET_HOST, BUCKET_PATH = re.compile(r"s3[a-z0-9.-]*\.amazonaws\.com"), "/media.twiliocdn.com/"
MOST_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: The carrier accepts no larger file (Twilio "Accepted content types for media").
MOST_BYTES = 16 << 20
READ_BYTES = 64 << 10
#: Temporary refusals: wrong credentials, a timeout, too many requests, or a file that is not available yet.
TEMPORARY = frozenset({401, 403, 404, 408, 425, 429})


class File(NamedTuple):
    """A fetched file, with the server's content type."""

    content_type: str
    content: bytes


class MediaRefused(CarrierError):  # noqa: N818 - named for the event, like the others
    """The file can never be fetched: it is not the carrier's, it is gone, or it is too large."""


class _Page(NamedTuple):
    """An answer: a file, or the location of a redirect."""

    file: File
    location: str | None


class MessageMediaClient:
    """The client of files.  `session`: the API's."""

    def __init__(self, session: aiohttp.ClientSession, client: Client, settings: ControlSettings) -> None:
        self._session, self._client = session, client
        self._seconds = settings.media_seconds
        self._api = URL(settings.twilio_api_base_url.rstrip("/"))
        limits = HttpLimits(total_seconds=settings.media_seconds, response_bytes=MOST_BYTES)
        self._guarded = GuardedClient(Policy(settings.egress_networks), limits)

    async def close(self) -> None:
        await self._guarded.close()

    async def fetch(self, url: str, account: str, most_bytes: int) -> File:
        """Fetch a file, following redirects.  Raises MediaRefused, CarrierError."""
        return await perform(self._fetch(url, account or str(self._client.account_sid), min(most_bytes, MOST_BYTES)))

    async def _fetch(self, url: str, account: str, most_bytes: int) -> File:
        file = _parsed(url)
        path = FILE_PATH.fullmatch(file.raw_path)
        if path is None or path[1] != account or not (self._is_ours(file) or _is_api(file)):
            raise MediaRefused("The file's URL is not one of the carrier's.")
        async with asyncio.timeout(self._seconds):
            page = await self._get(file, most_bytes, with_credentials=True)
            for _ in range(MOST_REDIRECTS):
                if page.location is None:
                    return page.file
                file = _parsed(urljoin(str(file), page.location))
                if not (self._is_ours(file) or _is_content(file)):
                    raise MediaRefused("The carrier redirects to a host that is not its own.")
                page = await self._get(file, most_bytes, with_credentials=False)
        if page.location is None:
            return page.file
        raise MediaRefused("The carrier redirects too many times.")

    def _is_ours(self, url: URL) -> bool:
        """Return whether the URL is at the configured API."""
        return url.origin() == self._api.origin()

    async def _get(self, url: URL, most_bytes: int, *, with_credentials: bool) -> _Page:
        headers = {"Accept": "*/*"}
        if with_credentials:
            headers["Authorization"] = aiohttp.encode_basic_auth(self._client.username, self._client.password)
        if self._is_ours(url):
            return await self._get_api(url, most_bytes, headers)
        try:
            answer = await self._guarded.request(
                "GET", str(url), org=None, headers=headers, total_seconds=self._seconds, response_bytes=most_bytes
            )
        except EgressError as error:
            raise _refused(error) from error
        return _page(answer.status, answer.headers.get("location"), answer.headers.get("content-type", ""), answer.body)

    async def _get_api(self, url: URL, most_bytes: int, headers: dict[str, str]) -> _Page:
        async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
            content = bytearray()
            async for part in answer.content.iter_chunked(READ_BYTES):
                content += part
                if len(content) > most_bytes:
                    answer.close()
                    raise MediaRefused(f"The file is larger than {most_bytes} bytes.")
            return _page(
                answer.status, answer.headers.get("Location"), answer.headers.get("Content-Type", ""), bytes(content)
            )


def _parsed(url: str) -> URL:
    try:
        return egress.parse_url(url).url
    except EgressError as error:
        raise MediaRefused(error.message) from error


def _is_api(url: URL) -> bool:
    return url.scheme == "https" and url.port == 443 and API_HOST.fullmatch(url.host or "") is not None


def _is_content(url: URL) -> bool:
    """Return whether the URL is at one of the carrier's content servers."""
    host = url.host or ""
    in_bucket = BUCKET_HOST.fullmatch(host) is not None and url.raw_path.startswith(BUCKET_PATH)
    return url.scheme == "https" and url.port == 443 and (CONTENT_HOST.fullmatch(host) is not None or in_bucket)


def _page(status: int, location: str | None, content_type: str, content: bytes) -> _Page:
    if status in REDIRECTS and location:
        return _Page(File("", b""), location)
    if status == 200:
        return _Page(File(content_type.partition(";")[0].strip().lower(), content), None)
    if 400 <= status < 500 and status not in TEMPORARY:
        raise MediaRefused(f"The carrier has no such file (HTTP {status}).", carrier_status=str(status))
    raise CarrierError(f"The carrier did not return the file (HTTP {status}).")


def _refused(error: EgressError) -> CarrierError:
    if error.reason in {Reason.TOO_LARGE, Reason.BLOCKED, Reason.INVALID}:
        return MediaRefused(error.message)
    return CarrierError(f"The carrier did not return the file: {error.message}")
