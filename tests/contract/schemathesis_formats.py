"""What schemathesis can't know: texts of our own formats."""

import zoneinfo

import schemathesis
from hypothesis import strategies as st

# Of North America, whose plan every number with these digits is possible in.
schemathesis.openapi.format("e164", st.from_regex(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}", fullmatch=True))
schemathesis.openapi.format("time-zone", st.sampled_from(sorted(zoneinfo.available_timezones())))
