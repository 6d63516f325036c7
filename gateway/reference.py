"""`/docs`: the page in which Redoc shows the OpenAPI document.

`make` builds its script with the console (`console/src/reference.ts`).  Where that was not done, a plain page says so.
"""

import json
import secrets
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import pages

#: The script's name in the manifest of the build.
ENTRY: Final = "src/reference.ts"


def policy(nonce: str) -> str:
    """Return the page's content security policy.

    Redoc needs no more than: its script, the style elements that it inserts (by nonce: style attributes from text stay
    forbidden), the document, and images and a font that its styles hold as `data:`.  What it would fetch from its
    maker's hosts (telemetry, a logo) is forbidden, whatever its options are.  No form, no worker, no frame.
    """
    return (
        f"default-src 'none'; script-src 'self'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src 'self' data:; "
        "font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class Reference:
    """The page of the API reference; the script in it reads `/openapi.json`."""

    def __init__(self, console_dir: Path) -> None:
        """Find the script among the built files of the console."""
        manifest = console_dir / "manifest.json"
        entries = json.loads(manifest.read_bytes()) if manifest.exists() else {}
        self._script = f"/{entries[ENTRY]['file']}" if ENTRY in entries else ""

    def routes(self) -> list[Route]:
        return [Route("/docs", self._page)]

    async def _page(self, request: Request) -> Response:  # noqa: ARG002 - the page is the same for everyone
        if not self._script:
            headers = {"Content-Security-Policy": pages.POLICY, "Cache-Control": "no-store"}
            return Response(pages.render("reference_not_built.html"), 200, headers, pages.HTML)
        nonce = secrets.token_urlsafe(16)
        headers = {"Content-Security-Policy": policy(nonce), "Cache-Control": "no-store"}
        return Response(pages.render("reference.html", script=self._script, nonce=nonce), 200, headers, pages.HTML)
