"""Flows as they are stored, for whoever answers a call with one."""

from collections.abc import Mapping
from typing import Any

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
