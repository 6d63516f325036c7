"""What schemathesis can't know: strings in our own formats."""

import zoneinfo

import schemathesis
from hypothesis import strategies as st

# North American numbers: every number with these digits is possible in that numbering plan.
schemathesis.openapi.format("e164", st.from_regex(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}", fullmatch=True))
schemathesis.openapi.format("time-zone", st.sampled_from(sorted(zoneinfo.available_timezones())))
