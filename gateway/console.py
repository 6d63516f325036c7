"""The web console: files that `make` builds from `console/` into `gateway/static`, and the page in which they run.

Every path that is nobody else's answers the one page; its script shows what the path names.  A checkout where the
console was not built has no files, and `gateway/landing.py` answers `/` instead.
"""

import gzip
import mimetypes
import re
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
#: Where the build left a place for the nonce of each answer.
NONCE_HOLE: Final = b"__CSP_NONCE__"
#: First parts of paths that are the API's, the carrier's and other programs': an unknown one stays a JSON 404.
OTHERS: Final = frozenset({"api", "auth", "docs", "hooks", "mcp", "stripe", "twilio"})
#: Names that contain a hash of their content: they never change.
HASHED: Final = "assets/"
#: As its package names the file, with the build's hash.
LATIN: Final = re.compile(r"assets/inter-latin-wght-normal-[\w-]+\.woff2")
FOR_EVER: Final = "public, max-age=31536000, immutable"
GZIP_LEVEL: Final = 9
#: Below this an answer isn't worth packing.
SMALL_BYTES: Final = 1024
#: What is packed already.
PACKED_TYPES: Final = ("font/", "image/png")

PAGE_HEADERS: Final = {
    "Cache-Control": "no-store",
    # The page's requests must carry its `Origin`, which `SameOrigin` asks for; `no-referrer` would make it null.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), display-capture=()",
}


#: A worker is bound by the policy of its own file, not by the page's: the one that follows the stream must be able to connect.
ASSET_POLICY: Final = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"


def policy(nonce: str) -> str:
    """The page's content security policy.  Forms may lead elsewhere: that to `/auth/link` ends at the issuer."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; connect-src 'self'; img-src 'self' data:; "
        "media-src 'self' blob:; font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


class Asset:
    """A built file, as it is sent: plain, and packed by brotli (at the build) or gzip (when first wanted)."""

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
        if len(self.plain) < SMALL_BYTES or self.media_type.startswith(PACKED_TYPES):
            return None
        return gzip.compress(self.plain, GZIP_LEVEL, mtime=0)

    def send(self, request: Request) -> Response:
        """The file, packed as the client can unpack it."""
        accepted = {each.partition(";")[0].strip() for each in request.headers.get("accept-encoding", "").split(",")}
        headers = {
            "Cache-Control": self._cache_control,
            "Content-Security-Policy": ASSET_POLICY,
            "Vary": "Accept-Encoding",
        }
        body = self.plain
        for encoding, packed in (("br", "as_brotli"), ("gzip", "as_gzip")):
            if encoding in accepted and (found := getattr(self, packed)) is not None:
                body, headers["Content-Encoding"] = found, encoding
                break
        return Response(body, 200, headers, self.media_type)


class Console:
    """Serves the built console."""

    def __init__(self, root: Path) -> None:
        self._page = (root / "index.html").read_bytes()
        names = (path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file())
        shown = (
            name for name in names if not name.endswith((".br", ".map")) and name not in {"index.html", "manifest.json"}
        )
        self._assets = {name: Asset(root / name, name) for name in shown}

    @classmethod
    def built(cls, root: Path) -> "Console | None":
        """The console, if it was built here."""
        return cls(root) if (root / "index.html").exists() else None

    @property
    def font(self) -> str:
        """The path of its typeface for Latin letters, which the reference has too."""
        return next((f"/{name}" for name in sorted(self._assets) if LATIN.fullmatch(name)), "")

    def routes(self) -> list[Route]:
        """For the end of the table: they take what no other route does."""
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
    """Matches paths that can be pages; any other request is answered as if this route didn't exist."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        first, _, _ = scope["path"][1:].partition("/")
        is_file = "." in scope["path"].rpartition("/")[2]
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or first in OTHERS or is_file:
            return Match.NONE, {}
        return super().matches(scope)
