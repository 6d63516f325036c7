"""Flows as they are stored, for whoever answers a call with one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from control.base import hours
from hum import jsonschemas
from hum.telemetry import log
from hum.v1 import flows_pb2

LOG = log(__name__)
SCHEMAS = jsonschemas.of_fields(flows_pb2.Flow.DESCRIPTOR)


def usable(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A flow's definition without what breaks its schema: an earlier release stored it, and a call does without it."""
    bad = {name for name in SCHEMAS if name in definition and not is_usable(name, definition[name])}
    return {name: value for name, value in definition.items() if name not in bad}


def is_usable(field: str, text: str) -> bool:
    """Tell whether free-form JSON of a flow, or of its organization, is what its schema says; what is not, is logged."""
    problems = jsonschemas.problems(SCHEMAS[field], text)
    if problems:
        LOG.warning("a stored value is not used: it breaks its schema", field=field, problem=str(problems[0])[:300])
    return not problems


def is_open(business_hours_json: str | None, time_zone: str, at: datetime) -> bool:
    """Whether it is open by hours as they are stored; without any that are usable it always is."""
    if not business_hours_json or not is_usable("business_hours_json", business_hours_json):
        return True
    return hours.is_open(hours.parse(business_hours_json, time_zone), at)
