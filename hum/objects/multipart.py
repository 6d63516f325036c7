"""Unfinished multipart uploads, left by a process that was killed: their parts cost money, and no listing of objects
shows them.

The client that stores objects (`bucket.py`) can't list them, so this module sends its own requests, signed by AWS
Signature Version 4.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import aiohttp
from yarl import URL

from hum import answers
from hum.answers import BadAnswer
from hum.clock import now
from hum.objects.bucket import StoreFault
from hum.settings import RecordingSettings
from hum.settings.recordings import BucketName

#: The most uploads that one request lists; there are never many.
MOST = 1000
MAX_ANSWER_BYTES = 4 << 20
#: Tags and attributes of an answer: `MOST` uploads have some twenty each.
MAX_TAGS = 50_000
NO_CONTENT, OK, NOT_FOUND = 204, 200, 404
EMPTY = hashlib.sha256(b"").hexdigest()


class Upload(NamedTuple):
    """An unfinished multipart upload."""

    path: str
    id: str
    began_at: datetime


class Uploads:
    """The unfinished uploads below a prefix of a bucket.

    It needs an access key.  With a machine's role, a lifecycle rule of the bucket must abort them.
    """

    def __init__(self, settings: RecordingSettings, name: BucketName) -> None:
        self._settings, self._name = settings, name
        endpoint = settings.s3_endpoint or f"https://s3.{settings.s3_region}.amazonaws.com"
        self._base = urlsplit(endpoint)

    async def open_ones(self) -> list[Upload]:
        """List the unfinished uploads.  Raises StoreFault."""
        query = {"max-uploads": str(MOST), "prefix": self._name.prefix, "uploads": ""}
        status, body = await self._ask("GET", "", query)
        if status != OK:
            raise StoreFault(f"HTTP {status} when asked for uploads in parts: {body[:200]!r}")
        return [upload._replace(path=upload.path.removeprefix(self._name.prefix)) for upload in _parsed(body)]

    async def abort(self, upload: Upload) -> None:
        """Abort an upload, which deletes its parts; do nothing if it is gone.  Raises StoreFault."""
        status, body = await self._ask("DELETE", self._name.prefix + upload.path, {"uploadId": upload.id})
        if status not in {OK, NO_CONTENT, NOT_FOUND}:
            raise StoreFault(f"HTTP {status} when an upload in parts was given up: {body[:200]!r}")

    async def _ask(self, method: str, key: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        settings, path = self._settings, f"{self._base.path}/{self._name.bucket}" + (f"/{key}" if key else "")
        encoded = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(query.items()))
        url = f"{self._base.scheme}://{self._base.netloc}{quote(path)}?{encoded}"
        headers = sign_request(
            SignableRequest(method, self._base.netloc, quote(path), encoded),
            settings.s3_access_key_id,
            settings.s3_secret_access_key,
            settings.s3_region,
            now(),
        )
        timeout = aiohttp.ClientTimeout(total=settings.s3_request_seconds, connect=settings.s3_connect_seconds)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, requote_redirect_url=False) as http,
                http.request(method, URL(url, encoded=True), headers=headers, allow_redirects=False) as answer,
            ):
                return answer.status, await _read(answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StoreFault(f"no answer when asked for uploads in parts: {error!r}"[:300]) from error


class SignableRequest(NamedTuple):
    """The signed parts of a request without a body; `path` and `query` as they are sent."""

    method: str
    host: str
    path: str
    query: str


def sign_request(request: SignableRequest, key_id: str, secret: str, region: str, at: datetime) -> dict[str, str]:
    """Return the headers of a request, by AWS Signature Version 4."""
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    headers = {"host": request.host, "x-amz-content-sha256": EMPTY, "x-amz-date": stamp}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"{request.method}\n{request.path}\n{request.query}\n{lines}\n{names}\n{EMPTY}"
    to_sign = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    return {**headers, "authorization": credential}


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """Read a response.  Raises StoreFault beyond MAX_ANSWER_BYTES."""
    try:
        return await answers.read(answer.content.iter_any(), MAX_ANSWER_BYTES)
    except BadAnswer as error:
        raise StoreFault(f"{error} when asked for uploads in parts") from None


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _parsed(body: bytes) -> list[Upload]:
    """Parse a listing of uploads.  Raises StoreFault."""
    try:
        if b"<!" in body or body.count(b"<") + body.count(b"=") > MAX_TAGS:
            raise ValueError("it defines entities, or has too many tags and attributes")
        root = ET.fromstring(body)  # noqa: S314 - without entities
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        return [
            Upload(
                element.findtext(f"{space}Key", ""),
                element.findtext(f"{space}UploadId", ""),
                datetime.fromisoformat(element.findtext(f"{space}Initiated", "")),
            )
            for element in root.iter(f"{space}Upload")
        ]
    except (ET.ParseError, ValueError) as error:
        raise StoreFault(f"uploads in parts are listed in a way that can't be read: {error}") from None
