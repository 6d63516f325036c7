"""HTML for people: templates that escape whatever they are filled with, and the headers of pages without scripts."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

#: No script, and nothing but our own stylesheet and typeface.
POLICY_BUT_FORMS: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src 'self'; font-src 'self'"
)
#: Nor forms to elsewhere.
POLICY: Final = f"{POLICY_BUT_FORMS}; form-action 'self'"
HTML: Final = "text/html"


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is sent, again and again."""

    body: bytes
    packed: bytes
    etag: str
    media_type: str
    status: int = 200


@cache
def templates() -> Environment:
    """The templates in `gateway/templates`."""
    return Environment(
        loader=PackageLoader("gateway"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(name: str, **values: Any) -> str:
    """A template filled with values."""
    return templates().get_template(name).render(**values)


def page(text: str, media_type: str = HTML, status: int = 200) -> Page:
    """A page that is kept."""
    body = text.encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Page(body, gzip.compress(body, mtime=0), etag, media_type, status)


def send(request: Request, kept: Page) -> Response:
    """A kept page; 304 if the client has it already."""
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-cache",
        "ETag": kept.etag,
        "Vary": "Accept-Encoding",
    }
    if kept.status == 200 and kept.etag in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    body = kept.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = kept.packed, "gzip"
    return Response(body, kept.status, headers, kept.media_type)
