"""What schemathesis can't know: strings in our own formats, and what is accepted beyond the document."""

import importlib
import pkgutil
from typing import Any

import schemathesis
from hypothesis import strategies as st

from hum import v1
from hum.json.schemas import time_zones

# North American numbers: every number with these digits is possible in that numbering plan.
schemathesis.openapi.format("e164", st.from_regex(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}", fullmatch=True))
schemathesis.openapi.format("time-zone", st.sampled_from(sorted(time_zones())))

#: Of every message, at any depth.
FLAGS = frozenset(
    field.name
    for module in pkgutil.iter_modules(v1.__path__, f"{v1.__name__}.")
    if module.name.endswith("_pb2")
    for message in importlib.import_module(module.name).DESCRIPTOR.message_types_by_name.values()
    for each in (message, *message.nested_types)
    for field in each.fields
    if field.type == field.TYPE_BOOL
)
ALSO_FLAGS = ("0", "1", "true", "false")


@schemathesis.hook
def filter_case(_: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Leave out flags as numbers or words: the document says boolean, and these are taken too (docs/contract.md).  And a format
    that null is meant to break: null has none, and is taken where the document says so.
    """
    body = case.body if isinstance(case.body, dict) else {}
    if "email" in body and body["email"] is None:
        return False
    flags = [value for name, value in body.items() if name in FLAGS]
    return not any(str(each) in ALSO_FLAGS and not isinstance(each, bool) for each in flags)
