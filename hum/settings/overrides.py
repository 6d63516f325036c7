"""HUM_OVERRIDES: other values of constants, for tests and benchmarks.

The product's constants have no variables of their own. A test needs time to pass sooner, a benchmark a limit out of the
way: `sweep_seconds=0.1 rate_burst=9`, by the names of the fields of `hum.settings`.
"""

import shlex
from collections.abc import Mapping

OVERRIDES = "HUM_OVERRIDES"


class Malformed(Exception):  # noqa: N818
    """The value is not a list of pairs; the message says where."""


def parse(text: str) -> Mapping[str, str]:
    """Parse the pairs, which are separated by blanks and quoted as in a shell.  Raises Malformed."""
    try:
        pairs = shlex.split(text)
    except ValueError as error:
        raise Malformed(f"{OVERRIDES}: {error}") from error
    values = dict[str, str]()
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        if not (name and is_pair) or name in values:
            raise Malformed(f"{OVERRIDES}: {pair!r} is not one constant and its value, like sweep_seconds=0.1")
        values[name] = value
    return values
