"""HTML for people: templates that escape all values, their stylesheet, and the policy of pages without scripts."""

from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

#: Forbids scripts, and everything but our own stylesheet.
POLICY_BUT_FORMS: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src 'self'"
#: Also forbids forms to other hosts.
POLICY: Final = f"{POLICY_BUT_FORMS}; form-action 'self'"
HTML: Final = "text/html"


@cache
def _templates() -> Environment:
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
    return _templates().get_template(name).render(**values)


def routes() -> list[Route]:
    """Return the route of the stylesheet that all templates share."""
    return [Route("/style.css", _style)]


async def _style(request: Request) -> Response:  # noqa: ARG001 - it is the same for everyone
    return Response(render("style.css"), 200, {"Cache-Control": "no-cache"}, "text/css")
