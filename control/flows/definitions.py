"""Stored flows, checked against the current schemas before a call or a text uses them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from control.base import hours
from control.base.businessprofile import BusinessProfile
from hum.json import schemas as jsonschemas
from hum.observe.logs import log
from hum.v1 import flows_pb2

LOG = log(__name__)
SCHEMAS = jsonschemas.of_fields(flows_pb2.Flow.DESCRIPTOR)


def usable(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a flow's definition without the fields that violate their schema: an earlier release stored them."""
    bad = {name for name in SCHEMAS if name in definition and not is_usable(name, definition[name])}
    return {name: value for name, value in definition.items() if name not in bad}


def is_usable(field: str, text: str) -> bool:
    """Return whether free-form JSON of a flow or an organization conforms to its schema; log it if it does not."""
    problems = jsonschemas.problems(SCHEMAS[field], text)
    if problems:
        LOG.warning("ignored a stored value that violates its schema", field=field, problem=str(problems[0])[:300])
    return not problems


def usable_hours(business_hours_json: str | None) -> str | None:
    """Return stored business hours; None without usable ones."""
    if not business_hours_json or not is_usable("business_hours_json", business_hours_json):
        return None
    return business_hours_json


def profile(name: str, time_zone: str, business_hours_json: str | None, identity_json: str | None) -> BusinessProfile:
    """Return an organization's profile, without hours that violate their schema."""
    return BusinessProfile(name, time_zone, usable_hours(business_hours_json), identity_json)


def is_open(business_hours_json: str | None, time_zone: str, at: datetime) -> bool:
    """Return whether the stored business hours are open; without usable hours, always True."""
    stored = usable_hours(business_hours_json)
    return stored is None or hours.is_open(hours.parse(stored, time_zone), at)
