"""The web console: files that `make` builds from `console/` into `gateway/static`, and the page in which they run.

Every path without a route of its own gets the one page; its script shows what the path names.  A checkout where the
console was not built has no files, and `gateway/landing.py` answers `/` instead.
"""

import gzip
import mimetypes
import secrets
from functools import cached_property
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from gateway import pages

STATIC: Final = Path(__file__).parent / "static"
#: The build's placeholder for the nonce of each answer.
NONCE_HOLE: Final = b"__CSP_NONCE__"
#: First segments of paths for programs: an unknown path below them stays a JSON 404.
RESERVED: Final = frozenset({"api", "auth", "docs", "hooks", "mcp", "stripe", "twilio"})
#: Names that contain a hash of their content: they never change.
HASHED: Final = "assets/"
FOR_EVER: Final = "public, max-age=31536000, immutable"
GZIP_LEVEL: Final = 9
#: Files below this size are not worth packing.
MIN_PACKED_BYTES: Final = 1024
#: Media types that are compressed already.
PACKED_TYPES: Final = ("font/", "image/png")

PAGE_HEADERS: Final = {
    "Cache-Control": "no-store",
    # The page's requests must carry its `Origin`, which `SameOrigin` checks; `no-referrer` would make it null.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), display-capture=()",
}


#: A web worker obeys the policy of its own file, not the page's, and the one that follows the stream must connect.
ASSET_POLICY: Final = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"


def policy(nonce: str) -> str:
    """Return the page's content security policy."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; connect-src 'self'; img-src 'self' data:; "
        "media-src 'self' blob:; font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


class Asset:
    """A built file as it is sent: plain, or packed by brotli (at the build) or by gzip (when first requested)."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self.media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self._cache_control = FOR_EVER if name.startswith(HASHED) else "no-cache"

    @cached_property
    def plain(self) -> bytes:
        """Its content."""
        return self._path.read_bytes()

    @cached_property
    def as_brotli(self) -> bytes | None:
        """Its content packed by brotli; None if the build did not."""
        packed = self._path.with_name(f"{self._path.name}.br")
        return packed.read_bytes() if packed.exists() else None

    @cached_property
    def as_gzip(self) -> bytes | None:
        """Its content packed by gzip; None if that makes it no smaller."""
        if len(self.plain) < MIN_PACKED_BYTES or self.media_type.startswith(PACKED_TYPES):
            return None
        return gzip.compress(self.plain, GZIP_LEVEL, mtime=0)

    def send(self, request: Request) -> Response:
        """Return the file, packed as the client accepts it."""
        accepted = {
            coding.partition(";")[0].strip() for coding in request.headers.get("accept-encoding", "").split(",")
        }
        headers = {
            "Cache-Control": self._cache_control,
            "Content-Security-Policy": ASSET_POLICY,
            "Vary": "Accept-Encoding",
        }
        body = self.plain
        for encoding, packed in (("br", "as_brotli"), ("gzip", "as_gzip")):
            if encoding in accepted and (packed_body := getattr(self, packed)) is not None:
                body, headers["Content-Encoding"] = packed_body, encoding
                break
        return Response(body, 200, headers, self.media_type)


class Console:
    """The routes of the built console."""

    def __init__(self, root: Path) -> None:
        self._page = (root / "index.html").read_bytes()
        names = (path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file())
        served = (
            name for name in names if not name.endswith((".br", ".map")) and name not in {"index.html", "manifest.json"}
        )
        self._assets = {name: Asset(root / name, name) for name in served}

    @classmethod
    def load(cls, root: Path) -> "Console | None":
        """Return the console, or None if it was not built here."""
        return cls(root) if (root / "index.html").exists() else None

    def routes(self) -> list[Route]:
        """Return routes for the end of the table: the last matches every path that no other route does."""
        return [
            *(Route(f"/{name}", self._send_asset) for name in self._assets),
            _Pages("/{page:path}", self._send_page),
        ]

    async def _send_asset(self, request: Request) -> Response:
        return self._assets[request.url.path[1:]].send(request)

    async def _send_page(self, request: Request) -> Response:  # noqa: ARG002 - the page is the same for every path
        nonce = secrets.token_urlsafe(16)
        headers = PAGE_HEADERS | {"Content-Security-Policy": policy(nonce)}
        return Response(self._page.replace(NONCE_HOLE, nonce.encode()), 200, headers, pages.HTML)


class _Pages(Route):
    """A route that matches only paths of pages; any other request is answered as if this route didn't exist."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        first, _, _ = scope["path"][1:].partition("/")
        is_file = "." in scope["path"].rpartition("/")[2]
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or first in RESERVED or is_file:
            return Match.NONE, {}
        return super().matches(scope)
