"""Helpers that the REST API's resources share: form fields in, snake_case JSON, pages and dates out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.twilio.errors import ApiError

MAX_PAGE = 1000

Json = dict[str, Any]


def page(request: Request, name: str, items: Sequence[Json]) -> Response:
    """Return one page of a list in the 2010 API's form; `next_page_uri` is relative, null on the last page."""
    query = request.query_params
    size = min(MAX_PAGE, max(1, whole(query.get("PageSize"), 50)))
    page = max(0, whole(query.get("Page"), 0))
    shown = items[page * size : (page + 1) * size]

    def uri(number: int) -> str:
        filters = {key: value for key, value in query.items() if key not in {"Page", "PageSize", "PageToken"}}
        return f"{request.url.path}?{urlencode(filters | {'PageSize': size, 'Page': number})}"

    body = {
        name: list(shown),
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": page * size + max(0, len(shown) - 1),
        "uri": uri(page),
        "first_page_uri": uri(0),
        "previous_page_uri": uri(page - 1) if page else None,
        "next_page_uri": uri(page + 1) if (page + 1) * size < len(items) else None,
    }
    return JSONResponse(body)


def not_found(request: Request) -> ApiError:
    return ApiError(20404, f"The requested resource {request.url.path} was not found")


def snake(form: FormData) -> dict[str, str]:
    pairs: Iterable[tuple[str, Any]] = form.multi_items()
    return {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): str(value) for name, value in pairs}


def text(form: Mapping[str, Any], name: str) -> str:
    return str(form.get(name, ""))


def whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() else default


def rfc2822(moment: datetime | None) -> str | None:
    return format_datetime(moment) if moment else None


def within(moment: datetime | None, bound_text: str, relation: str) -> bool:
    """Return whether a moment is on, before (`<`), or on or after (`>`) a date or moment.  Raises ApiError.

    Dates in RFC 2822 have no fractions of seconds.
    """
    try:
        bound = datetime.fromisoformat(bound_text)
    except ValueError as error:
        raise ApiError(20001, f"Invalid date: {bound_text}") from error
    bound = bound if bound.tzinfo else bound.replace(tzinfo=UTC)
    if moment is None:
        return False
    moment = moment.replace(microsecond=0)
    if relation == "<":
        return moment < bound
    return moment >= bound and (relation == ">" or moment < bound + timedelta(days=1))
