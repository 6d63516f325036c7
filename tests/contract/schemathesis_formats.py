"""What schemathesis can't know: strings in our own formats, and what is accepted beyond the document."""

import zoneinfo

import schemathesis
from hypothesis import strategies as st

# North American numbers: every number with these digits is possible in that numbering plan.
schemathesis.openapi.format("e164", st.from_regex(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}", fullmatch=True))
schemathesis.openapi.format("time-zone", st.sampled_from(sorted(zoneinfo.available_timezones())))

FLAG_SUFFIX = "_enabled"
ALSO_FLAGS = ("0", "1", "true", "false")


@schemathesis.hook
def filter_case(_: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leave out flags as numbers or words: the document says boolean, and these are taken too (docs/contract.md)."""
    body = case.body if isinstance(case.body, dict) else {}
    flags = [value for name, value in body.items() if name.endswith(FLAG_SUFFIX) or name == "announce_recording"]
    return not any(str(each) in ALSO_FLAGS and not isinstance(each, bool) for each in flags)
