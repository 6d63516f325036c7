"""Limits of a call, and what they leave.  Pure."""

import math
from collections.abc import Sequence

#: How many tool runs a call may have, and how many failures of one tool: the model may correct itself once.
MAX_TOOL_RUNS, MAX_TOOL_FAILURES = 200, 2
#: How many keypad entries are stored of a call, and how many keys of each.
MAX_KEYPAD_ENTRIES, MAX_KEYS = 500, 64
#: How many refused onsets are stored of a call, as many as a media process reports of a stream
#: (`media/core/refusedonsets.py`).
MAX_REFUSED_ONSETS = 50
KEYS = frozenset("0123456789*#ABCD")
#: How often a call may be handed to another flow's agent, so that agents can't hand it back and forth for ever.
MAX_FLOW_SWITCHES = 5


def keys(pressed: str) -> str:
    """Return the keys among these characters, in their order, at most `MAX_KEYS`."""
    return "".join(key for key in pressed if key in KEYS)[:MAX_KEYS]


def percentile(values: Sequence[int], share: float) -> int:
    """Return the nearest-rank percentile of a sequence that is not empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
