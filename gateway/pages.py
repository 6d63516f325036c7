"""HTML for people: templates that escape all values, and the headers of pages without scripts."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

#: Forbids scripts, and everything but our own stylesheet and typeface.
POLICY_BUT_FORMS: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src 'self'; font-src 'self'"
)
#: Also forbids forms to other hosts.
POLICY: Final = f"{POLICY_BUT_FORMS}; form-action 'self'"
HTML: Final = "text/html"


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is rendered once and sent many times."""

    body: bytes
    packed: bytes
    etag: str
    media_type: str
    status: int = 200


@cache
def templates() -> Environment:
    """Return the templates in `gateway/templates`."""
    return Environment(
        loader=PackageLoader("gateway"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(name: str, **values: Any) -> str:
    """Render a template with these values."""
    return templates().get_template(name).render(**values)


def page(text: str, media_type: str = HTML, status: int = 200) -> Page:
    """Return a page with its packed body and its ETag."""
    body = text.encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Page(body, gzip.compress(body, mtime=0), etag, media_type, status)


def send(request: Request, page: Page) -> Response:
    """Answer with a page, or with 304 if the client has it already."""
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-cache",
        "ETag": page.etag,
        "Vary": "Accept-Encoding",
    }
    if page.status == 200 and page.etag in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    body = page.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = page.packed, "gzip"
    return Response(body, page.status, headers, page.media_type)
